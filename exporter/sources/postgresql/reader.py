"""One running SELECT on a PostgreSQL source, as record batches."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pyarrow as pa

from exporter.failures import QueryFailed, ValueUnwritable
from exporter.sources.base import Column, Form, Notice, SchemaBroken
from exporter.sources.postgresql.copyblocks import Block
from exporter.sources.postgresql.copytext import TextParser, convert_options, parse
from exporter.sources.postgresql.copytyped import TypedParser, lost_notices
from exporter.sources.postgresql.pages import Part
from exporter.sources.postgresql.parts import Help, Rows
from exporter.sources.postgresql.session import Session
from exporter.sources.sharing import Lost

Parser = TextParser | TypedParser


class Illegible(Exception):
    """A text that is not UTF-8, in a row of its block, from 1."""

    def __init__(self, row: int, column: str) -> None:
        super().__init__(row, column)
        self.row = row
        self.column = column

    def within(self, rows: int) -> ValueUnwritable:
        """Say so, after this many rows."""
        return ValueUnwritable(row=rows + self.row, column=self.column, reason="the text is not valid UTF-8")


class PostgresqlReader:
    def __init__(
        self,
        session: Session,
        parts: Sequence[Part],
        columns: tuple[Column, ...],
        form: Form,
        streams: int = 1,
        *,
        shared: Help | None = None,
    ) -> None:
        """Read all `parts` of a statement, up to `streams` of them at once, and some by others if these are given."""
        if not columns:
            raise QueryFailed(reason="it has no columns")
        self.columns = columns
        make: Callable[[Sequence[Column]], Parser] = TextParser if form is Form.TEXT else TypedParser
        self._parsers = [make(columns) for _ in range(streams)]
        conversions = [partial(self._batch, parser) for parser in self._parsers]
        self._rows = Rows(session, parts, conversions, shared=shared)

    def batches(self) -> Iterator[pa.RecordBatch]:
        rows = 0
        try:
            for batch in self._rows.items():
                rows += batch.num_rows
                yield batch
        except Illegible as exc:
            raise exc.within(rows) from exc
        finally:
            self.close()

    @property
    def lost(self) -> Lost:
        """How many values became NULL; final once `batches` is exhausted."""
        return sum([*(parser.lost for parser in self._parsers), *self._rows.lost], Counter())

    def notices(self) -> tuple[Notice, ...]:
        return lost_notices(self.columns, [self.lost])

    def close(self) -> None:
        self._rows.close()

    def _batch(self, parser: Parser, block: Block) -> pa.RecordBatch:
        try:
            arrays = parser.parse(block)
        except pa.ArrowInvalid as exc:
            raise self._misfit(block, exc) from exc
        return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in self.columns])

    def _misfit(self, block: Block, exc: pa.ArrowInvalid) -> Exception:
        """Find the value that is no text, as a database of encoding SQL_ASCII may hold it; else blame the schema."""
        raw = parse(block, convert_options([pa.binary()] * len(self.columns)))
        faults = [
            (row + 1, column.name)
            for column, array in zip(self.columns, raw, strict=True)
            if (row := _first_illegible(array)) is not None
        ]
        return Illegible(*min(faults)) if faults else SchemaBroken(str(exc))


def _first_illegible(array: pa.Array) -> int | None:
    try:
        array.cast(pa.string())
    except pa.ArrowInvalid:
        return next(
            row for row, value in enumerate(array.to_pylist()) if value is not None and not _legible(value)
        )
    return None


def _legible(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
