"""What every store of finished files has in common: its protocol, and the staged file that grows on this machine."""

import errno
import hashlib
import logging
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from exporter.errors import StoreAway
from exporter.failures import DiskFull, FileTooLarge, StoreFailed

log = logging.getLogger(__name__)

CHECK_DISK_EVERY_BYTES = 32 * 1024 * 1024
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
HASH_BLOCK_BYTES = 1024 * 1024
RETRY_AFTER_SECONDS = 5
SCRATCH = ".scratch"  # how a path ends that an attempt uses beside its staged file


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A file that is whole and under its final name, though no row speaks of it yet.

    `tag` is what the store itself calls this state of the file, where it has such a name.
    """

    key: str
    size: int
    sha256: str
    tag: str | None = None


@dataclass(frozen=True, kw_only=True)
class StoreLimits:
    """`min_free` is the free disk, in bytes, below which writing stops; 0 switches that off."""

    min_free: int
    max_file: int | None


class Patience(Protocol):
    """How long a store may take: both calls raise what ends the waiting."""

    def check(self) -> None: ...

    def wait(self, seconds: float) -> None: ...


class Endless:
    """The patience of who has nothing else to do."""

    def check(self) -> None:
        """Go on."""

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)


ENDLESS = Endless()


class Store(Protocol):
    """Finished files by key. A key is that of one attempt of one job, so it never names two files."""

    @property
    def shown(self) -> str:
        """Where it is, for an admin's eyes: without any secret."""
        ...

    def prepare(self) -> None:
        """Look whether files can be put and found there; make a store that is new.

        Raises StoreAway, or StoreRefused if that will not pass.
        """
        ...

    def create(self) -> None:
        """Make the store's folders, whatever was kept in them. Raises StoreAway."""
        ...

    def free_bytes(self) -> int:
        """Give the free disk of the place where files are staged. Raises StoreAway."""
        ...

    def has_room(self, more: int = 0) -> bool:
        """Say whether enough would be free after `more` bytes. Raises StoreAway."""
        ...

    def stage(self, key: str) -> "Staged":
        """Open a new staged file for `key`. Raises DiskFull, StoreFailed or StoreAway."""
        ...

    def scratch(self, key: str) -> Path:
        """Give a path for what an attempt needs beside its file; `discard_staged` takes its name. Raises StoreAway."""
        ...

    def open(self, key: str, *, size: int, sha256: str, tag: str | None = None) -> BinaryIO:
        """Open a published file for reading.

        Raises ArtifactGone if it is missing or not as it was written, StoreAway if that cannot be said.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove a file that no row speaks of any more; one that cannot be removed now is left to the sweep."""
        ...

    def keys(self) -> set[str]:
        """Give the published keys, referred to or not. Raises StoreAway."""
        ...

    def sweepable(self) -> set[str]:
        """Give the published keys that may be removed when no row refers to them. Raises StoreAway."""
        ...

    def staged(self) -> set[str]:
        """Give the names of what is being written here. Raises StoreAway."""
        ...

    def discard_staged(self, name: str) -> None: ...


class Staged(ABC):
    """A Stream that counts and hashes what is written; closed by `publish` or by `discard`."""

    def __init__(self, store: Store, file: BinaryIO, limits: StoreLimits) -> None:
        """Take `file` as it comes without a buffer."""
        self._store = store
        self._file = file
        self._limits = limits
        self._hash = hashlib.sha256()
        self._size = 0
        self._next_check = 0

    def write(self, data: Any, /) -> int:
        view = memoryview(data).cast("B")
        self._check_limits(len(view))
        with failures():
            self._write_all(view)
        self._hash.update(view)
        self._size += len(view)
        return len(view)

    def flush(self) -> None:  # noqa: B027 - there is nothing to do in either
        """Do nothing: writes are not buffered."""

    def tell(self) -> int:
        return self._size

    @abstractmethod
    def publish(self, patience: Patience = ENDLESS) -> Finished:
        """Make the file durable and give it its final name.

        Raises DiskFull, StoreFailed, StoreAway or what `patience` does, and then leaves no file.
        """

    @abstractmethod
    def discard(self) -> None:
        """Close and remove; may follow any other call but a successful `publish`. Never raises."""

    def _write_all(self, view: memoryview) -> None:
        while view:
            written = self._file.write(view)
            view = view[written or 0 :]

    def _check_limits(self, more: int) -> None:
        limit = self._limits.max_file
        if limit is not None and self._size + more > limit:
            raise FileTooLarge(limit=limit)
        if self._size >= self._next_check:
            self._next_check = self._size + CHECK_DISK_EVERY_BYTES
            if not self._store.has_room():
                raise DiskFull


@contextmanager
def failures() -> Iterator[None]:
    """Say what the system refused: DiskFull for its several ways of telling that, else StoreFailed."""
    try:
        yield
    except OSError as exc:
        raise write_failure(exc) from exc


def write_failure(exc: OSError) -> DiskFull | StoreFailed:
    return DiskFull() if exc.errno in FULL else StoreFailed(reason=exc.strerror or str(exc))


def away(exc: OSError) -> StoreAway:
    log.error("the artifact store does not answer: %s", exc)
    return StoreAway(reason=exc.strerror or str(exc), retry_after=RETRY_AFTER_SECONDS)


def free_disk(folder: Path) -> int:
    """Raise StoreAway."""
    try:
        return shutil.disk_usage(folder).free
    except OSError as exc:
        raise away(exc) from exc


def digest(file: BinaryIO) -> str:
    """Hash a whole file, and go back to its beginning. Raises StoreAway."""
    found = hashlib.sha256()
    try:
        while block := file.read(HASH_BLOCK_BYTES):
            found.update(block)
        file.seek(0)
    except OSError as exc:
        raise away(exc) from exc
    return found.hexdigest()
