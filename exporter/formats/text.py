"""Kernels over columns of text: what every row writer needs, with no Python per value."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from exporter import literals

PIECE_BYTES = 4 << 20  # of a batch, and so many cells: a joined piece stays far below a string array's 2 GiB
PIECE_CELLS = 1 << 20

_SPACE = ord(" ")
_HEX = np.frombuffer("".join(f"{byte:02x}" for byte in range(256)).encode(), "<u2")

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
Places = np.ndarray[Any, np.dtype[np.int32]]


class Cells(NamedTuple):
    """A column's cells: as they stand or, where `quoted`, without the quotes that belong around every one."""

    values: pa.StringArray
    quoted: bool

    def whole(self) -> pa.StringArray:
        return join(['"', self.values, '"']) if self.quoted else self.values


def quoted(values: pa.StringArray) -> Cells:
    """Put quotes around every value, and none around NULL."""
    return Cells(Cells(values, True).whole(), False) if values.null_count else Cells(values, True)


def pieces(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Cut a batch so that each piece has one row, or at most PIECE_BYTES and PIECE_CELLS."""
    is_small = batch.nbytes <= PIECE_BYTES and batch.num_rows * batch.num_columns <= PIECE_CELLS
    if batch.num_rows <= 1 or is_small:
        yield batch
        return
    half = batch.num_rows // 2
    yield from pieces(batch.slice(0, half))
    yield from pieces(batch.slice(half))


def strings(array: pa.Array) -> pa.StringArray:
    """See any column of text, or of nothing but NULL, as a plain string array."""
    return array if pa.types.is_string(array.type) else array.cast(pa.string())


def offsets(array: pa.StringArray) -> Places:
    """Where each value starts in the data buffer, and where the last one ends."""
    buffer = array.buffers()[1]
    if len(array) == 0 or buffer is None:
        return np.zeros(1, np.int32)
    return np.frombuffer(buffer, np.int32)[array.offset : array.offset + len(array) + 1]


def window(array: pa.StringArray) -> memoryview:
    """All values back to back. What stands under a NULL is in it too and may be anything."""
    bounds, data = offsets(array), array.buffers()[2]
    return memoryview(b"") if data is None else memoryview(data)[bounds[0] : bounds[-1]]


def byte_table(wanted: bytes) -> Mask:
    """Make a table of 256 truths from the bytes that are wanted."""
    table = np.zeros(256, np.bool_)
    table[list(wanted)] = True
    return table


def holds(array: pa.StringArray, wanted: bytes) -> bool:
    """Whether any of the wanted bytes stands anywhere in the column."""
    data = np.frombuffer(window(array), np.uint8)
    return any(bool((data == byte).any()) for byte in wanted)


def special(array: pa.StringArray, wanted: bytes) -> list[int]:
    """Give the control characters, and those of the wanted bytes, that stand anywhere in the column."""
    data = np.frombuffer(window(array), np.uint8)
    low = data[data < _SPACE]
    controls = np.flatnonzero(np.bincount(low, minlength=1)).tolist() if len(low) else []
    return [*controls, *(byte for byte in wanted if (data == byte).any())]


def contains(array: pa.StringArray, character: str) -> bool:
    """Whether a single ASCII character stands anywhere in the column."""
    return bool((np.frombuffer(window(array), np.uint8) == ord(character)).any())


def validity(array: pa.Array) -> Mask:
    if not array.null_count:
        return np.ones(len(array), np.bool_)
    marks = np.unpackbits(np.frombuffer(array.is_valid().buffers()[1], np.uint8), bitorder="little")
    return marks[: len(array)].view(np.bool_)


def byte_at(array: pa.StringArray, position: int) -> Bytes:
    """The byte at a place of each value, counted from its end where negative; 0 where there is none."""
    bounds, data = offsets(array), array.buffers()[2]
    if data is None or data.size == 0 or len(array) == 0:
        return np.zeros(len(array), np.uint8)
    starts, ends = bounds[:-1], bounds[1:]
    places = starts + position if position >= 0 else ends + position
    there = (places >= starts) & (places < ends) & validity(array)
    found = np.frombuffer(data, np.uint8)[np.where(there, places, 0)]
    return np.where(there, found, np.uint8(0))


def any_empty(array: pa.StringArray) -> bool:
    return bool(((np.diff(offsets(array)) == 0) & validity(array)).any())


def longest(array: pa.StringArray) -> int:
    """Give the length in bytes of the longest value; 0 for a column of NULL."""
    return int(np.diff(offsets(array)).max(initial=0, where=validity(array)))


def join(parts: Sequence[pa.StringArray | str], *, null: str | None = None) -> pa.StringArray:
    """Join columns and literals row by row. A NULL makes its row NULL, or is written as `null`."""
    scalars = [literals.text(part) if isinstance(part, str) else part for part in parts]
    if null is None:
        return pc.binary_join_element_wise(*scalars, literals.text(""))
    return pc.binary_join_element_wise(
        *scalars, literals.text(""), null_handling="replace", null_replacement=null
    )


def rows_of(cells: Sequence[Cells], before: Sequence[str], end: str, *, null: str) -> pa.StringArray:
    """Make rows: each cell with the literal before it, `null` for NULL, and at last `end`."""
    parts: list[pa.StringArray | str] = []
    literal = ""
    for (values, is_quoted), lead in zip(cells, before, strict=True):
        parts += [literal + lead + '"' if is_quoted else literal + lead, values]
        literal = '"' if is_quoted else ""
    return join([*parts, literal + end], null=null)


def hexadecimal(array: pa.Array) -> pa.StringArray:
    r"""Spell a binary column as `\x…`, lower case."""
    array = array.cast(pa.binary())
    bounds, data = offsets(array), window(array)
    digits = _HEX[np.frombuffer(data, np.uint8)]
    ends = (bounds.astype(np.int64) - bounds[0]) * 2
    spelled = pa.LargeStringArray.from_buffers(len(array), pa.py_buffer(ends), pa.py_buffer(digits))
    digits_of = spelled.cast(pa.string())
    return pc.if_else(array.is_valid(), join(["\\x", digits_of]), literals.nothing(pa.string()))


def select(
    mask: Mask | pa.BooleanArray, chosen: pa.StringArray | str, other: pa.StringArray | str
) -> pa.StringArray:
    """Take `chosen` where the mask is true, else `other`; a NULL of the mask counts as false."""
    truths = literals.truths(mask) if isinstance(mask, np.ndarray) else pc.and_kleene(mask, mask.is_valid())
    return pc.if_else(truths, *(literals.text(it) if isinstance(it, str) else it for it in (chosen, other)))
