"""SQLite's values, fetched by Python's own module from a copy of the file, and what becomes of them."""

import shutil
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import Any

from tests.acceptance.exporting import NULL, Export
from tests.acceptance.judging import FORMULA, Digits, Real, Wanted

EXACT = 1 << 53
SMALLEST = 2.2250738585072014e-308
DIGITS = 15


@dataclass(frozen=True)
class Declared:
    name: str
    declared: str


def fetched(path: Path, table: str, order: str = "") -> list[tuple[Any, ...]]:
    copy = path.with_name(f"copy-of-{path.name}")
    shutil.copyfile(path, copy)
    with closing(sqlite3.connect(copy)) as connection:
        connection.text_factory = lambda text: text.decode("utf-8")
        return connection.execute(f'SELECT * FROM "{table}" {order}').fetchall()


def spelled(value: Any) -> str:
    match value:
        case bytes():
            return "\\x" + value.hex()
        case float() if not isfinite(value):
            return "Infinity" if value > 0 else "-Infinity"
        case _:
            return str(value)


class SqliteOracle:
    source = "sqlite"

    def cell(self, value: Any, column: Declared, done: Export, warnings: Counter[str]) -> Wanted:
        if value is None:
            return NULL
        return getattr(self, done.job["format"])(value, column, done, warnings)

    def csv(self, value: Any, column: Declared, done: Export, warnings: Counter[str]) -> Wanted:
        options = done.options
        if isinstance(value, int | float):
            kind = "quoted" if options["quoting"] == "all" else "bare"
            return (
                Real(kind, value) if isinstance(value, float) and isfinite(value) else (kind, spelled(value))
            )
        return csv_text(spelled(value), options, warnings)

    def json(self, value: Any, column: Declared, done: Export, warnings: Counter[str]) -> Wanted:
        if isinstance(value, int):
            return Digits("number", Decimal(value))
        if isinstance(value, float) and isfinite(value):
            return Real("number", value)
        warnings["non_finite_as_text"] += isinstance(value, float)
        return ("text", spelled(value))

    def parquet(self, value: Any, column: Declared, done: Export, warnings: Counter[str]) -> Wanted:
        exported = {c["name"]: c["exported_type"] for c in done.receipt["columns"]}[column.name]
        if exported != "string":
            return Real(exported, float(value)) if exported == "double" else (exported, value)
        warnings["mixed_as_text"] += not isinstance(value, str)
        return (
            Real("string", value)
            if isinstance(value, float) and isfinite(value)
            else ("string", spelled(value))
        )

    def excel(self, value: Any, column: Declared, done: Export, warnings: Counter[str]) -> Wanted:
        match value:
            case int() if len(str(abs(value))) <= DIGITS:
                return Digits("number", Decimal(value))
            case float() if value == 0:
                return Digits("number", Decimal(0))  # openpyxl takes the -0 of a cell for a whole number
            case float() if isfinite(value) and abs(value) >= SMALLEST:
                return Real("number", value)
            case float() if isfinite(value):
                warnings["number_as_text"] += 1
                return Real("text", value)
            case int() | float():
                warnings["number_as_text"] += 1
        return ("text", spelled(value))


def csv_text(text: str, options: Any, warnings: Counter[str]) -> Wanted:
    if text.startswith(FORMULA):
        warnings["formulas_escaped" if options["escape_formulas"] else "formula_like_text"] += 1
        text = f"'{text}" if options["escape_formulas"] else text
    if options["quoting"] != "minimal":
        return ("quoted", text)
    special = {'"', "\r", "\n", options["delimiter"]}
    alone = text in {"", "\\.", options["null_value"]} or text.startswith("\ufeff")
    return ("quoted" if alone or special & set(text) else "bare", text)


def narrowest(values: Sequence[Any]) -> set[str]:
    """Give the Parquet types that a column of these values may have; text only where nothing narrower holds them."""
    kinds = {type(value) for value in values if value is not None}
    wide = any(isinstance(value, int) and abs(value) > EXACT for value in values)
    if not kinds:
        return {"int64", "double", "string", "binary"}
    if kinds == {int}:
        return {"int64"} if wide else {"int64", "double"}
    if kinds <= {int, float}:
        return {"string"} if wide else {"double"}
    return {"binary"} if kinds == {bytes} else {"string"}
