"""The tables of the bench: their columns, how each database declares them, and what kind of value each holds."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

LINEITEM_ROWS_PER_SCALE = 6_000_000
EXCEL_ROWS = 300_000
WIDE_COLUMNS = 1000


@dataclass(frozen=True, kw_only=True)
class BenchColumn:
    """`kind` says how outputs are compared: int, cents (two decimals), double, date or text."""

    name: str
    kind: str
    sqlite: str
    postgresql: str


def _column(name: str, kind: str, sqlite: str, postgresql: str | None = None) -> BenchColumn:
    return BenchColumn(name=name, kind=kind, sqlite=sqlite, postgresql=postgresql or sqlite)


LINEITEM = (
    _column("l_orderkey", "int", "BIGINT"),
    _column("l_partkey", "int", "BIGINT"),
    _column("l_suppkey", "int", "BIGINT"),
    _column("l_linenumber", "int", "INTEGER"),
    _column("l_quantity", "cents", "DECIMAL(15,2)"),
    _column("l_extendedprice", "cents", "DECIMAL(15,2)"),
    _column("l_discount", "cents", "DECIMAL(15,2)"),
    _column("l_tax", "cents", "DECIMAL(15,2)"),
    _column("l_returnflag", "text", "CHAR(1)"),
    _column("l_linestatus", "text", "CHAR(1)"),
    _column("l_shipdate", "date", "DATE"),
    _column("l_commitdate", "date", "DATE"),
    _column("l_receiptdate", "date", "DATE"),
    _column("l_shipinstruct", "text", "VARCHAR(25)"),
    _column("l_shipmode", "text", "VARCHAR(10)"),
    _column("l_comment", "text", "VARCHAR(44)"),
)
WIDE_KINDS = (
    ("int", "INTEGER", "integer"),
    ("int", "BIGINT", "bigint"),
    ("double", "REAL", "double precision"),
    ("text", "TEXT", "text"),
)
WIDE = tuple(
    _column(f"c{position}", *WIDE_KINDS[position % len(WIDE_KINDS)]) for position in range(WIDE_COLUMNS)
)
TEXTS = (
    _column("id", "int", "INTEGER", "integer"),
    _column("title", "text", "TEXT", "text"),
    _column("body", "text", "TEXT", "text"),
    _column("note", "text", "TEXT", "text"),
)
CELLS = (_column("id", "int", "INTEGER", "integer"), _column("body", "text", "TEXT", "text"))
TINY = (_column("id", "int", "INTEGER", "integer"), _column("word", "text", "TEXT", "text"))

COLUMNS = {
    "lineitem": LINEITEM,
    "lineitem_part": LINEITEM,
    "wide": WIDE,
    "texts": TEXTS,
    "cells": CELLS,
    "tiny": TINY,
}
WORDS = (
    "plain", "words", 'said "so"', "a,b;c", "Zürich", "東京", "näïve", "tab\there", "it's", "line\nbreak", "🙂",
    "back\\slash", "=SUM(A1)", "123", "null", "<b>&amp;</b>",
)  # fmt: skip
CELL_BYTES = 10_000_000

Row = tuple[object, ...]


def wide_rows(count: int) -> Iterator[Row]:
    random = Random(1)  # noqa: S311 - the same rows every time
    quarter = WIDE_COLUMNS // len(WIDE_KINDS)
    for number in range(count):
        values = zip(
            [random.randrange(-(2**31), 2**31) for _ in range(quarter)],
            [random.randrange(2**53) for _ in range(quarter)],
            [random.random() for _ in range(quarter)],
            [f"t{number % 9}{random.randrange(1000)}" for _ in range(quarter)],
            strict=True,
        )
        yield tuple(value for four in values for value in four)


def text_rows(count: int) -> Iterator[Row]:
    """Give long texts with quotes, line breaks, other scripts and NULLs; none is empty, for CSV peers lose those."""
    random = Random(2)  # noqa: S311 - the same rows every time
    for number in range(count):
        body = " ".join(random.choices(WORDS, k=random.randrange(20, 300)))
        note = None if number % 3 == 0 else " ".join(random.choices(WORDS, k=3))
        yield number, " ".join(random.choices(WORDS, k=4)), body, note


def cell_rows(count: int) -> Iterator[Row]:
    for number in range(count):
        yield number, f'{number}:"x" é\n' + "abcdefghi," * ((CELL_BYTES - 12) // 10)


def tiny_rows(count: int) -> Iterator[Row]:
    for number in range(count):
        yield number, f"word {number}"
