"""An object of a bucket as a file to read: seekable, a few megabytes in memory, never short without a word."""

import io
from collections.abc import Callable
from typing import Any, BinaryIO, cast

from exporter.errors import StoreAway
from exporter.storage.bucket import Found, NoObject, asking
from exporter.storage.staging import RETRY_AFTER_SECONDS

READ_BYTES = 4 * 1024 * 1024  # of one request to the store


class ObjectReader(io.RawIOBase):
    """Reads by ranges. `on_close` is called once."""

    def __init__(self, found: Found, on_close: Callable[[], None]) -> None:
        super().__init__()
        self._source = found.source
        self._size = found.size
        self._on_close = on_close

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._source.seek(offset, whence))

    def tell(self) -> int:
        return int(self._source.tell())

    def readinto(self, buffer: Any, /) -> int:
        """Raise StoreAway, also for an object that ended too early or went away."""
        left = self._size - self.tell()
        if left <= 0:
            return 0
        try:
            with asking():
                read = int(self._source.readinto(memoryview(buffer)[:left]))
        except NoObject:
            read = 0
        if not read:
            raise StoreAway(reason="the object is no longer there", retry_after=RETRY_AFTER_SECONDS)
        return read

    def readall(self) -> bytes:
        """Ask for much at once, where Python's own would ask for a few kilobytes each time."""
        return b"".join(iter(lambda: self.read(READ_BYTES) or b"", b""))

    def close(self) -> None:
        if not self.closed:
            self._source.close()
            super().close()
            self._on_close()


def _nothing() -> None:
    """Follow a close with nothing."""


def open_object(found: Found, on_close: Callable[[], None] = _nothing) -> BinaryIO:
    return cast("BinaryIO", io.BufferedReader(ObjectReader(found, on_close), READ_BYTES))
