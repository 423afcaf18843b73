"""A condition's value against its column's type: converted exactly, or refused in a sentence."""

import json
import math
import re
import struct
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from exporter.query import arrays, moments
from exporter.query.families import POSTGRESQL, SQLITE, Family, cast_name, family, type_name
from exporter.query.faults import shown
from exporter.query.plan import Operand
from exporter.sources.base import Column, Kind

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1
MAX_DIGITS_BEFORE, MAX_DIGITS_AFTER = 131_072, 16_383  # of the point, in PostgreSQL's numeric
_DECIMAL = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,6})?")
_BYTES = re.compile(r"\\x((?:[0-9a-fA-F]{2})*)")
_FLOAT32 = struct.Struct("f")


class Unsuitable(ValueError):
    """A value that its column cannot be compared with; the text says what would suit."""


def convert(value: object, column: Column, dialect: str) -> Operand:
    """Make a value ready to bind. Raises Unsuitable with a sentence that names the column and its type."""
    found = family(column, dialect)
    try:
        return _CONVERTERS[found](value, column, dialect)
    except Unsuitable as exc:
        raise Unsuitable(_sentence(value, column, str(exc))) from None
    except (ValueError, TypeError, OverflowError):
        raise Unsuitable(_sentence(value, column, _EXPECTED[found])) from None


def runs_backwards(low: Operand, high: Operand) -> bool:
    """Tell whether low is above high, where that does not depend on the database's own ordering."""
    first, second = _rank(low.value), _rank(high.value)
    return first is not None and second is not None and first > second


def _rank(value: Any) -> Any:
    match value:
        case datetime():
            return value.replace(tzinfo=value.tzinfo or UTC)
        case date():
            return moments.instant(value)
        case int() | float() | Decimal() | bytes() | uuid.UUID() | time():
            return value
        case _:
            return None


def _sentence(value: object, column: Column, expected: str) -> str:
    return f"{shown(value)} does not suit column {column.name!r} of type {type_name(column)}: give {expected}"


def _integer(value: object, column: Column, dialect: str) -> Operand:
    del column, dialect
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError
    if not INT64_MIN <= value <= INT64_MAX:
        raise Unsuitable(f"a whole number from {INT64_MIN} to {INT64_MAX}")
    return Operand(value=value)


def _number(value: object, column: Column, dialect: str) -> Operand:
    number = _decimal(value)
    if dialect == SQLITE:
        return Operand(value=_stored_number(number))
    if column.kind is Kind.FLOAT:
        return _float(number, column)
    if number.adjusted() >= MAX_DIGITS_BEFORE or -int(number.as_tuple().exponent) > MAX_DIGITS_AFTER:
        raise Unsuitable(
            f"a number of at most {MAX_DIGITS_BEFORE} digits, and {MAX_DIGITS_AFTER} after the point"
        )
    return Operand(value=number)


def _decimal(value: object) -> Decimal:
    """Take a number exactly as it was written: a JSON float stands for its shortest spelling."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    text = value if isinstance(value, str) else repr(value)
    if not _DECIMAL.fullmatch(text):
        raise ValueError(text)
    return Decimal(text)


def _finite(number: Decimal) -> float:
    nearest = float(number)
    if math.isinf(nearest) or (nearest == 0 and number != 0):
        raise Unsuitable("a number that a double can hold")
    return nearest


def _stored_number(number: Decimal) -> int | float:
    """Give the number as SQLite would store it: whole ones within 64 bits as integers, others as doubles."""
    if number.adjusted() < len(str(INT64_MAX)) and number == number.to_integral_value():
        whole = int(number)
        if INT64_MIN <= whole <= INT64_MAX:
            return whole
    return _finite(number)


def _float(number: Decimal, column: Column) -> Operand:
    """Compare a real column with a real, as 0.1 there is not the 0.1 of a double."""
    value = _finite(number)
    single = column.bits == 32 and _fits_single(value)  # noqa: PLR2004 - bits
    return Operand(value=value, cast="real" if single else "double precision")


def _fits_single(value: float) -> bool:
    try:
        packed = _FLOAT32.unpack(_FLOAT32.pack(value))[0]
    except OverflowError:
        return False
    return math.isfinite(packed) and (packed != 0) == (value != 0)


def _text(value: object, column: Column, dialect: str) -> Operand:
    del column
    return Operand(value=clean_text(value, dialect))


def clean_text(value: object, dialect: str) -> str:
    """Refuse what the database cannot hold in text. Raises TypeError or Unsuitable."""
    if not isinstance(value, str):
        raise TypeError
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise Unsuitable("text without lone surrogates")
    if dialect == POSTGRESQL and "\0" in value:
        raise Unsuitable("text without the character NUL, which PostgreSQL cannot hold")
    return value


def _boolean(value: object, column: Column, dialect: str) -> Operand:
    del column
    if isinstance(value, bool):
        return Operand(value=int(value) if dialect == SQLITE else value)
    if dialect == SQLITE and isinstance(value, int) and value in {0, 1}:
        return Operand(value=value)
    raise TypeError


def _moment(value: object, column: Column, dialect: str) -> Operand:
    if not isinstance(value, str):
        raise TypeError
    at = moments.instant(moments.parse_moment(value))
    return Operand(value=at) if dialect == SQLITE else moment_operand(at, column)


def moment_operand(at: datetime, column: Column) -> Operand:
    """Bind an instant against one of PostgreSQL's columns of days or instants; one with no zone is in UTC."""
    if column.kind is Kind.TIMESTAMPTZ:
        return Operand(value=at)
    local = at.replace(tzinfo=None)
    if column.kind is Kind.DATE and local.time() == time():
        return Operand(value=local.date())
    return Operand(value=local)


def _time(value: object, column: Column, dialect: str) -> Operand:
    if not isinstance(value, str):
        raise TypeError
    clock = moments.parse_time(value)
    if dialect == SQLITE:
        return Operand(value=clock)
    return Operand(value=clock.isoformat(), cast=cast_name(column))


def _bytes(value: object, column: Column, dialect: str) -> Operand:
    del column, dialect
    match = _BYTES.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise TypeError
    return Operand(value=bytes.fromhex(match[1]))


def _uuid(value: object, column: Column, dialect: str) -> Operand:
    del column, dialect
    if not isinstance(value, str):
        raise TypeError
    return Operand(value=uuid.UUID(value))


def _json(value: object, column: Column, dialect: str) -> Operand:
    """Take the JSON value itself: a text is a JSON string, not the spelling of a document."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    if "\\u0000" in json.dumps(value).replace("\\\\", ""):
        raise Unsuitable("JSON without the character NUL, which PostgreSQL cannot hold")
    return Operand(value=clean_text(text, dialect), cast=cast_name(column))


def _array(value: object, column: Column, dialect: str) -> Operand:
    if isinstance(value, str):
        text = clean_text(value, dialect)
        if not (text.startswith(("{", "[")) and text.endswith("}")):
            raise ValueError(text)
        return Operand(value=text, cast=cast_name(column))
    if not isinstance(value, list | tuple):
        raise TypeError
    text = arrays.spell(value, lambda item: _item_text(item, column, dialect))
    return Operand(value=text, cast=cast_name(column))


def _item_text(item: object, column: Column, dialect: str) -> str:
    element = column.element
    if element is None:
        return _spelled(clean_text(item, dialect) if isinstance(item, str) else item)
    try:
        return _spelled(convert(item, element, dialect).value)
    except Unsuitable:
        declared = type_name(element)
        raise Unsuitable(f"a list of {declared}; {shown(item)} does not suit {declared}") from None


def _spelled(value: object) -> str:
    match value:
        case bool() | dict():
            return json.dumps(value, allow_nan=False)
        case bytes():
            return f"\\x{value.hex()}"
        case _:
            return str(value)


def _other(value: object, column: Column, dialect: str) -> Operand:
    return Operand(value=clean_text(value, dialect), cast=cast_name(column))


def _any(value: object, column: Column, dialect: str) -> Operand:
    """Compare as SQLite does: a number with numbers, text with text."""
    if isinstance(value, bool):
        return Operand(value=int(value))
    return (_text if isinstance(value, str) else _number)(value, column, dialect)


def _opaque(value: object, column: Column, dialect: str) -> Operand:
    raise TypeError(value, column, dialect)


_CONVERTERS: Mapping[Family, Callable[[Any, Column, str], Operand]] = {
    Family.INTEGER: _integer,
    Family.NUMBER: _number,
    Family.TEXT: _text,
    Family.BOOLEAN: _boolean,
    Family.MOMENT: _moment,
    Family.TIME: _time,
    Family.BINARY: _bytes,
    Family.UUID: _uuid,
    Family.JSON: _json,
    Family.ARRAY: _array,
    Family.OTHER: _other,
    Family.ANY: _any,
    Family.OPAQUE: _opaque,
}
_EXPECTED = {
    Family.INTEGER: "a whole number",
    Family.NUMBER: "a number, or its digits as text",
    Family.TEXT: "text (in quotes)",
    Family.BOOLEAN: "true or false",
    Family.MOMENT: moments.EXPECTED,
    Family.TIME: moments.EXPECTED_TIME,
    Family.BINARY: r"the bytes in hex, such as \x00ff",
    Family.UUID: "a UUID such as 123e4567-e89b-12d3-a456-426614174000",
    Family.JSON: "a JSON value without NaN or Infinity",
    Family.ARRAY: "a list, or text as PostgreSQL writes it, such as {1,2,NULL}",
    Family.OTHER: "text as PostgreSQL writes it",
    Family.ANY: "text, a number, true or false",
    Family.OPAQUE: "nothing: it only takes is null and is not null",
}
