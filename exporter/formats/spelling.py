"""The exact spelling of a value of any Arrow type: that of `exporter.sources.types`, which is PostgreSQL's."""

import datetime as dt
import re
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from exporter.formats.text import contains, hexadecimal, join, strings

_YEAR = re.compile(r"(-?\d{4,})(.*)", re.DOTALL)


def spell(array: pa.Array) -> pa.StringArray:
    """Write a column as text; NULL stays NULL, a VARIANT gives its own spelling."""
    for is_of, spelled in _SPELLINGS:
        if is_of(array.type):
            return spelled(array)
    return strings(array)


def is_string(array: pa.Array) -> bool:
    return array.type in {pa.string(), pa.large_string()}


def is_bytes(array: pa.Array) -> bool:
    return array.type in {pa.binary(), pa.large_binary()}


def _booleans(array: pa.Array) -> pa.StringArray:
    return pc.if_else(array, "t", "f")


def _variants(array: pa.Array) -> pa.StringArray:
    return strings(pc.struct_field(array, "text"))


def _floats(array: pa.Array) -> pa.StringArray:
    text = array.cast(pa.string())
    if pc.all(pc.is_finite(array)).as_py() in {True, None}:
        return text
    infinite = pc.if_else(pc.greater(array, pa.scalar(0, array.type)), "Infinity", "-Infinity")
    return pc.if_else(pc.is_nan(array), "NaN", pc.if_else(pc.is_inf(array), infinite, text))


def _decimals(array: pa.Array) -> pa.StringArray:
    """Write all digits and no exponent: Arrow writes small numbers, and even 0, with one."""
    text = array.cast(pa.string())
    return _positional(array) if contains(text, "E") else text


def _positional(array: pa.Array) -> pa.StringArray:
    scale = array.type.scale
    make = pa.decimal128 if array.type.bit_width == pa.decimal128(1).bit_width else pa.decimal256
    whole = array.view(make(array.type.precision, 0)).cast(pa.string())
    sign = pc.if_else(pc.starts_with(whole, "-"), "-", "")
    digits = pc.utf8_lpad(pc.utf8_ltrim(whole, "-"), scale + 1, "0")
    before = pc.utf8_slice_codeunits(digits, 0, -scale)
    return join([sign, before, ".", pc.utf8_slice_codeunits(digits, -scale)])


def _temporal(array: pa.Array) -> pa.StringArray:
    if pa.types.is_time(array.type):
        return _trimmed(array, pa.time32("s"))
    if pa.types.is_date(array.type):
        return _with_era(array.cast(pa.string()), array)
    zoned = array.type.tz is not None
    naive = array.cast(pa.timestamp(array.type.unit))
    text = _trimmed(naive, pa.timestamp("s"))
    return _with_era(join([text, "+00"]) if zoned else text, naive)


def _trimmed(array: pa.Array, whole_seconds: pa.DataType) -> pa.StringArray:
    """Leave out a fraction of zero and its trailing zeros."""
    try:
        return array.cast(whole_seconds).cast(pa.string())
    except pa.ArrowInvalid:  # some value has a fraction
        return pc.utf8_rtrim(pc.utf8_rtrim(array.cast(pa.string()), "0"), ".")


def _with_era(text: pa.StringArray, array: pa.Array) -> pa.StringArray:
    """Spell years before 1 as PostgreSQL does: Arrow's 0000 is its 0001 BC."""
    first = pa.scalar(dt.date(1, 1, 1)).cast(array.type)
    if not pc.any(pc.less(array, first)).as_py():
        return text
    return pa.array([value and _era(value) for value in text.to_pylist()], pa.string())


def _era(value: str) -> str:
    found = _YEAR.fullmatch(value)
    if found is None or int(found[1]) > 0:
        return value
    return f"{1 - int(found[1]):04d}{found[2]} BC"


_SPELLINGS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[pa.Array], pa.StringArray]], ...] = (
    (pa.types.is_boolean, _booleans),
    (pa.types.is_floating, _floats),
    (pa.types.is_decimal, _decimals),
    (pa.types.is_temporal, _temporal),
    (pa.types.is_struct, _variants),
    (pa.types.is_binary, hexadecimal),
    (pa.types.is_large_binary, hexadecimal),
)
