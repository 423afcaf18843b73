"""The two ways that rows come: as record batches, or as text that the database spelled for the writer."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, cast

from exporter.failures import ReceiptMismatch
from exporter.formats.base import TextWriter, Writer
from exporter.sources.base import Column, Notice, Reader, RowText, TextChunk, TextReader

if TYPE_CHECKING:
    import pyarrow as pa


class Opened(Protocol):
    """What the readers of both kinds have in common."""

    columns: tuple[Column, ...]

    def notices(self) -> tuple[Notice, ...]: ...

    def close(self) -> None: ...


class Feed(Protocol):
    """A reader's pieces, whatever they are. `write` gives the NULLs of each column."""

    @property
    def reader(self) -> Opened: ...

    def pieces(self) -> Iterable[Any]: ...

    def size(self, piece: Any, /) -> int: ...

    def rows(self, piece: Any, /) -> int: ...

    def first(self, piece: Any, rows: int, /) -> Any: ...

    def write(self, writer: Writer, piece: Any, /) -> Sequence[int]: ...


class BatchFeed:
    def __init__(self, reader: Reader) -> None:
        self.reader = reader

    def pieces(self) -> "Iterable[pa.RecordBatch]":
        return self.reader.batches()

    def size(self, batch: "pa.RecordBatch") -> int:
        return int(batch.nbytes)

    def rows(self, batch: "pa.RecordBatch") -> int:
        return int(batch.num_rows)

    def first(self, batch: "pa.RecordBatch", rows: int) -> "pa.RecordBatch":
        return batch.slice(0, rows)

    def write(self, writer: Writer, batch: "pa.RecordBatch") -> Sequence[int]:
        writer.write(batch)
        return [values.null_count for values in batch.columns]


class TextFeed:
    """Chunks of text: the writer counts rows from the bytes, and each chunk is held to the database's own count."""

    def __init__(self, reader: TextReader, row: RowText) -> None:
        self.reader = reader
        self._row = row

    def pieces(self) -> Iterable[TextChunk]:
        return self.reader.chunks()

    def size(self, chunk: TextChunk) -> int:
        return len(chunk.data)

    def rows(self, chunk: TextChunk) -> int:
        return chunk.rows

    def first(self, chunk: TextChunk, rows: int) -> TextChunk:
        from exporter.formats.rowtext import first_rows

        return TextChunk(data=first_rows(chunk.data, rows, self._row), rows=rows)

    def write(self, writer: Writer, chunk: TextChunk) -> Sequence[int]:
        taker = cast("TextWriter", writer)
        before = taker.rows_in_file
        nulls = taker.write_text(chunk.data, chunk.rows)
        written = taker.rows_in_file - before
        if written != chunk.rows:
            raise ReceiptMismatch(read=chunk.rows, written=written)
        return nulls
