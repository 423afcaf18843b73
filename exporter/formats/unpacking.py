"""Reading a compressed file back, with an error where its end is missing."""

import gzip
import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from exporter.errors import FileDamaged

_BLOCK = 1 << 20
_PACKED_BLOCK = 1 << 13  # of zstd: what it unpacks to has no bound of its own


@contextmanager
def unpacked(path: Path, compression: str) -> Iterator[Any]:
    """Open a file's contents. Reading may raise FileDamaged, and what `gzip`, `zlib` and `zipfile` raise."""
    match compression:
        case "gzip":
            with gzip.open(path, "rb") as stream:
                yield stream
        case "zstd":
            with path.open("rb") as packed, io.BufferedReader(_ZstdReader(packed), _BLOCK) as buffered:
                yield buffered
        case "zip":
            with zipfile.ZipFile(path) as archive, archive.open(_only_member(archive)) as member:
                yield member
        case _:
            with path.open("rb") as plain:
                yield plain


def _only_member(archive: zipfile.ZipFile) -> str:
    names = archive.namelist()
    if len(names) != 1:
        raise FileDamaged(reason=f"it holds {len(names)} files, not one")
    return names[0]


class _ZstdReader(io.RawIOBase):
    """zstandard's own reader ends silently where a frame is cut short; this one does not."""

    def __init__(self, packed: IO[bytes]) -> None:
        import zstandard

        self._packed = packed
        self._unpacker = zstandard.ZstdDecompressor().decompressobj()
        self._held = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._held and not self._unpacker.eof:
            self._held = memoryview(self._unpacked_block())
        self._refuse_rest()
        count = min(len(buffer), len(self._held))
        buffer[:count] = self._held[:count]
        self._held = self._held[count:]
        return count

    def _unpacked_block(self) -> bytes:
        import zstandard

        block = self._packed.read(_PACKED_BLOCK)
        if not block:
            raise FileDamaged(reason="its compressed data ends too early")
        try:
            return self._unpacker.decompress(block)
        except zstandard.ZstdError as exc:
            raise FileDamaged(reason=str(exc)) from exc

    def _refuse_rest(self) -> None:
        if self._unpacker.eof and not self._held and (self._unpacker.unused_data or self._packed.read(1)):
            raise FileDamaged(reason="there is something behind its compressed data")
