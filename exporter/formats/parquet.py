"""Parquet through Arrow's own writer, one row group at a time."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from exporter.formats.base import WriterRequest
from exporter.formats.compression import Sink, open_sink
from exporter.sources.base import Column, Notice
from exporter.sources.types import arrow_type

MAX_HELD_BYTES = 32 << 20
GROUPS_BEFORE_GROWTH = (
    4096  # each group costs memory until the end, so that a long file must not have too many
)
_ZSTD_LEVEL = 1
_REPEATED = 10  # times, on average, that a value must stand in a row group to be worth a dictionary


def schema_of(columns: tuple[Column, ...]) -> pa.Schema:
    """Every field may be NULL, whatever was declared: SQLite does not hold itself to NOT NULL everywhere."""
    return pa.schema(
        pa.field(column.name, arrow_type(column), metadata={"database_type": column.database_type})
        for column in columns
    )


def open_writer(request: WriterRequest) -> "ParquetWriter":
    return ParquetWriter(request)


class ParquetWriter:
    """Holds batches until a row group is full, by rows or by bytes."""

    def __init__(self, request: WriterRequest) -> None:
        self._sink = open_sink(request.stream, "none", "")
        self._gate = _Gate(self._sink)
        self._schema = schema_of(request.columns)
        self._compression = request.options["compression"]
        self._group_size = request.options["row_group_size"]
        self._held: list[pa.RecordBatch] = []
        self._held_rows = 0
        self._held_bytes = 0
        self._groups = 0
        self._footers: list[pq.FileMetaData] = []
        self._writer: pq.ParquetWriter | None = None

    @property
    def rows_in_file(self) -> int:
        return sum(
            footer.row_group(number).num_rows
            for footer in self._footers
            for number in range(footer.num_row_groups)
        )

    def write(self, batch: pa.RecordBatch) -> None:
        batch = pa.RecordBatch.from_arrays(batch.columns, schema=self._schema)
        while batch.num_rows:
            room = self._target() - self._held_rows
            part, batch = batch.slice(0, room), batch.slice(room)
            self._held.append(part)
            self._held_rows += part.num_rows
            self._held_bytes += part.nbytes
            if self._is_full():
                self._flush()

    def finish(self) -> None:
        if self._held or self._writer is None:
            self._flush()
        with self._gate:
            self._opened().close()
        self._sink.finish()

    def abandon(self) -> None:
        """The gate is shut: whatever Arrow writes when it lets go of its writer does not reach the file."""
        self._held = []
        if self._writer is not None:
            self._writer.is_open = False  # else it would close itself once more when it is forgotten
            self._writer = None
        self._sink.abandon()

    def notices(self) -> tuple[Notice, ...]:
        return ()

    def _target(self) -> int:
        return int(self._group_size << (self._groups // GROUPS_BEFORE_GROWTH))

    def _is_full(self) -> bool:
        return self._held_rows >= self._target() or self._held_bytes >= MAX_HELD_BYTES

    def _flush(self) -> None:
        table = pa.Table.from_batches(self._held, schema=self._schema)
        self._held, self._held_rows, self._held_bytes = [], 0, 0
        with self._gate:
            writer = self._opened(table)
            if table.num_rows:
                writer.write_table(table, row_group_size=table.num_rows)
                self._groups += 1

    def _opened(self, first: pa.Table | None = None) -> pq.ParquetWriter:
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self._gate,
                self._schema,
                compression=self._compression,
                compression_level=_ZSTD_LEVEL if self._compression == "zstd" else None,
                use_dictionary=_repetitive(first) if first is not None else False,
                store_decimal_as_integer=True,
                write_page_checksum=True,
                metadata_collector=self._footers,
            )
        return self._writer


class _Gate:
    """A file that takes bytes only while it is entered.

    Arrow finishes a file when its writer is closed or merely forgotten; a file left by an exception must stay
    unfinished.
    """

    closed = False

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._is_open = False

    def __enter__(self) -> None:
        self._is_open = True

    def __exit__(self, *_: object) -> None:
        self._is_open = False

    def write(self, data: Any) -> int:
        return self._sink.write(data) if self._is_open else memoryview(data).nbytes

    def flush(self) -> None:
        """Nothing is buffered here."""

    def close(self) -> None:
        """The sink is finished by its owner."""


def _repetitive(table: pa.Table) -> list[str]:
    """Name the columns worth a dictionary, judged by the first row group."""
    most = table.num_rows // _REPEATED
    return [
        name
        for name, values in zip(table.column_names, table.columns, strict=True)
        if _has_at_most(values.slice(0, 2 * most), most) and _has_at_most(values, most)
    ]


def _has_at_most(values: pa.ChunkedArray, distinct: int) -> bool:
    return bool(pc.count_distinct(values).as_py() <= distinct)
