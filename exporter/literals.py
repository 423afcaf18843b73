"""Small Arrow arrays and scalars, made from their buffers.

Arrow's own makers, `pa.array` and `pa.scalar`, also where a kernel calls them for a Python value, import pandas first
to ask whether it made what they were given: a quarter of a second and 40 MB, once in each process.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa


def texts(values: Sequence[str]) -> pa.StringArray:
    data = [value.encode() for value in values]
    ends = np.cumsum([0, *map(len, data)], dtype=np.int32)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(data))]
    return pa.Array.from_buffers(pa.string(), len(values), buffers)


def text(value: str) -> pa.StringScalar:
    return texts([value])[0]


def nothing(kind: pa.DataType) -> pa.Scalar:
    """Give NULL."""
    return pa.nulls(1, kind)[0]


def integer(value: int) -> pa.Int64Scalar:
    return integers(np.array([value]))[0]


def integers(values: np.ndarray[Any, np.dtype[np.int64]]) -> pa.Int64Array:
    whole = np.ascontiguousarray(values, np.int64)
    return pa.Array.from_buffers(pa.int64(), len(whole), [None, pa.py_buffer(whole)])


def truths(mask: np.ndarray[Any, np.dtype[np.bool_]]) -> pa.BooleanArray:
    packed = np.packbits(mask, bitorder="little")
    return pa.Array.from_buffers(pa.bool_(), len(mask), [None, pa.py_buffer(packed)])
