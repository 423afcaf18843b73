"""Numbers that come as text: which of them are what JSON and Excel call a number."""

import numpy as np
import pyarrow as pa

from exporter.formats import text

NUMBER = r"\A-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\z"  # JSON's, in RE2's words


def plain_numbers(values: pa.StringArray) -> bool:
    """Whether all values are JSON numbers without an exponent, found by looking at all bytes at once."""
    values = values.drop_null()
    data = np.frombuffer(text.window(values), np.uint8)
    bounds = text.offsets(values) - text.offsets(values)[0]
    starts, ends = bounds[:-1], bounds[1:]
    if not len(data) or (starts == ends).any():
        return not len(values)
    signs = data[starts] == ord("-")
    starts = starts + signs
    if (starts == ends).any():
        return False
    return _plain_unsigned(data, starts, ends, int(np.count_nonzero(signs)))


def _plain_unsigned(data: text.Bytes, starts: text.Places, ends: text.Places, signs: int) -> bool:
    digit = (data - ord("0")) < 10  # noqa: PLR2004 - unsigned: what lies below 0 wraps round
    points = data == ord(".")
    count = int(np.count_nonzero(points))
    if np.count_nonzero(digit) + count + signs != len(data):
        return False
    after = data[np.minimum(starts + 1, ends - 1)]
    leading_zero = (data[starts] == ord("0")) & (ends - starts > 1) & (after != ord("."))
    if leading_zero.any() or not digit[starts].all() or not digit[ends - 1].all():
        return False
    return count == 0 or int(np.add.reduceat(points, starts, dtype=np.int32).max()) <= 1
