"""From a value's spelling in COPY to an Arrow type, where Arrow's CSV parser does not go the whole way.

Each function gives the array and a count, by notice code, of the values that the type has no room for: they are NULL.
"""

from binascii import unhexlify
from collections import Counter
from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from exporter import literals
from exporter.sources.postgresql import calendar

ORDINARY = r"^[0-9]{4}-[-0-9 :.+]*$"  # dates and timestamps of the years 1 to 9999
ORDINARY_TIME = r"^([01][0-9]|2[0-3]):"
NOT_NUMBERS = ("NaN", "Infinity", "-Infinity")
HEX_PREFIX = b"\\\\x"  # of bytea, its backslash doubled by COPY

Held = tuple[pa.Array, Counter[str]]


def held(array: pa.Array, wanted: pa.DataType) -> Held:
    """Turn spellings into values of a binary, decimal, date, time or timestamp type."""
    if wanted == pa.binary():
        return _unhexed(array), Counter()
    if pa.types.is_decimal(wanted):
        return _decimals(array, wanted)
    if wanted == pa.time64("us"):
        return _times(array)
    return _dates(array, wanted)


def _unhexed(array: pa.Array) -> pa.Array:
    """Decode a whole column at once: without the prefixes, two digits are a byte, so that offsets are halved."""
    filled = pc.fill_null(array, b"")
    _, offsets, data = filled.buffers()
    positions = pa.Array.from_buffers(pa.int32(), len(filled) + 1, [None, offsets], offset=filled.offset)
    first, last = positions[0].as_py(), positions[-1].as_py()
    content = unhexlify(data[first:last].to_pybytes().replace(HEX_PREFIX, b"")) if data else b""
    prefixes = pa.concat_arrays(
        [pa.array([0], pa.int32()), pc.cumulative_sum(array.is_valid().cast(pa.int32()))]
    )
    digits = pc.subtract(pc.subtract(positions, first), pc.multiply(prefixes, len(HEX_PREFIX)))
    starts = pc.divide(digits, 2).cast(pa.int32())
    values = pa.Array.from_buffers(
        pa.binary(), len(array), [None, starts.buffers()[1], pa.py_buffer(content)]
    )
    return _masked(values, array.is_valid()) if array.null_count else values


def _decimals(array: pa.Array, wanted: pa.DataType) -> Held:
    numbers = pc.invert(pc.is_in(array, pa.array(NOT_NUMBERS)))
    lost = len(array) - pc.sum(numbers).as_py()
    return _masked(array, numbers).cast(wanted), Counter(nan_as_null=lost)


def _times(array: pa.Array) -> Held:
    ordinary = pc.match_substring_regex(array, ORDINARY_TIME)
    lost = pc.sum(pc.invert(ordinary)).as_py() or 0
    moments = pc.binary_join_element_wise("1970-01-01", _masked(array, ordinary), " ")
    return moments.cast(pa.timestamp("us")).cast(pa.time64("us")), Counter(time_24_as_null=lost)


def _dates(array: pa.Array, wanted: pa.DataType) -> Held:
    """Leave the ordinary ones to Arrow and count the days of the others."""
    ordinary = pc.match_substring_regex(array, ORDINARY)
    values = _masked(array, ordinary).cast(wanted)
    odd = array.filter(pc.invert(ordinary)).to_pylist()
    if not odd:
        return values, Counter()
    is_date = wanted == pa.date32()
    count: Callable[[str], int | None] = calendar.days if is_date else calendar.microseconds
    counted = [count(text) for text in odd]
    lost = Counter(_reason(text) for text, number in zip(odd, counted, strict=True) if number is None)
    replacements = pa.array(counted, pa.int32() if is_date else pa.int64()).cast(wanted)
    return pc.replace_with_mask(values, pc.fill_null(pc.invert(ordinary), False), replacements), lost


def _reason(text: str) -> str:
    return "infinity_as_null" if text.endswith("infinity") else "out_of_range_as_null"


def _masked(array: pa.Array, keep: pa.Array) -> pa.Array:
    return pc.if_else(keep, array, literals.nothing(array.type))
