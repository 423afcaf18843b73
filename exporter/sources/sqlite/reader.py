"""One running SELECT on a SQLite source, as record batches."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import apsw
import pyarrow as pa

from exporter.failures import QueryFailed, ValueUnwritable
from exporter.sources.base import Column, Form, Kind, Notice, SchemaBroken, Statement
from exporter.sources.sqlite.illegible import as_blobs, unwritable
from exporter.sources.sqlite.query import MAX_COLUMNS, around, sized
from exporter.sources.sqlite.session import Session
from exporter.sources.sqlite.survey import survey
from exporter.sources.sqlite.values import carried, spelled, variant
from exporter.sources.types import arrow_type

BATCH_BYTES = 4 << 20
BATCH_ROWS = 16_384
BATCH_VALUES = 1 << 19
SLICE_BYTES = 1 << 20
SLICE_ROWS = 256  # few enough that a slice's objects stay in the processor's cache
SLICE_VALUES = 1 << 17

Rows = list[tuple[Any, ...]]


class SqliteReader:
    """A cursor that gathers slices of rows into batches.

    A slice is turned into arrays at once. In a TEXT read a column whose values do not fit comes as VARIANT for that
    slice, and a batch ends where the columns' types change.
    """

    def __init__(self, session: Session, statement: Statement, form: Form, *, careful: bool) -> None:
        self._session = session
        self._statement = statement
        self._form = form
        self._careful = careful
        self._rows = 0
        self._cursor: apsw.Cursor | None = None
        session.watch.start()
        found = survey(session, statement) if careful and form is Form.TYPED else None
        self.columns: tuple[Column, ...] = found.columns if found else statement.columns
        self._spelled = found.mixed if found else frozenset[int]()
        self._notices = found.notices if found else ()
        self._types = [_target(column, form) for column in self.columns]
        self._positions = range(len(self.columns))

    def batches(self) -> Iterator[pa.RecordBatch]:
        pieces: list[list[pa.Array]] = []
        rows = size = 0
        for slice_rows, slice_size in self._slices():
            piece = self._arrays(slice_rows)
            if pieces and _types(piece) != _types(pieces[-1]):
                yield self._batch(pieces)
                pieces, rows, size = [], 0, 0
            pieces.append(piece)
            rows, size = rows + len(slice_rows), size + slice_size
            if rows >= BATCH_ROWS or size >= BATCH_BYTES or rows * len(self.columns) >= BATCH_VALUES:
                yield self._batch(pieces)
                pieces, rows, size = [], 0, 0
        if pieces:
            yield self._batch(pieces)

    def notices(self) -> tuple[Notice, ...]:
        return self._notices

    def close(self) -> None:
        if self._cursor is not None:
            self._cursor.close(True)
            self._cursor = None

    def _slices(self) -> Iterator[tuple[Rows, int]]:
        """Yield some rows and their size; a slice ends early where its rows are large."""
        measured = len(self.columns) < MAX_COLUMNS
        cursor = self._cursor = self._execute(sized(self._statement) if measured else self._statement.sql)
        limit = max(1, min(SLICE_ROWS, SLICE_VALUES // len(self.columns))) if measured else 1
        while True:
            self._session.watch.check()
            rows, size = self._slice(cursor, limit, measured=measured)
            if not rows:
                return
            yield rows, size

    def _slice(self, cursor: apsw.Cursor, limit: int, *, measured: bool) -> tuple[Rows, int]:
        rows: Rows = []
        size = 0
        try:
            with self._session.failures():
                for row in islice(cursor, limit):
                    rows.append(row)
                    size += row[-1] if measured else BATCH_BYTES
                    if size > SLICE_BYTES:
                        break
        except UnicodeDecodeError as exc:
            raise self._misspelt(self._rows + len(rows)) from exc
        self._rows += len(rows)
        return rows, size

    def _execute(self, sql: str) -> apsw.Cursor:
        return self._session.execute(sql, self._statement.parameters)

    def _misspelt(self, before: int) -> ValueUnwritable:
        """Find the column of the row after `before` rows whose text is not what the file's encoding says."""
        names = [f"c{position}" for position in range(len(self.columns))]
        rows = self._execute(f"{around(self._statement, as_blobs(names))} LIMIT 1 OFFSET {before}")
        return unwritable(rows, before, self.columns, self._session.encoding)

    def _arrays(self, rows: Rows) -> list[pa.Array]:
        return [
            self._array(position, values)
            for position, values in zip(self._positions, zip(*rows, strict=True), strict=False)
        ]

    def _array(self, position: int, values: Sequence[object]) -> pa.Array:
        if position in self._spelled:
            return spelled(values)
        wanted = self._types[position]
        array = variant(values) if wanted is None else carried(values, wanted, self._form)
        if array is None:
            raise self._broken(self.columns[position].name)
        return array

    def _broken(self, name: str) -> Exception:
        """Ask for a careful read; a statement that tells other values at each read cannot be exported."""
        if self._careful:
            return QueryFailed(reason=f"the values of column {name!r} change from one read to the next")
        return SchemaBroken(name)

    def _batch(self, pieces: list[list[pa.Array]]) -> pa.RecordBatch:
        arrays = [pa.concat_arrays(column) for column in zip(*pieces, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in self.columns])


def _types(arrays: list[pa.Array]) -> list[pa.DataType]:
    return [array.type for array in arrays]


def _target(column: Column, form: Form) -> pa.DataType | None:
    """Give the type to try first; None where a TEXT read knows that only a struct of each value's kind will do."""
    return None if column.kind is Kind.VARIANT and form is Form.TEXT else arrow_type(column)
