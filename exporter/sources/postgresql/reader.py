"""One running SELECT on a PostgreSQL source, as record batches."""

from collections.abc import Iterator

import pyarrow as pa

from exporter.errors import QueryFailed, ValueUnwritable
from exporter.sources.base import Column, Form, Notice, SchemaBroken
from exporter.sources.postgresql.copyblocks import Block, CopyStream
from exporter.sources.postgresql.copytext import TextParser, convert_options, parse
from exporter.sources.postgresql.copytyped import TypedParser
from exporter.sources.postgresql.session import Session


class PostgresqlReader:
    def __init__(self, session: Session, select: bytes, columns: tuple[Column, ...], form: Form) -> None:
        if not columns:
            raise QueryFailed(reason="it has no columns")
        self.columns = columns
        self._rows = 0
        self._stream = CopyStream(session, select)
        self._parser = TextParser(columns) if form is Form.TEXT else TypedParser(columns)

    def batches(self) -> Iterator[pa.RecordBatch]:
        names = [column.name for column in self.columns]
        for block in self._stream.blocks():
            try:
                arrays = self._parser.parse(block)
            except pa.ArrowInvalid as exc:
                raise self._misfit(block, exc) from exc
            self._rows += block.rows
            yield pa.RecordBatch.from_arrays(arrays, names=names)

    def notices(self) -> tuple[Notice, ...]:
        return self._parser.notices()

    def close(self) -> None:
        self._stream.close()

    def _misfit(self, block: Block, exc: pa.ArrowInvalid) -> Exception:
        """Find the value that is no text, as a database of encoding SQL_ASCII may hold it; else blame the schema."""
        raw = parse(block, convert_options([pa.binary()] * len(self.columns)))
        faults = [
            (row, column.name)
            for column, array in zip(self.columns, raw, strict=True)
            if (row := _first_illegible(array)) is not None
        ]
        if not faults:
            return SchemaBroken(str(exc))
        row, name = min(faults)
        return ValueUnwritable(row=self._rows + row + 1, column=name, reason="the text is not valid UTF-8")


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
