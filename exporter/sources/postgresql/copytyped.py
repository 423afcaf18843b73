"""Blocks of COPY's text format as typed columns.

A block is parsed straight to its types, which is exact for every value that parses. A block that holds a value beyond
them (`infinity`, a year BC, `NaN` among decimals) is parsed again with its dates, times and decimals as text, and
those are turned into values one column at a time. What a type has no value for becomes NULL and is counted.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import pyarrow as pa

from exporter.sources.base import Column, Notice
from exporter.sources.postgresql.copyblocks import Block
from exporter.sources.postgresql.copytext import convert_options, has_escapes, parse, unescaped
from exporter.sources.postgresql.copyvalues import held
from exporter.sources.sharing import Lost
from exporter.sources.types import arrow_type

MESSAGES = {
    "infinity_as_null": "infinite dates or times have no value in this type and were written as NULL",
    "out_of_range_as_null": "dates or times are out of this type's range and were written as NULL",
    "nan_as_null": "values NaN or Infinity have no value in this type and were written as NULL",
    "time_24_as_null": "times of 24:00 have no value in this type and were written as NULL",
}


def lost_notices(columns: Sequence[Column], counts: Iterable[Lost]) -> tuple[Notice, ...]:
    """Tell of all values that became NULL, whichever parser met them."""
    return tuple(
        Notice(
            code=code,
            count=count,
            message=f"Column {columns[position].name!r}: {count} {MESSAGES[code]}",
        )
        for (position, code), count in sorted(sum(counts, Counter()).items())
    )


class TypedParser:
    """Turns blocks into arrays of the columns' types, and counts the values that became NULL."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._types = [arrow_type(column) for column in columns]
        self._fast = convert_options([_parsed(kind) for kind in self._types])
        self._slow = convert_options([_cautious(kind) for kind in self._types])
        self.lost: Lost = Counter()

    def parse(self, block: Block) -> list[pa.Array]:
        """Raises pa.ArrowInvalid where a value is none of its column's type."""
        try:
            arrays = parse(block, self._fast)
        except pa.ArrowInvalid:
            arrays = parse(block, self._slow)
        escaped = has_escapes(block.data)
        return [self._settled(position, array, escaped=escaped) for position, array in enumerate(arrays)]

    def _settled(self, position: int, array: pa.Array, *, escaped: bool) -> pa.Array:
        wanted = self._types[position]
        if array.type == wanted != pa.binary():
            return unescaped(array) if escaped and wanted == pa.string() else array
        values, lost = held(array, wanted)
        for code, count in lost.items():
            if count:
                self.lost[position, code] += count
        return values


def _parsed(wanted: pa.DataType) -> pa.DataType:
    """Give the type that the parser reads: it knows no decimal of 256 bits, and a binary column's hex as it is."""
    return pa.string() if pa.types.is_decimal256(wanted) else wanted


def _cautious(wanted: pa.DataType) -> pa.DataType:
    special = pa.types.is_temporal(wanted) or pa.types.is_decimal(wanted)
    return pa.string() if special else _parsed(wanted)
