"""Rows that a database spelled itself: what receipts and warnings say of them, counted from their bytes.

All is done with masks of bits: which bytes are outside quotes, which of them part cells, and which cells are NULL.
"""

import re
from collections.abc import Iterator
from functools import reduce
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from exporter.formats.base import TextUnclear
from exporter.formats.counting import (
    WORD,
    Places,
    Quotes,
    Ranks,
    Truths,
    Units,
    Words,
    bits,
    newlines,
    one_of,
    places_of,
    places_outside,
    segments,
)
from exporter.sources.base import Cells, RowText

_FORMULAS = "=+-@\t\r"
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
    rows: int


def csv_facts(data: bytes, rows: int, width: int, delimiter: str, end: bytes) -> CsvFacts:
    """Count rows, their NULLs by column, and quoted cells that begin like a formula. Raises TextUnclear.

    `rows` are those that are expected. Where there are as many lines, all line breaks end rows, and where no cell can
    be empty either, all is told by neighbouring bytes: that takes a fraction of the time.
    """
    _check_encoding(data)
    starts, ends = delimiter.encode() + b"\n", delimiter.encode() + end[:1]
    if delimiter in _FORMULAS or not _is_plain(np.frombuffer(data, np.uint8), rows, starts, ends):
        return _counted(data, width, starts, ends)
    return CsvFacts([0] * width, _opening_formulas(data, starts), rows)


def _counted(data: bytes, width: int, starts: bytes, ends: bytes) -> CsvFacts:
    quotes, ranks, rows, formulas = Quotes(), Ranks(), 1, 0
    nulls = np.zeros(width, np.int64)
    nulls[0] += data[:1] in {b"", *(bytes([byte]) for byte in ends)}
    padded = np.frombuffer(data, np.uint8)
    for start, units in segments(padded):
        follow = _following(padded, start, len(units), ends[0])
        outside = quotes.outside(units)
        parting = one_of(units, starts)
        separators = bits(parting) & outside
        empty = parting & one_of(follow, ends)
        if empty.any():
            nulls += _by_column(ranks.of(separators, separators & bits(empty)) + 1, width)
        else:
            ranks.passed(separators)
        rows += int(np.bitwise_count(bits(units == _NEWLINE) & outside).sum())
        formula = (units == _QUOTE) & _begins_formula(follow)
        if formula.any():
            formulas += _formulas(data, start, bits(formula) & ~outside, starts)
    if ranks.separators + 1 != rows * width or quotes.inside:
        raise TextUnclear("rows have more or fewer cells than there are columns")
    return CsvFacts(nulls.tolist(), formulas, rows)


def _is_plain(units: Units, rows: int, starts: bytes, ends: bytes) -> bool:
    """Whether there are as many lines as rows, and nowhere two bytes that an empty cell would show."""
    if not len(units) or units[0] in ends or units[-1] in starts or newlines(units) + 1 != rows:
        return False
    return not any((one_of(one, starts) & one_of(next_one, ends)).any() for _, one, next_one in _pairs(units))


def _opening_formulas(data: bytes, starts: bytes) -> int:
    """Count quotes between what starts a cell and what starts a formula: of the two of a doubled one, neither is."""
    found = 0
    for start, one, next_one in _pairs(np.frombuffer(data, np.uint8)):
        places = np.flatnonzero((one == _QUOTE) & _begins_formula(next_one)) + start
        found += sum(place == 0 or data[place - 1] in starts for place in places.tolist())
    return found


def _pairs(units: Units) -> Iterator[tuple[int, Units, Units]]:
    """Give neighbours, segment by segment."""
    for start, part in segments(units, overlap=1):
        yield start, part[:-1], part[1:]


def json_nulls(data: bytes, before: tuple[str, ...], between: str) -> list[int]:
    """Count rows' NULLs by column: outside texts, no other word has an n. Raises TextUnclear.

    That is also where a text could be a number that JSON lacks, for only the reader of batches tells these apart.
    """
    _check_encoding(data)
    units = np.frombuffer(data, np.uint8)
    if (_has(units, b"Inf") or _has(units, b"NaN")) and _NO_NUMBER.search(data):
        raise TextUnclear("a text may be a number that JSON lacks")
    width = len(before)
    if not any(_has(units, lead + b"n") for lead in {literal[-1:].encode() for literal in before}):
        return [0] * width
    flat = data.replace(b"\\\\", b"__").replace(b'\\"', b"__") if b"\\" in data else data
    quotes, ranks = Quotes(), Ranks()
    nulls = np.zeros(width, np.int64)
    between_cells = b"," if between[0] == "," else b",\n"
    for _, units in segments(np.frombuffer(flat, np.uint8)):
        outside = quotes.outside(units)
        separators = bits(one_of(units, between_cells)) & outside
        nulls += _by_column(ranks.of(separators, bits(units == _NULL) & outside), width)
    if (ranks.separators + 1) % width or quotes.inside:
        raise TextUnclear("rows have more or fewer cells than there are columns")
    return [int(count) for count in nulls]


def first_rows(data: bytes, rows: int, row: RowText) -> bytes:
    """Cut a chunk behind some of its rows; it has more than those."""
    if row.cells is Cells.CSV:
        newlines, lines = places_outside(data, b"\n"), 1
    else:
        newlines = np.flatnonzero(np.frombuffer(data, np.uint8) == _NEWLINE)
        lines = sum(literal.count("\n") for literal in (*row.before, row.end, row.between))
    return data[: newlines[rows * lines - 1] + 1 - len(row.between)]


def _has(units: Units, word: bytes) -> bool:
    """Whether a short word stands somewhere; where its bytes are common, faster than to search for it in bytes."""
    return any(_begin(part, word).any() for _, part in segments(units, overlap=len(word) - 1))


def _begin(units: Units, word: bytes) -> Truths:
    count = max(0, len(units) - len(word) + 1)
    return reduce(np.bitwise_and, [units[place : place + count] == byte for place, byte in enumerate(word)])


def _check_encoding(data: bytes) -> None:
    if data.isascii():
        return
    bounds = pa.py_buffer(np.array([0, len(data)], np.int64))
    try:
        pa.LargeStringArray.from_buffers(1, bounds, pa.py_buffer(data)).validate(full=True)
    except pa.ArrowInvalid as exc:
        raise TextUnclear("a text is not valid UTF-8") from exc


def _following(units: Units, start: int, count: int, last: int) -> Units:
    """The bytes one place further; behind the very last one, what would end its cell."""
    following = units[start + 1 : start + 1 + count]
    return following if len(following) == count else np.append(following, np.uint8(last))


def _formulas(data: bytes, start: int, quotes: Words, starts: bytes) -> int:
    """Count the quotes that open a cell: the second of a doubled pair stands behind another quote."""
    words, bit = places_of(quotes)
    places = words * WORD + bit + start
    return sum(place == 0 or data[place - 1] in starts for place in places.tolist())


def _begins_formula(units: Units) -> Truths:
    pairs = [(units & mask) == byte & mask for byte, mask in (_TAB_OR_RETURN, _MINUS_OR_EQUALS)]
    return np.asarray(pairs[0] | pairs[1] | one_of(units, b"+@"))


def _by_column(cells: Places, width: int) -> Places:
    return np.bincount(cells % width, minlength=width)
