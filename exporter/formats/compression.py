"""Compressed streams, finished by word only: dropping one after a failure leaves a file that readers refuse."""

from typing import Any, Protocol

from exporter.formats.base import Stream
from exporter.formats.packing import Packing
from exporter.formats.zipstream import ZipStream

GZIP_LEVEL = 1  # of isal
ZSTD_LEVEL = 1
_GZIP_WINDOW = 31  # a gzip header, with no name and no time


class Sink(Protocol):
    """Where a writer's bytes go. The stream below stays open; what was written must not change any more."""

    def write(self, data: Any, /) -> int: ...

    def finish(self) -> None: ...

    def abandon(self) -> None:
        """Write nothing more. May follow any other call."""
        ...


def open_sink(stream: Stream, compression: str, member: str) -> Sink:
    """Wrap a stream. `compression` is an option's value; `member` names what a zip holds."""
    match compression:
        case "gzip":
            return _gzip(stream)
        case "zstd":
            return _zstd(stream)
        case "zip":
            return _ZipSink(stream, member)
        case _:
            return _PlainSink(stream)


def member_name(file_name: str | None, suffix: str, fallback: str) -> str:
    """Name a zip's only member like the inner file: `sales.csv` for `sales.csv.zip`."""
    return file_name.removesuffix(suffix) if file_name else fallback


class _PlainSink:
    """Writes, and so hashes, beside the thread that makes the bytes."""

    def __init__(self, stream: Stream) -> None:
        self._behind = Packing(stream.write, lambda _: None)

    def write(self, data: Any) -> int:
        return self._behind.write(data)

    def finish(self) -> None:
        self._behind.settle()
        self._behind.close()

    def abandon(self) -> None:
        self._behind.close()


class _Packer(Protocol):
    def compress(self, data: Any, /) -> bytes: ...

    def flush(self) -> bytes: ...


class _PackedSink:
    def __init__(self, stream: Stream, packer: _Packer) -> None:
        self._stream = stream
        self._packer = packer
        self._packing = Packing(packer.compress, self._put)

    def write(self, data: Any) -> int:
        return self._packing.write(data)

    def finish(self) -> None:
        self._packing.settle()
        self._packing.close()
        self._put(self._packer.flush())

    def abandon(self) -> None:
        self._packing.close()

    def _put(self, packed: bytes) -> None:
        if packed:
            self._stream.write(packed)


class _ZipSink:
    def __init__(self, stream: Stream, member: str) -> None:
        self._zip = ZipStream(stream)
        self._zip.open(member)

    def write(self, data: Any) -> int:
        return self._zip.write(data)

    def finish(self) -> None:
        self._zip.close()
        self._zip.finish()

    def abandon(self) -> None:
        self._zip.abandon()


def _gzip(stream: Stream) -> Sink:
    from isal import isal_zlib

    return _PackedSink(stream, isal_zlib.compressobj(GZIP_LEVEL, isal_zlib.DEFLATED, _GZIP_WINDOW))


def _zstd(stream: Stream) -> Sink:
    import zstandard

    return _PackedSink(stream, zstandard.ZstdCompressor(ZSTD_LEVEL, write_checksum=True).compressobj())
