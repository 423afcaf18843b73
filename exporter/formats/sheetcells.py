"""A column's values as cells of a sheet.

A cell holds a number only where Excel shows all its digits, and a date only within its calendar; everything else is
text, exact and counted. Dates are days since 1899-12-30, which is right from 1900-03-01 on.
"""

import datetime as dt
import re
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exporter import literals
from exporter.failures import ValueUnwritable
from exporter.formats import text, workbook
from exporter.formats.digits import NUMBER, plain_numbers
from exporter.formats.spelling import is_string, spell
from exporter.sources.base import Column, Kind
from exporter.sources.types import Storage

NUMBER_AS_TEXT = "number_as_text"
DATE_AS_TEXT = "date_as_text"
MAX_TEXT = 32_767  # UTF-16 units
MAX_DIGITS = 15

_LONGEST_NUMBER = 100  # characters: beyond, a double may round to nothing
_SMALLEST = 2.2250738585072014e-308  # below, Excel writes 0
_EPOCH_DAYS = 25_569  # from 1899-12-30 to 1970-01-01
_FIRST_DAY, _LAST_DAY = 61 - _EPOCH_DAYS, 2_958_465 - _EPOCH_DAYS
_DAY = 86_400_000  # milliseconds
_AMPERSAND = ord("&")
_ENTITIES = {_AMPERSAND: "&amp;", ord("<"): "&lt;", ord(">"): "&gt;"}
_WHITE = b"\t\n"
_UNWRITABLE = "\x00-\x08\x0b-\x1f\ufffe\uffff"
_LOOKS_ESCAPED = rf"_x[0-9A-Fa-f]{{4}}[_{_UNWRITABLE}]"
_TO_ESCAPE = re.compile(rf"_(?=x[0-9A-Fa-f]{{4}}[_{_UNWRITABLE}])")
_NONE = literals.nothing(pa.string())


class Cell(NamedTuple):
    """What stands between a cell's reference and the next cell; rows where the value is NULL have no cell."""

    start: str
    values: pa.StringArray
    end: str


class SheetCells:
    """Converts columns; `counts` tells how many values Excel could not hold as what they are, by notice code."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._plain: dict[Kind, Callable[[pa.StringArray], list[Cell]]] = {
            Kind.INTEGER: self._numbers,
            Kind.FLOAT: self._floats,
            Kind.BOOLEAN: _booleans,
            Kind.DATE: self._dates,
        }

    def of(self, array: pa.Array, column: Column, rows_before: int) -> list[Cell]:
        """Give cells that complete each other: in every row at most one of them has a value.

        `rows_before` counts the data rows before this batch. Raises ValueUnwritable for too long a text.
        """
        cells = self._typed(array, column)
        for cell in cells:
            if cell.start == _TEXT_START:
                _check_length(cell.values, column, rows_before)
        return [
            cell._replace(values=escaped(cell.values)) if cell.start == _TEXT_START else cell
            for cell in cells
        ]

    def _typed(self, array: pa.Array, column: Column) -> list[Cell]:
        if pa.types.is_struct(array.type):
            return self._variant(array)
        values = spell(array)
        kind = column.kind if is_string(array) else _kind_of(array.type)
        if kind is Kind.DECIMAL:
            return self._numbers(values, workbook.decimal_style(column.scale))
        if kind in _STYLES:
            return self._moments(values, kind)
        return self._plain.get(kind, _texts)(values)

    def _variant(self, array: pa.Array) -> list[Cell]:
        values, kinds = spell(array), pc.struct_field(array, "kind")

        def of(*storages: Storage) -> pa.StringArray:
            return text.select(
                pc.is_in(kinds, literals.integers(np.array(storages)).cast(kinds.type)), values, _NONE
            )

        cells = [
            *self._numbers(of(Storage.INTEGER)),
            *self._floats(of(Storage.REAL)),
            _text(of(Storage.TEXT, Storage.BLOB)),
        ]
        return [cell for cell in cells if cell.values.null_count < len(array)]

    def _numbers(self, values: pa.StringArray, style: int = 0) -> list[Cell]:
        if plain_numbers(values) and text.longest(values) <= MAX_DIGITS:
            return [_number(values, style)]
        return self._where(_shown_in_full(values), values, style)

    def _floats(self, values: pa.StringArray) -> list[Cell]:
        if plain_numbers(values) and text.longest(values) <= _LONGEST_NUMBER:
            return [_number(values, 0)]
        finite = pc.match_substring_regex(values, NUMBER)
        sizes = pc.abs(text.select(finite, values, _NONE).cast(pa.float64()))
        normal = pc.or_(
            pc.equal(sizes, 0.0), pc.and_(pc.greater_equal(sizes, _SMALLEST), pc.is_finite(sizes))
        )
        return self._where(normal, values, 0)

    def _where(self, fits: pa.BooleanArray, values: pa.StringArray, style: int) -> list[Cell]:
        """Write numbers where they fit and text elsewhere, counted."""
        numbers, texts = text.select(fits, values, _NONE), text.select(fits, _NONE, values)
        self.counts[NUMBER_AS_TEXT] += len(texts) - texts.null_count
        return [
            cell for cell in (_number(numbers, style), _text(texts)) if cell.values.null_count < len(values)
        ]

    def _dates(self, values: pa.StringArray) -> list[Cell]:
        days = _days(values)
        first, last, epoch = map(literals.integer, (_FIRST_DAY, _LAST_DAY, _EPOCH_DAYS))
        fits = pc.and_(pc.greater_equal(days, first), pc.less_equal(days, last))
        serials = pc.if_else(fits, pc.add(days, epoch).cast(pa.string()), _NONE)
        return [_number(serials, workbook.DATE), *self._date_texts(values, serials)]

    def _moments(self, values: pa.StringArray, kind: Kind) -> list[Cell]:
        """Write moments to the millisecond, which is what Excel shows; finer ones stay text."""
        style = _STYLES[kind]
        micros = _micros(values, kind)
        millis = pc.divide(micros, 1000)
        exact = pc.equal(pc.multiply(millis, 1000), micros)
        if kind is not Kind.TIME:
            exact = pc.and_(exact, pc.greater_equal(millis, _FIRST_DAY * _DAY))
            exact = pc.and_(exact, pc.less(millis, (_LAST_DAY + 1) * _DAY))
            millis = pc.add(millis, _EPOCH_DAYS * _DAY)
        serials = pc.if_else(exact, pc.divide(millis.cast(pa.float64()), float(_DAY)), None).cast(pa.string())
        whole = pc.equal(pc.multiply(pc.divide(millis, 1000), 1000), millis)
        texts = self._date_texts(values, serials)
        if pc.all(whole).as_py():
            return [_number(serials, style), *texts]
        fine = _number(text.select(whole, _NONE, serials), style + workbook.MILLISECONDS)
        return [_number(text.select(whole, serials, _NONE), style), fine, *texts]

    def _date_texts(self, values: pa.StringArray, serials: pa.StringArray) -> list[Cell]:
        if serials.null_count == values.null_count:
            return []
        self.counts[DATE_AS_TEXT] += serials.null_count - values.null_count
        return [_text(text.select(serials.is_valid(), _NONE, values))]


_TEXT_START = '" t="inlineStr"><is><t xml:space="preserve">'
_STYLES = {
    Kind.TIMESTAMP: workbook.TIMESTAMP,
    Kind.TIMESTAMPTZ: workbook.INSTANT,
    Kind.TIME: workbook.TIME,
}


def escaped(values: pa.StringArray) -> pa.StringArray:
    """Escape for XML, and what XML cannot hold as OOXML's `_xHHHH_`; text that looks so is marked as text."""
    data = bytes(text.window(values))
    if b"_x" in data and pc.any(pc.match_substring_regex(values, _LOOKS_ESCAPED)).as_py():
        marked = [value and _TO_ESCAPE.sub("_x005F_", value) for value in values.to_pylist()]
        values = pa.array(marked, pa.string())
    found = [byte for byte in text.special(values, b"&<>") if byte not in _WHITE]
    for byte in sorted(found, key=lambda byte: byte != _AMPERSAND):  # first: the others bring new ones
        values = pc.replace_substring(values, chr(byte), _ENTITIES.get(byte, f"_x{byte:04X}_"))
    for character in "\ufffe\uffff":
        if character.encode() in data:
            values = pc.replace_substring(values, character, f"_x{ord(character):04X}_")
    return values


def _kind_of(data_type: pa.DataType) -> Kind:
    """What a column of values, not of their spelling, is by its Arrow type."""
    for is_of, kind in _KINDS:
        if is_of(data_type):
            return kind
    if pa.types.is_timestamp(data_type):
        return Kind.TIMESTAMPTZ if data_type.tz is not None else Kind.TIMESTAMP
    return Kind.TEXT


_KINDS = (
    (pa.types.is_integer, Kind.INTEGER),
    (pa.types.is_decimal, Kind.DECIMAL),
    (pa.types.is_floating, Kind.FLOAT),
    (pa.types.is_boolean, Kind.BOOLEAN),
    (pa.types.is_date, Kind.DATE),
    (pa.types.is_time, Kind.TIME),
)


def _number(values: pa.StringArray, style: int) -> Cell:
    return Cell(f'" s="{style}"><v>' if style else '"><v>', values, "</v></c>")


def _text(values: pa.StringArray) -> Cell:
    return Cell(_TEXT_START, values, "</t></is></c>")


def _texts(values: pa.StringArray) -> list[Cell]:
    return [_text(values)]


def _booleans(values: pa.StringArray) -> list[Cell]:
    true, false = pc.equal(values, "t"), pc.equal(values, "f")
    known = pc.if_else(true, "1", pc.if_else(false, "0", _NONE))
    cells = [Cell('" t="b"><v>', known, "</v></c>")]
    if known.null_count > values.null_count:
        cells.append(_text(text.select(known.is_valid(), _NONE, values)))
    return cells


def _shown_in_full(values: pa.StringArray) -> pa.BooleanArray:
    """Whether a number has at most 15 significant digits; zeros at a fraction's end count for nothing."""
    plain = pc.match_substring_regex(values, r"\A-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?\z")
    trimmed = pc.replace_substring_regex(values, r"(\.[0-9]*?)0+\z", r"\1")
    digits = pc.replace_substring_regex(trimmed, r"\A-?(?:0(?:\.0*)?)?", "")
    significant = pc.binary_length(pc.replace_substring(digits, ".", ""))
    short = pc.less_equal(pc.binary_length(trimmed), _LONGEST_NUMBER)
    return pc.and_(pc.and_(plain, short), pc.less_equal(significant, MAX_DIGITS))


def _days(values: pa.StringArray) -> pa.Int32Array:
    """Read ISO dates as days since 1970; NULL where there is none."""
    try:
        return values.cast(pa.date32()).cast(pa.int32())
    except pa.ArrowInvalid:  # infinity, a year BC or beyond 9999, or no date at all
        return _read(_shaped(values, _DATE), pa.date32()).cast(pa.int32())


def _micros(values: pa.StringArray, kind: Kind) -> pa.Int64Array:
    """Read moments, spelled as PostgreSQL does, as microseconds since 1970 or midnight; NULL for others."""
    regular = _shaped(values, _SHAPES[kind])
    if kind is Kind.TIME:
        regular = text.join(["1970-01-01 ", regular])
    to = pa.timestamp("us", "UTC") if kind is Kind.TIMESTAMPTZ else pa.timestamp("us")
    return _read(regular, to).cast(pa.int64())


def _shaped(values: pa.StringArray, pattern: str) -> pa.StringArray:
    return text.select(pc.match_substring_regex(values, pattern), values, _NONE)


def _read(values: pa.StringArray, to: pa.DataType) -> pa.Array:
    try:
        return values.cast(to)
    except pa.ArrowInvalid:  # a 30th of February
        moments = [_moment(value) for value in values.to_pylist()]
        return pa.array(moments, to if pa.types.is_timestamp(to) else pa.timestamp("s")).cast(to)


def _moment(value: str | None) -> dt.datetime | None:
    try:
        return None if value is None else dt.datetime.fromisoformat(value)
    except ValueError:
        return None


_DATE = r"\A\d{4}-\d\d-\d\d\z"
_CLOCK = r"[0-2]\d:[0-5]\d:[0-5]\d(?:\.\d{1,6})?"
_SHAPES = {
    Kind.TIMESTAMP: rf"\A\d{{4}}-\d\d-\d\d {_CLOCK}\z",
    Kind.TIMESTAMPTZ: rf"\A\d{{4}}-\d\d-\d\d {_CLOCK}\+00\z",
    Kind.TIME: rf"\A{_CLOCK}\z",
}


def _check_length(values: pa.StringArray, column: Column, rows_before: int) -> None:
    if text.longest(values) <= MAX_TEXT:  # bytes of UTF-8 are at least as many as units of UTF-16
        return
    for row in np.flatnonzero(np.diff(text.offsets(values)) > MAX_TEXT).tolist():
        units = len((values[row].as_py() or "").encode("utf-16-le")) // 2
        if units > MAX_TEXT:
            reason = (
                f"the text has {units} characters and an Excel cell holds {MAX_TEXT}. "
                "Leave the column out, or choose csv, json or parquet."
            )
            raise ValueUnwritable(row=rows_before + row + 1, column=column.name, reason=reason)
