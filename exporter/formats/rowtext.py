"""Rows that a database spelled itself: what receipts and warnings say of them, counted from their bytes.

A chunk that cannot hold a NULL or a formula is told by looking for pairs of bytes. Any other one is taken apart into
cells at the separators outside quotes, all at once.
"""

import re
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from exporter.formats.base import TextUnclear
from exporter.formats.counting import Places, Truths, Units, have_pair, one_of, places_outside
from exporter.sources.base import Cells, RowText

_QUOTE, _NEWLINE, _NULL = ord('"'), ord("\n"), ord("n")
_NO_NUMBER = re.compile(rb'"(?:-?Infinity|NaN)"(?!:)')
_TAB_OR_RETURN = (
    ord("\t"),
    0xFF - (ord("\t") ^ ord("\r")),
)  # a byte, and the bits in which the other one is the same
_MINUS_OR_EQUALS = ord("-"), 0xFF - (ord("-") ^ ord("="))


class CsvFacts(NamedTuple):
    nulls: list[int]
    formulas: int


def csv_facts(data: bytes, width: int, delimiter: str, end: bytes) -> CsvFacts:
    """Count rows' NULLs by column, and quoted cells that begin like a formula. Raises TextUnclear."""
    _check_encoding(data)
    starts, ends = delimiter.encode() + b"\n", delimiter.encode() + end[:1]
    if not _may_hold_null(data, starts, ends) and not have_pair(data, _is_quote, _begins_formula):
        return CsvFacts([0] * width, 0)
    units = np.frombuffer(data, np.uint8)
    separators = places_outside(data, starts)
    _check_rows(units[separators] == _NEWLINE, width)
    places = np.concatenate(([0], separators + 1))
    first, second = _at(units, places), _at(units, places + 1)
    empty = one_of(first, ends) | (places == len(units))
    return CsvFacts(
        _by_column(empty, width), int(np.count_nonzero((first == _QUOTE) & _begins_formula(second)))
    )


def json_nulls(data: bytes, before: tuple[str, ...], between: str) -> list[int]:
    """Count rows' NULLs by column. Raises TextUnclear.

    That is also where a text could be a number that JSON lacks, for only the reader of batches tells these apart.
    """
    _check_encoding(data)
    if (b'Infinity"' in data or b'NaN"' in data) and _NO_NUMBER.search(data):
        raise TextUnclear("a text may be a number that JSON lacks")
    width = len(before)
    if b"null" not in data:
        return [0] * width
    flat = data.replace(b"\\\\", b"__").replace(b'\\"', b"__") if b"\\" in data else data
    units = np.frombuffer(flat, np.uint8)
    separators = places_outside(flat, b"," if between[0] == "," else b",\n")
    leads = np.array([len(literal.encode()) for literal in before], np.int64)
    if (len(separators) + 1) % width:
        raise TextUnclear("rows have more or fewer cells than there are columns")
    starts = np.concatenate(([-len(between)], separators)).reshape(-1, width) + leads
    starts[:, 0] += len(between)
    return _by_column(_at(units, starts.ravel()) == _NULL, width)


def first_rows(data: bytes, rows: int, row: RowText) -> bytes:
    """Cut a chunk behind some of its rows; it has more than those."""
    if row.cells is Cells.CSV:
        newlines, lines = places_outside(data, b"\n"), 1
    else:
        newlines = np.flatnonzero(np.frombuffer(data, np.uint8) == _NEWLINE)
        lines = sum(literal.count("\n") for literal in (*row.before, row.end, row.between))
    return data[: newlines[rows * lines - 1] + 1 - len(row.between)]


def _check_encoding(data: bytes) -> None:
    if data.isascii():
        return
    bounds = pa.py_buffer(np.array([0, len(data)], np.int64))
    try:
        pa.LargeStringArray.from_buffers(1, bounds, pa.py_buffer(data)).validate(full=True)
    except pa.ArrowInvalid as exc:
        raise TextUnclear("a text is not valid UTF-8") from exc


def _may_hold_null(data: bytes, starts: bytes, ends: bytes) -> bool:
    """Whether a place where cells start is one where they end, be it at the edges of the chunk."""
    if not data or data[0] in ends or data[-1] in starts:
        return True
    return have_pair(data, lambda units: one_of(units, starts), lambda units: one_of(units, ends))


def _is_quote(units: Units) -> Truths:
    return one_of(units, b'"')


def _begins_formula(units: Units) -> Truths:
    pairs = [(units & mask) == byte & mask for byte, mask in (_TAB_OR_RETURN, _MINUS_OR_EQUALS)]
    return np.asarray(pairs[0] | pairs[1] | one_of(units, b"+@"))


def _check_rows(is_newline: Truths, width: int) -> None:
    """See that every row, and nothing else, has `width` cells."""
    full = (len(is_newline) + 1) % width == 0
    if not full or np.count_nonzero(is_newline) != np.count_nonzero(is_newline[width - 1 :: width]):
        raise TextUnclear("rows have more or fewer cells than there are columns")
    if not is_newline[width - 1 :: width].all():
        raise TextUnclear("rows have more or fewer cells than there are columns")


def _at(units: Units, places: Places) -> Units:
    """The bytes at these places; beyond the end, the last one."""
    if not len(units):
        return np.zeros(len(places), np.uint8)
    return np.asarray(units[np.minimum(places, len(units) - 1)])


def _by_column(truths: Truths, width: int) -> list[int]:
    return [int(count) for count in truths.reshape(-1, width).sum(axis=0)]
