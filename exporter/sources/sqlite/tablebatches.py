"""Every row of a table as batches of one schema: SQLite spells parts of it, and Arrow parses them.

Each part proves that its values are of the announced types. SQLite tells that no text or blob is among the numbers, so
that only texts and blobs have quotes, and these are counted; Arrow takes no real number for an integer. In a TEXT
read reals stay as SQLite spelled them. A part that leaves a doubt is looked at value by value.
"""

from binascii import unhexlify
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from exporter.failures import QueryFailed
from exporter.sources.base import Column, Form, Kind, Notice, SchemaBroken
from exporter.sources.sqlite.illegible import legible, unwritable_in
from exporter.sources.sqlite.parts import Part, Parts, Range
from exporter.sources.sqlite.reflection import quoted
from exporter.sources.sqlite.session import Session
from exporter.sources.sqlite.snapshot import Snapshot
from exporter.sources.sqlite.stored import RowTable, Stored
from exporter.sources.sqlite.textsql import (
    ARGUMENTS,
    concatenated,
    has_blob,
    has_text_or_blob,
    may_be_infinite,
    unescaped,
)
from exporter.sources.sqlite.values import LONG, carried
from exporter.sources.types import arrow_type

UTF8 = "UTF-8"
EXACT = float(1 << 53)  # from here on a double may stand for several integers
_KINDS = frozenset({Kind.INTEGER, Kind.FLOAT, Kind.TEXT, Kind.BINARY})
KINDS = {Form.TYPED: _KINDS | {Kind.VARIANT}, Form.TEXT: _KINDS}
NUMBERS = frozenset({Kind.INTEGER, Kind.FLOAT})
LONG_DIGITS = len(str(LONG))
_LONG_INTEGER = rf"^-?\d{{{LONG_DIGITS},}}$"
_EDGES = ("first", "last")  # columns of zeros, so that no value touches a bracket


class TableBatches:
    def __init__(self, snapshot: Snapshot, table: RowTable, columns: tuple[Column, ...], form: Form) -> None:
        self.columns = columns
        self._form = form
        self._session = snapshot.session
        self._session.watch.start()
        self._row_ids = table.row_ids
        self._types = [arrow_type(column) for column in columns]
        self._parser = _Parser(columns, form)
        self._names = [quoted(column.name) for column in columns]
        self._sql = _part_sql(self._names, columns, table)
        self._rows = 0
        self._parts: Parts[pa.RecordBatch | Range] = Parts(snapshot, table.row_ids, self._read)

    def batches(self) -> Iterator[pa.RecordBatch]:
        for part in self._parts:
            if isinstance(part.value, Range):
                raise unwritable_in(self._session, self._row_ids, part.value, self._rows, self.columns)
            self._rows += part.rows
            yield part.value

    def notices(self) -> tuple[Notice, ...]:
        return ()

    def close(self) -> None:
        self._parts.close()

    def _read(self, session: Session, part: Range, most: int) -> Part[pa.RecordBatch | Range] | None:
        """Give the range itself where a text in it is not valid.

        Doubtful bytes are read again value by value: of a blob that passes for SQLite's binary JSON, any may have come.
        """
        try:
            found = session.within(most, self._sql, (part.low, part.high))
        except QueryFailed as exc:  # of a blob that stands bare
            session.watch.check()
            raise SchemaBroken(self.columns[0].name) from exc
        if found is None:
            return None
        ((data, rows, doubtful),) = found
        if not rows:
            return Part(part, 0, 0)
        if not doubtful and not legible(data, UTF8):
            return Part(part, rows, len(data))
        arrays = None if doubtful else self._parser.arrays(data, rows)
        try:
            arrays = arrays or self._one_by_one(session, part)
        except UnicodeDecodeError:
            return Part(part, rows, len(data))
        batch = pa.RecordBatch.from_arrays(arrays, names=[column.name for column in self.columns])
        return Part(batch, rows, len(data))

    def _one_by_one(self, session: Session, part: Range) -> list[pa.Array]:
        sql = f"SELECT {', '.join(self._names)}{self._row_ids.within} ORDER BY {self._row_ids.name}"
        columns = zip(*session.rows(sql, (part.low, part.high)), strict=True)
        return [
            self._fitted(values, wanted, column.name)
            for values, wanted, column in zip(columns, self._types, self.columns, strict=True)
        ]

    def _fitted(self, values: Sequence[object], wanted: pa.DataType, name: str) -> pa.Array:
        array = carried(values, wanted, self._form)
        if array is None:
            raise SchemaBroken(name)
        return array


class _Parser:
    """Turns rows of JSON into arrays; gives None where a value may not be what its column announced."""

    def __init__(self, columns: tuple[Column, ...], form: Form) -> None:
        self._names = [f"c{place}" for place in range(len(columns))]
        self._types = [arrow_type(column) for column in columns]
        as_text = {pa.binary(), pa.float64()} if form is Form.TEXT else {pa.binary()}
        self._parsed = [pa.string() if wanted in as_text else wanted for wanted in self._types]

    def arrays(self, data: bytes, rows: int) -> list[pa.Array] | None:
        try:
            table = self._table(data)
        except pa.ArrowInvalid:
            return None
        if table.num_rows != rows:
            return None
        arrays = [column.chunk(0) for column in table.columns]  # one block, one chunk
        if self._quoted(arrays) * 2 != _quotes(data) or not self._clear(arrays, data):
            return None
        return [
            _binary(array) if wanted == pa.binary() else array
            for array, wanted in zip(arrays, self._types, strict=True)
        ]

    def _table(self, data: bytes) -> pa.Table:
        escaped = b"\\" in data
        plain = unescaped(data) if escaped else data
        return csv.read_csv(
            pa.BufferReader(plain),
            read_options=csv.ReadOptions(
                use_threads=False,
                block_size=len(plain) + 1,
                column_names=[_EDGES[0], *self._names, _EDGES[1]],
            ),
            parse_options=csv.ParseOptions(newlines_in_values=escaped),
            convert_options=csv.ConvertOptions(
                include_columns=self._names,
                column_types=dict(zip(self._names, self._parsed, strict=True)),
                null_values=["null"],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                check_utf8=False,
            ),
        )

    def _quoted(self, arrays: list[pa.Array]) -> int:
        quoted = {pa.string(), pa.binary()}
        return sum(
            len(array) - array.null_count
            for array, wanted in zip(arrays, self._types, strict=True)
            if wanted in quoted
        )

    def _clear(self, arrays: list[pa.Array], data: bytes) -> bool:
        reals = [array for array, wanted in zip(arrays, self._types, strict=True) if wanted == pa.float64()]
        if any(array.type == pa.string() for array in reals) and may_be_infinite(data):
            return False
        return all(_short(array) if array.type == pa.string() else _small(array) for array in reals)


def _part_sql(names: list[str], columns: tuple[Column, ...], table: RowTable) -> str:
    """Spell a part, count its rows, and tell where what Arrow parses would not prove the types."""
    pairs = list(zip(names, columns, table.columns, strict=True))
    cells = ["0", *[_cell(name, column, stored) for name, column, stored in pairs], "0"]
    numbers = [name for name, column, _ in pairs if column.kind in NUMBERS]
    texts = [name for name, column, _ in pairs if column.kind not in {*NUMBERS, Kind.BINARY}]
    signed = [name for name, column, stored in pairs if stored is None and column.kind in NUMBERS]
    doubts = [has_text_or_blob(numbers), has_blob(texts), *map(_is_minus_zero, signed)]
    return (
        f"SELECT CAST(group_concat({_row(cells)}, char(10)) AS BLOB), count(*),"
        f" count(CASE WHEN {_any(doubts)} THEN 1 END){table.row_ids.within}"
    )


def _row(cells: list[str]) -> str:
    if len(cells) <= ARGUMENTS:
        return f"json_array({', '.join(cells)})"
    spelled = [part for cell in cells for part in ("','", f"json_quote({cell})")]
    return concatenated(spelled[1:])


def _cell(name: str, column: Column, stored: Stored | None) -> str:
    """Anything but a blob in a column of blobs gets no quotes, and so cannot pass for one."""
    if column.kind is Kind.BINARY:
        return f"CASE typeof({name}) WHEN 'blob' THEN hex({name}) WHEN 'null' THEN NULL ELSE 0 END"
    if stored is None and column.kind not in NUMBERS:
        return f"CASE typeof({name}) WHEN 'text' THEN {name} || '' ELSE {name} END"
    return name


def _is_minus_zero(name: str) -> str:
    """JSON writes it without its sign; values that went through an affinity are none."""
    return f"({name} = 0.0 AND atan2({name}, -1) < 0)"


def _any(conditions: Sequence[str]) -> str:
    """Join in pairs of halves: SQLite allows expressions up to 1000 deep."""
    if len(conditions) == 1:
        return f"({conditions[0]})"
    middle = len(conditions) // 2
    return f"({_any(conditions[:middle])} OR {_any(conditions[middle:])})"


def _quotes(data: bytes) -> int:
    """Count the quotes around texts, which are those that are not escaped."""
    quotes = int(np.count_nonzero(np.frombuffer(data, np.uint8) == ord('"')))
    return quotes - data.replace(rb"\\", b"").count(rb"\"") if b"\\" in data else quotes


def _small(array: pa.DoubleArray) -> bool:
    """Doubles must be too small to stand for several integers, which may be what they were."""
    if array.null_count == len(array):
        return True
    ends = pc.min_max(array)
    return bool(ends["min"].as_py() > -EXACT and ends["max"].as_py() < EXACT)


def _short(spelled: pa.StringArray) -> bool:
    """No integer among reals may have more digits than every program keeps."""
    lengths = np.diff(np.frombuffer(spelled.buffers()[1], np.int32)[: len(spelled) + 1])
    if lengths.max(initial=0) < LONG_DIGITS:
        return True
    return not pc.any(pc.match_substring_regex(spelled, _LONG_INTEGER)).as_py()


def _binary(digits: pa.StringArray) -> pa.BinaryArray:
    validity, bounds, data = digits.buffers()
    ends = np.frombuffer(bounds, np.int32)[: len(digits) + 1]
    blobs = unhexlify(memoryview(data)[: ends[-1]]) if data is not None else b""
    return pa.Array.from_buffers(
        pa.binary(), len(digits), [validity, pa.py_buffer(ends // 2), pa.py_buffer(blobs)]
    )
