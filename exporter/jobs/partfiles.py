"""A part of a table as a file: what a reader yields, as an Arrow IPC stream. A part without rows is an empty file."""

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from exporter.sources.base import TextChunk
from exporter.storage.staging import Staged

END = b"\xff\xff\xff\xff\0\0\0\0"  # of an IPC stream


def write_pieces(file: Staged, pieces: Iterable[Any]) -> None:
    """Write chunks of text or record batches, one at a time in memory."""
    for place, piece in enumerate(pieces):
        batch = _packed(piece) if isinstance(piece, TextChunk) else piece
        if place == 0:
            file.write(batch.schema.serialize())
        file.write(batch.serialize())
    if file.tell():
        file.write(END)


def read_pieces(file: BinaryIO, *, size: int, text: bool) -> Iterator[Any]:
    """Yield what was written; `text` says that it was chunks."""
    import pyarrow as pa

    if not size:
        return
    with pa.ipc.open_stream(file) as batches:
        for batch in batches:
            yield _unpacked(batch) if text else batch


def _packed(chunk: TextChunk) -> Any:
    import pyarrow as pa

    columns = {"data": pa.array([chunk.data], pa.large_binary()), "rows": pa.array([chunk.rows], pa.int64())}
    return pa.RecordBatch.from_pydict(columns)


def _unpacked(batch: Any) -> TextChunk:
    return TextChunk(data=batch["data"][0].as_py(), rows=batch["rows"][0].as_py())
