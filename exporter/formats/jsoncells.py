"""A column's values as JSON: numbers with all their digits, documents as they are, everything else as text."""

import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exporter import literals
from exporter.formats import arrays, text
from exporter.formats.digits import NUMBER, plain_numbers
from exporter.formats.spelling import is_string, spell
from exporter.formats.text import Cells
from exporter.sources.base import Column, Kind
from exporter.sources.types import Storage

NON_FINITE = "non_finite_as_text"
NO_JSON = "invalid_json_as_text"
BOUNDS = "array_bounds_dropped"

_NUMBERS = frozenset({Kind.INTEGER, Kind.FLOAT, Kind.DECIMAL})
_ELEMENT = Column(name="", database_type="text", kind=Kind.TEXT)
_PLAIN_TEXTS = frozenset({Kind.TEXT, Kind.UUID, Kind.OTHER, Kind.DATE, Kind.TIME})
_SHORT = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
_NUMBER_LIST = r"\A\{(?:(?:N)(?:,(?:N))*)?\}\z".replace("N", r"NULL|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_TEXT_LIST = r'\A\{(?:[^{},"\\]+(?:,[^{},"\\]+)*)?\}\z'
_MOMENT = r"\A(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)\z"
_INSTANT = r"\A(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)([+-]\d\d)\z"
_ROW = pa.schema([("row", pa.int8())])


class JsonCells:
    """Converts columns; `counts` tells how many values JSON could not hold as what they are, by notice code."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def of(self, array: pa.Array, column: Column) -> Cells:
        if pa.types.is_struct(array.type):
            return self._variant(array)
        if is_string(array):
            return self._spelled(text.strings(array), column)
        values = spell(array)
        if pa.types.is_boolean(array.type):
            return _booleans(values)
        if pa.types.is_floating(array.type):
            return self._numbers(values, plain=bool(pc.all(pc.is_finite(array)).as_py()))
        if pa.types.is_integer(array.type) or pa.types.is_decimal(array.type):
            return Cells(values, quoted=False)
        return self._spelled(values, column) if pa.types.is_timestamp(array.type) else _text(values)

    def _spelled(self, values: pa.StringArray, column: Column) -> Cells:
        match column.kind:
            case Kind.INTEGER | Kind.FLOAT | Kind.DECIMAL:
                return self._numbers(values, plain=plain_numbers(values))
            case Kind.BOOLEAN:
                return _booleans(values)
            case Kind.TIMESTAMP | Kind.TIMESTAMPTZ:
                return _text(_iso(values, zoned=column.kind is Kind.TIMESTAMPTZ))
            case Kind.JSON:
                return self._documents(values)
            case Kind.ARRAY:
                return self._arrays(values, column.element or _ELEMENT)
            case _:
                return _text(values)

    def _numbers(self, values: pa.StringArray, *, plain: bool) -> Cells:
        """Leave numbers as they are; NaN and the infinities, which JSON lacks, become text."""
        if plain:
            return Cells(values, quoted=False)
        return self._where(pc.match_substring_regex(values, NUMBER), values, NON_FINITE, otherwise=values)

    def _where(
        self, bare: pa.BooleanArray, values: pa.StringArray, code: str, *, otherwise: pa.StringArray
    ) -> Cells:
        """Leave values as they are where `bare` is true; elsewhere write the other text, and count."""
        self.counts[code] += pc.sum(pc.invert(bare)).as_py() or 0
        return Cells(text.select(bare, values, _text(otherwise).whole()), quoted=False)

    def _variant(self, array: pa.Array) -> Cells:
        values = spell(array)
        kinds = pc.struct_field(array, "kind")
        texts = pc.greater_equal(kinds, pa.scalar(Storage.TEXT, kinds.type))
        if pc.all(texts).as_py():
            return _text(values)
        numbers = text.select(texts, literals.nothing(pa.string()), values)
        as_numbers = self._numbers(numbers, plain=plain_numbers(numbers)).whole()
        return Cells(text.select(texts, _text(values).whole(), as_numbers), quoted=False)

    def _documents(self, values: pa.StringArray) -> Cells:
        """Embed documents, each on one line: a raw line break in one is never part of a text."""
        flat = values
        for character in "\n\r":
            if text.contains(flat, character):
                flat = pc.replace_substring(flat, character, " ")
        if _all_documents(flat):
            return Cells(flat, quoted=False)
        valid = [None if value is None else _is_document(value) for value in values.to_pylist()]
        return self._where(pa.array(valid, pa.bool_()), flat, NO_JSON, otherwise=values)

    def _arrays(self, values: pa.StringArray, element: Column) -> Cells:
        """Convert lists with nothing quoted or nested by kernels, all other arrays by taking them apart."""
        self.counts[BOUNDS] += int(np.count_nonzero(text.byte_at(values, 0) == ord("[")))
        is_number = element.kind in _NUMBERS
        if arrays.delimiter(element) != "," or not (is_number or element.kind in _PLAIN_TEXTS):
            return self._parsed_arrays(values, element)
        none = literals.nothing(pa.string())
        plain = pc.match_substring_regex(values, _NUMBER_LIST if is_number else _TEXT_LIST)
        lists = _bracketed(text.select(plain, values, none), quote=not is_number)
        if pc.all(plain).as_py():
            return Cells(lists, quoted=False)
        parsed = self._parsed_arrays(text.select(plain, none, values), element).whole()
        return Cells(text.select(plain, lists, parsed), quoted=False)

    def _parsed_arrays(self, values: pa.StringArray, element: Column) -> Cells:
        """Convert the elements of all arrays as one column, and put them back; what is no array stays text."""
        mark = arrays.delimiter(element)
        outlines = [
            None if value is None else arrays.outline(value, delimiter=mark) for value in values.to_pylist()
        ]
        flat = [item for outline in outlines if outline for item in outline.elements]
        spelled = iter(
            pc.fill_null(self.of(pa.array(flat, pa.string()), element).whole(), "null").to_pylist()
        )
        filled = [
            outline and outline.filled([next(spelled) for _ in outline.elements]) for outline in outlines
        ]
        whole = pa.array(filled, pa.string())
        return Cells(text.select(whole.is_valid(), whole, _text(values).whole()), quoted=False)


def escaped(values: pa.StringArray) -> pa.StringArray:
    """Escape what JSON does not take inside a text."""
    for byte in sorted(
        text.special(values, b'"\\'), reverse=True
    ):  # the backslash first: the others bring new ones
        character = chr(byte)
        values = pc.replace_substring(values, character, _SHORT.get(character, f"\\u{byte:04x}"))
    return values


def _text(values: pa.StringArray) -> Cells:
    return text.quoted(escaped(values))


def _booleans(values: pa.StringArray) -> Cells:
    true, false = pc.equal(values, "t"), pc.equal(values, "f")
    if pc.all(pc.or_(true, false)).as_py():
        return Cells(pc.if_else(true, "true", "false"), quoted=False)
    return Cells(text.select(true, "true", text.select(false, "false", _text(values).whole())), quoted=False)


def _iso(values: pa.StringArray, *, zoned: bool) -> pa.StringArray:
    """Spell moments as ISO 8601 does; infinity and years BC stay as PostgreSQL writes them."""
    if not zoned:
        return pc.replace_substring_regex(values, _MOMENT, r"\1T\2")
    return pc.replace_substring_regex(values, _INSTANT, r"\1T\2\3:00")


def _bracketed(values: pa.StringArray, *, quote: bool) -> pa.StringArray:
    """Turn `{a,b}` into `["a","b"]`; an unquoted NULL is one."""
    if quote:
        values = pc.replace_substring_regex(escaped(values), "[^{},]+", r'"\0"')
    values = pc.replace_substring(values, '"NULL"' if quote else "NULL", "null")
    return pc.replace_substring(pc.replace_substring(values, "{", "["), "}", "]")


def _all_documents(values: pa.StringArray) -> bool:
    """Whether every value is one JSON document, by Arrow's parser.

    Each stands once in an object and once in a list: what would close one of them early, or add to it, breaks the
    other. That parser takes NaN and Inf for numbers, so these words call for a closer look.
    """
    from pyarrow import json as parser

    values = values.drop_null()
    if len(values) == 0 or b"NaN" in (data := bytes(text.window(values))) or b"Inf" in data:
        return len(values) == 0
    lines = text.window(text.join(['{"row":1,"object":', values, ',"list":[', values, "]}\n"]))
    try:
        table = parser.read_json(
            pa.BufferReader(lines),
            read_options=parser.ReadOptions(use_threads=False, block_size=len(lines) + 1),
            parse_options=parser.ParseOptions(explicit_schema=_ROW, unexpected_field_behavior="ignore"),
        )
    except pa.ArrowInvalid:
        return False
    return bool(table.num_rows == len(values))


def _is_document(value: str) -> bool:
    try:
        json.loads(value, parse_int=str, parse_float=str, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(constant: str) -> None:
    raise ValueError(constant)
