r"""One running SELECT whose rows PostgreSQL writes itself, as CSV.

`COPY … CSV` with the columns of text under FORCE_QUOTE is, byte for byte, what the writer of CSV makes of a TEXT read:
both get every value from its type's output function; NULL is nothing; a quoted value has its quotes doubled; and what
stands bare, numbers, dates, times and truths, is quoted where the delimiter is in it.
"""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from io import StringIO

import numpy as np
import pyarrow as pa

from exporter.sources.base import Cells, Column, Kind, Notice, RowText, TextChunk
from exporter.sources.postgresql.copyblocks import Block
from exporter.sources.postgresql.pages import Part
from exporter.sources.postgresql.parts import Help, Rows
from exporter.sources.postgresql.reader import Illegible
from exporter.sources.postgresql.session import Session
from exporter.sources.sharing import Lost

BARE = frozenset(
    {
        Kind.INTEGER,
        Kind.FLOAT,
        Kind.DECIMAL,
        Kind.BOOLEAN,
        Kind.DATE,
        Kind.TIME,
        Kind.TIMESTAMP,
        Kind.TIMESTAMPTZ,
    }
)
MAX_NAME = 63  # bytes, to which PostgreSQL cuts a longer name
LINE = "\n"


def copy_options(columns: Sequence[Column], text: RowText) -> bytes | None:
    """Give the options that make COPY write such rows; None where none do."""
    if not columns or (len(columns) == 1 and columns[0].kind in BARE):
        return None  # a lone column does not tell which delimiter its numbers may hold
    delimiter = text.before[-1] or ","
    asked = (text.cells, text.before, text.end + text.between)
    if asked != (Cells.CSV, ("", *[delimiter] * (len(columns) - 1)), LINE):
        return None
    if len(delimiter) != 1 or not delimiter.isascii() or delimiter in '"\r\n\0':
        return None
    names = [column.name for column in columns if column.kind not in BARE]
    if len({column.name for column in columns}) < len(columns) or any(map(_is_cut, names)):
        return None
    force = f", FORCE_QUOTE ({', '.join(map(_identifier, names))})" if names else ""
    return f" (FORMAT csv, DELIMITER {_literal(delimiter)}{force})".encode()


def _is_cut(name: str) -> bool:
    return len(name.encode()) > MAX_NAME


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(character: str) -> str:
    return "'" + character.replace("'", "''") + "'"


class PostgresqlTextReader:
    def __init__(
        self,
        session: Session,
        parts: Sequence[Part],
        columns: tuple[Column, ...],
        text: RowText,
        streams: int,
        options: bytes,
        *,
        shared: Help | None = None,
    ) -> None:
        """Read all `parts` of a statement, up to `streams` of them at once, under COPY's `options`."""
        self.columns = columns
        self.lost: Lost = Counter()  # nothing ever is
        self._delimiter = text.before[-1] or ","
        convert = partial(self._chunk, unended=len(text.between))
        self._rows = Rows(session, parts, [convert] * streams, options, shared)

    def chunks(self) -> Iterator[TextChunk]:
        rows = 0
        try:
            for chunk in self._rows.items():
                rows += chunk.rows
                yield chunk
        except Illegible as exc:
            raise exc.within(rows) from exc
        finally:
            self.close()

    def notices(self) -> tuple[Notice, ...]:
        return ()

    def close(self) -> None:
        self._rows.close()

    def _chunk(self, block: Block, *, unended: int) -> TextChunk:
        if not _legible(block.data):
            raise self._misfit(block)
        return TextChunk(data=block.data[: len(block.data) - unended], rows=block.rows)

    def _misfit(self, block: Block) -> Illegible:
        """Find the first value that is no text; latin-1 keeps bytes apart and never fails."""
        lines = csv.reader(StringIO(block.data.decode("latin-1"), newline=""), delimiter=self._delimiter)
        return next(
            Illegible(row, column.name)
            for row, cells in enumerate(lines, 1)
            for column, cell in zip(self.columns, cells, strict=True)
            if not _legible(cell.encode("latin-1"))
        )


def _legible(data: bytes) -> bool:
    if data.isascii():
        return True
    whole = pa.Array.from_buffers(
        pa.binary(), 1, [None, pa.py_buffer(np.array([0, len(data)], np.int32)), pa.py_buffer(data)]
    )
    try:
        whole.cast(pa.string())
    except pa.ArrowInvalid:
        return False
    return True
