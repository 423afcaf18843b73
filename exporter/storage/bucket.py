"""A bucket by pyarrow's S3 client: a few calls, each with S3's several ways of failing told apart.

The client finds its credentials as every AWS tool does. Its messages are not passed on but for their code and the call
that failed: nothing of a key is ever in a message or a log.
"""

import hashlib
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, BinaryIO

from exporter.errors import StoreAway, StoreRefused
from exporter.failpoints import reach
from exporter.storage.staging import RETRY_AFTER_SECONDS, Patience
from exporter.storageurl import S3Address

log = logging.getLogger(__name__)

PART_BYTES = (
    10 * 1024 * 1024
)  # pyarrow's own, so that the tag of a whole upload is known before it is asked for
PARTS_AT_ONCE = 3  # on their way, and in memory
CONNECT_TIMEOUT_SECONDS = 5
SILENCE_SECONDS = 30
TOLD = re.compile(r"AWS Error ([A-Z_]+(?: \(HTTP status \d+\))?) during (\w+)")
# What no further try mends: an admin has to.
REFUSALS = frozenset(
    {
        "ACCESS_DENIED",
        "INVALID_ACCESS_KEY_ID",
        "INVALID_CLIENT_TOKEN_ID",
        "INVALID_SIGNATURE",
        "MISSING_AUTHENTICATION_TOKEN",
        "NO_SUCH_BUCKET",
        "SIGNATURE_DOES_NOT_MATCH",
        "UNKNOWN (HTTP status 301)",  # the bucket is in another region
        "UNKNOWN (HTTP status 400)",  # an expired token, among others
        "UNKNOWN (HTTP status 403)",
        "UNRECOGNIZED_CLIENT",
    }
)


class NoObject(Exception):
    """There is no object of that key, or no bucket."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """An object that was opened, `source` being pyarrow's file; `tag` is its ETag."""

    source: Any
    size: int
    tag: str


class Bucket:
    """One prefix of one bucket. Nothing is asked before the first call. All calls may raise StoreAway."""

    def __init__(self, address: S3Address) -> None:
        self._address = address

    @property
    def shown(self) -> str:
        return self._address.shown

    def look(self) -> None:
        """Raise StoreRefused if there is no such bucket, or not for us."""
        from pyarrow.fs import FileType

        with asking():
            found = self._client.get_file_info(self._address.bucket)
        if found.type == FileType.NotFound:
            raise StoreRefused(
                reason=f"there is no bucket {self._address.bucket}", retry_after=RETRY_AFTER_SECONDS
            )

    def open(self, key: str) -> Found:
        """Raise NoObject."""
        with asking():
            source = self._client.open_input_file(self._path(key))
            told = source.metadata() or {}
            return Found(source=source, size=source.size(), tag=told.get("ETag", b"").decode())

    def names(self) -> Iterator[tuple[str, datetime]]:
        """Give the objects directly under the prefix, and when each came."""
        from pyarrow.fs import FileSelector, FileType

        with asking():
            listed = self._client.get_file_info(FileSelector(self._address.folder, allow_not_found=True))
        for found in listed:
            if found.type == FileType.File:
                yield found.base_name, found.mtime or datetime.now(UTC)

    def delete(self, key: str) -> None:
        with suppress(NoObject), asking():
            self._client.delete_file(self._path(key))

    def upload(self, key: str, file: BinaryIO, patience: Patience) -> str:
        """Upload what is left of `file`; give the ETag that S3 makes of it where it does not encrypt by KMS.

        Raises StoreAway or what `patience` does. What is given up cannot be aborted, only finished: the caller
        then deletes a short object.
        """
        with asking():
            stream = self._client.open_output_stream(self._path(key))
        try:
            tag = _send(file, stream, patience)
            with asking():
                stream.close()
        except BaseException:
            with suppress(NoObject, StoreAway), asking():
                stream.close()
            raise
        return tag

    def _path(self, key: str) -> str:
        return f"{self._address.folder}/{key}"

    @cached_property
    def _client(self) -> Any:
        from pyarrow.fs import S3FileSystem

        return S3FileSystem(
            region=self._address.region,
            endpoint_override=self._address.endpoint,
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            request_timeout=SILENCE_SECONDS,
        )


@contextmanager
def asking() -> Iterator[None]:
    """Translate what the client raises. Raises NoObject, StoreRefused or StoreAway."""
    try:
        yield
    except FileNotFoundError as exc:
        raise NoObject from exc
    except OSError as exc:
        raise _told(str(exc)) from None  # its own words may hold more than is anybody's business


def _told(message: str) -> StoreAway:
    found = TOLD.search(message)
    reason = f"{found[1]} during {found[2]}" if found else "its answer was not understood"
    refused = found is not None and found[1] in REFUSALS
    log.error("the artifact store: %s", reason)
    return (StoreRefused if refused else StoreAway)(reason=reason, retry_after=RETRY_AFTER_SECONDS)


def _send(file: BinaryIO, stream: Any, patience: Patience) -> str:
    """Write part by part, a few of them on their way at once."""
    digests: list[bytes] = []
    while (part := file.read(PART_BYTES)) or not digests:
        patience.check()
        reach("upload_part")
        with asking():
            stream.write(part)
            if len(digests) % PARTS_AT_ONCE == PARTS_AT_ONCE - 1:
                stream.flush()
        digests.append(_md5(part))
    patience.check()
    return f'"{_md5(b"".join(digests)).hex()}-{len(digests)}"'


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()
