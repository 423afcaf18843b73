"""Where finished files rest, and the staged file on its way there.

stage -> write -> finish -> fsync -> rename -> fsync(folder) -> the job's row publishes. A staged file carries its
attempt in its name, so that no two attempts ever share one; whatever no row refers to is an orphan and is swept.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from exporter.errors import ArtifactGone, DiskFull, FileTooLarge

STAGING = ".staged"
CHECK_DISK_EVERY_BYTES = 32 * 1024 * 1024
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A file that is whole and under its final name, though no row speaks of it yet."""

    key: str
    size: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class StoreLimits:
    """`min_free` is the free disk, in bytes, below which writing stops; 0 switches that off."""

    min_free: int
    max_file: int | None


class LocalStore:
    """Artifacts in one folder of this machine."""

    def __init__(self, root: Path, limits: StoreLimits) -> None:
        self._root = root
        self._staging = root / STAGING
        self._limits = limits

    def prepare(self) -> None:
        self._staging.mkdir(mode=0o700, parents=True, exist_ok=True)

    def free_bytes(self) -> int:
        self.prepare()
        return shutil.disk_usage(self._root).free

    def has_room(self) -> bool:
        return not self._limits.min_free or self.free_bytes() >= self._limits.min_free

    def stage(self, key: str) -> "StagedFile":
        """Open a new staged file for `key`. Raises DiskFull."""
        self.prepare()
        with full_disk():
            return StagedFile(self, self._staging / key, self._path(key), self._limits)

    def open(self, key: str, *, size: int) -> BinaryIO:
        """Open a published file for reading. Raises ArtifactGone if it is missing or of another size."""
        try:
            file = self._path(key).open("rb")
        except OSError as exc:
            raise ArtifactGone from exc
        if os.fstat(file.fileno()).st_size != size:
            file.close()
            raise ArtifactGone
        return file

    def delete(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def keys(self) -> set[str]:
        """Give the published keys, referred to or not."""
        self.prepare()
        return {path.name for path in self._root.iterdir() if path.is_file()}

    def staged(self) -> set[str]:
        self.prepare()
        return {path.name for path in self._staging.iterdir()}

    def discard_staged(self, key: str) -> None:
        (self._staging / Path(key).name).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        if Path(key).name != key or key.startswith("."):
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
        with full_disk():
            self._write_all(view)
        self._hash.update(view)
        self._size += len(view)
        return len(view)

    def flush(self) -> None:
        """Do nothing: writes are not buffered."""

    def tell(self) -> int:
        return self._size

    def publish(self) -> Finished:
        """Make the file durable and give it its final name. Raises DiskFull."""
        with full_disk():
            os.fsync(self._file.fileno())
            self._file.close()
            self._path.rename(self._final)
            _sync_folder(self._final.parent)
        return Finished(key=self._final.name, size=self._size, sha256=self._hash.hexdigest())

    def discard(self) -> None:
        """Close and remove; may follow any other call but a successful `publish`."""
        with suppress(OSError):
            self._file.close()
        self._path.unlink(missing_ok=True)

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
def full_disk() -> Iterator[None]:
    """Turn the system's several ways of saying that the disk is full into DiskFull."""
    try:
        yield
    except OSError as exc:
        if exc.errno in FULL:
            raise DiskFull from exc
        raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
