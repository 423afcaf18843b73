"""Where finished files rest, and the staged file on its way there.

stage -> write -> finish -> fsync -> rename -> fsync(folder) -> the job's row publishes. A staged file carries its
attempt in its name, so that no two attempts ever share one; whatever no row refers to is an orphan and is swept.
"""

import errno
import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from exporter.errors import ArtifactGone, DiskFull, FileTooLarge, StoreAway, StoreFailed
from exporter.failpoints import reach

log = logging.getLogger(__name__)

STAGING = ".staged"
SCRATCH = ".scratch"
CHECK_DISK_EVERY_BYTES = 32 * 1024 * 1024
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP})
HASH_BLOCK_BYTES = 1024 * 1024
RETRY_AFTER_SECONDS = 5
MOST_REMEMBERED = 10_000
NO_STORE = (
    "it does not hold the files that were written there; is its disk mounted?"
    " If they are gone for good, exporter init makes an empty store"
)


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A file that is whole and under its final name, though no row speaks of it yet."""

    key: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """What the system says of an untouched file; whoever writes to it changes `changed`, which nobody can set."""

    inode: int
    size: int
    modified: int
    changed: int


@dataclass(frozen=True, kw_only=True)
class StoreLimits:
    """`min_free` is the free disk, in bytes, below which writing stops; 0 switches that off."""

    min_free: int
    max_file: int | None


class LocalStore:
    """Artifacts in one folder of this machine.

    Its folder for staged files is also the sign that the store is there: a folder without it is made into one only
    while nothing is `kept` in the store. Else it may be the mount point of a disk that is away.
    """

    def __init__(self, root: Path, limits: StoreLimits, kept: Callable[[], bool] = lambda: False) -> None:
        self._root = root
        self._staging = root / STAGING
        self._limits = limits
        self._kept = kept
        self._whole: dict[str, Stamp] = {}  # files that had their sha256 when this process last looked

    def prepare(self) -> None:
        """Make the store if it is a new one. Raises StoreAway."""
        if self._staging.is_dir():
            return
        if self._kept():
            log.error("%s does not hold the files that were written there", self._root)
            raise StoreAway(reason=NO_STORE, retry_after=RETRY_AFTER_SECONDS)
        self.create()

    def create(self) -> None:
        """Make the folders, whatever was kept in them. Raises StoreAway."""
        try:
            self._staging.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as exc:
            raise _away(exc) from exc

    def free_bytes(self) -> int:
        """Raise StoreAway."""
        self.prepare()
        try:
            return shutil.disk_usage(self._root).free
        except OSError as exc:
            raise _away(exc) from exc

    def has_room(self, more: int = 0) -> bool:
        """Say whether enough would be free after `more` bytes. Raises StoreAway."""
        self.prepare()
        return not self._limits.min_free or self.free_bytes() >= self._limits.min_free + more

    def stage(self, key: str) -> "StagedFile":
        """Open a new staged file for `key`. Raises DiskFull, StoreFailed or StoreAway."""
        self.prepare()
        with failures():
            reach("staging")
            return StagedFile(self, self._staging / key, self._path(key), self._limits)

    def scratch(self, key: str) -> Path:
        """Give a path for what an attempt needs beside its file; `discard_staged` takes its name. Raises StoreAway."""
        self.prepare()
        return self._staging / f"{key}{SCRATCH}"

    def open(self, key: str, *, size: int, sha256: str) -> BinaryIO:
        """Open a published file for reading.

        Raises ArtifactGone if it is missing or not as it was written, StoreAway if that cannot be said. A file that
        was touched since this process last saw it whole is hashed again; so is each one once after a start.
        """
        try:
            file = self._path(key).open("rb")
        except OSError as exc:
            if exc.errno in ABSENT and self._staging.is_dir():  # the store itself is there
                raise ArtifactGone from exc
            raise _away(exc) from exc
        try:
            self._check_whole(key, file, size=size, sha256=sha256)
        except BaseException:
            file.close()
            raise
        return file

    def delete(self, key: str) -> None:
        """Remove a file that no row speaks of any more; one that cannot be removed now is left to the sweep."""
        self._whole.pop(key, None)
        _remove(self._path(key))

    def keys(self) -> set[str]:
        """Give the published keys, referred to or not. Raises StoreAway."""
        return self._names(self._root)

    def staged(self) -> set[str]:
        """Raise StoreAway."""
        return self._names(self._staging)

    def discard_staged(self, key: str) -> None:
        _remove(self._staging / Path(key).name)

    def published(self, key: str, file: BinaryIO) -> None:
        """Remember how a file looks that is whole; of very many the oldest are forgotten, and hashed again."""
        self._whole[key] = _stamp(file)
        while len(self._whole) > MOST_REMEMBERED:
            self._whole.pop(next(iter(self._whole), key), None)

    def _check_whole(self, key: str, file: BinaryIO, *, size: int, sha256: str) -> None:
        stamp = _stamp(file)
        if self._whole.get(key) == stamp:
            return
        if stamp.size != size or _digest(file) != sha256:
            raise ArtifactGone
        self.published(key, file)

    def _names(self, folder: Path) -> set[str]:
        self.prepare()
        try:
            return {path.name for path in folder.iterdir() if path.is_file()}
        except OSError as exc:
            raise _away(exc) from exc

    def _path(self, key: str) -> Path:
        if not key or Path(key).name != key or key.startswith("."):
            raise ArtifactGone
        return self._root / key


class StagedFile:
    """A Stream that counts and hashes what is written; closed by `publish` or by `discard`."""

    def __init__(self, store: LocalStore, path: Path, final: Path, limits: StoreLimits) -> None:
        self._store = store
        self._path = path
        self._final = final
        self._limits = limits
        self._hash = hashlib.sha256()
        self._size = 0
        self._next_check = 0
        self._file = path.open("xb", buffering=0)

    def write(self, data: Any, /) -> int:
        view = memoryview(data).cast("B")
        self._check_limits(len(view))
        with failures():
            self._write_all(view)
        self._hash.update(view)
        self._size += len(view)
        return len(view)

    def flush(self) -> None:
        """Do nothing: writes are not buffered."""

    def tell(self) -> int:
        return self._size

    def publish(self) -> Finished:
        """Make the file durable and give it its final name. Raises DiskFull or StoreFailed, and then leaves no file."""
        try:
            with failures():
                self._publish()
        except BaseException:
            _remove(self._final)  # no row speaks of it
            raise
        return Finished(key=self._final.name, size=self._size, sha256=self._hash.hexdigest())

    def discard(self) -> None:
        """Close and remove; may follow any other call but a successful `publish`. Never raises."""
        with suppress(OSError):
            self._file.close()
        _remove(self._path)

    def _publish(self) -> None:
        reach("before_fsync")
        os.fsync(self._file.fileno())
        reach("before_rename")
        self._path.rename(self._final)
        reach("after_rename")
        _sync_folder(self._final.parent)
        self._store.published(self._final.name, self._file)
        self._file.close()

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


def _away(exc: OSError) -> StoreAway:
    log.error("the artifact store does not answer: %s", exc)
    return StoreAway(reason=exc.strerror or str(exc), retry_after=RETRY_AFTER_SECONDS)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as exc:
        log.warning("%s could not be removed, the sweep will try again: %s", path.name, exc.strerror)


def _stamp(file: BinaryIO) -> Stamp:
    found = os.fstat(file.fileno())
    return Stamp(
        inode=found.st_ino, size=found.st_size, modified=found.st_mtime_ns, changed=found.st_ctime_ns
    )


def _digest(file: BinaryIO) -> str:
    """Hash a whole file. Raises StoreAway."""
    found = hashlib.sha256()
    try:
        while block := file.read(HASH_BLOCK_BYTES):
            found.update(block)
        file.seek(0)
    except OSError as exc:
        raise _away(exc) from exc
    return found.hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
