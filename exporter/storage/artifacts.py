"""Where finished files rest, and the staged file on its way there. Here: a folder; in `objects`: a bucket.

stage -> write -> finish -> fsync -> rename -> fsync(folder) -> the job's row publishes. A staged file carries its
attempt in its name, so that no two attempts ever share one; whatever no row refers to is an orphan and is swept.
"""

import errno
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from exporter.errors import ArtifactGone, StoreAway
from exporter.failpoints import reach
from exporter.storage.staging import (
    ENDLESS,
    RETRY_AFTER_SECONDS,
    SCRATCH,
    Finished,
    Patience,
    Staged,
    StoreLimits,
    away,
    digest,
    failures,
    free_disk,
)

log = logging.getLogger(__name__)

STAGING = ".staged"
ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP})
MOST_REMEMBERED = 10_000
NO_STORE = (
    "it does not hold the files that were written there; is its disk mounted?"
    " If they are gone for good, exporter init makes an empty store"
)


@dataclass(frozen=True, kw_only=True)
class Stamp:
    """What the system says of an untouched file; whoever writes to it changes `changed`, which nobody can set."""

    inode: int
    size: int
    modified: int
    changed: int


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

    @property
    def shown(self) -> str:
        return f"file://{self._root}"

    def prepare(self) -> None:
        if self._staging.is_dir():
            return
        if self._kept():
            log.error("%s does not hold the files that were written there", self._root)
            raise StoreAway(reason=NO_STORE, retry_after=RETRY_AFTER_SECONDS)
        self.create()

    def create(self) -> None:
        try:
            self._staging.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as exc:
            raise away(exc) from exc

    def free_bytes(self) -> int:
        self.prepare()
        return free_disk(self._root)

    def has_room(self, more: int = 0) -> bool:
        self.prepare()
        return not self._limits.min_free or free_disk(self._root) >= self._limits.min_free + more

    def stage(self, key: str) -> "StagedFile":
        self.prepare()
        with failures():
            reach("staging")
            return StagedFile(self, self._staging / key, self._path(key), self._limits)

    def scratch(self, key: str) -> Path:
        self.prepare()
        return self._staging / f"{key}{SCRATCH}"

    def open(self, key: str, *, size: int, sha256: str, tag: str | None = None) -> BinaryIO:
        """Hash a file again that was touched since this process last saw it whole, and each one once after a start."""
        del tag  # a folder keeps none that a hand could not forge
        try:
            file = self._path(key).open("rb")
        except OSError as exc:
            if exc.errno in ABSENT and self._staging.is_dir():  # the store itself is there
                raise ArtifactGone from exc
            raise away(exc) from exc
        try:
            self._check_whole(key, file, size=size, sha256=sha256)
        except BaseException:
            file.close()
            raise
        return file

    def delete(self, key: str) -> None:
        self._whole.pop(key, None)
        _remove(self._path(key))

    def keys(self) -> set[str]:
        return self._names(self._root)

    def sweepable(self) -> set[str]:
        return self.keys()

    def staged(self) -> set[str]:
        return self._names(self._staging)

    def discard_staged(self, name: str) -> None:
        _remove(self._staging / Path(name).name)

    def published(self, key: str, file: BinaryIO) -> None:
        """Remember how a file looks that is whole; of very many the oldest are forgotten, and hashed again."""
        self._whole[key] = _stamp(file)
        while len(self._whole) > MOST_REMEMBERED:
            self._whole.pop(next(iter(self._whole), key), None)

    def _check_whole(self, key: str, file: BinaryIO, *, size: int, sha256: str) -> None:
        stamp = _stamp(file)
        if self._whole.get(key) == stamp:
            return
        if stamp.size != size or digest(file) != sha256:
            raise ArtifactGone
        self.published(key, file)

    def _names(self, folder: Path) -> set[str]:
        self.prepare()
        try:
            return {path.name for path in folder.iterdir() if path.is_file()}
        except OSError as exc:
            raise away(exc) from exc

    def _path(self, key: str) -> Path:
        if not key or Path(key).name != key or key.startswith("."):
            raise ArtifactGone
        return self._root / key


class StagedFile(Staged):
    """In the folder of the finished ones, under a name that says whose it is."""

    def __init__(self, store: LocalStore, path: Path, final: Path, limits: StoreLimits) -> None:
        super().__init__(store, path.open("xb", buffering=0), limits)
        self._folder = store
        self._path = path
        self._final = final

    def publish(self, patience: Patience = ENDLESS) -> Finished:
        patience.check()
        try:
            with failures():
                self._publish()
        except BaseException:
            _remove(self._final)  # no row speaks of it
            raise
        return Finished(key=self._final.name, size=self._size, sha256=self._hash.hexdigest())

    def discard(self) -> None:
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
        self._folder.published(self._final.name, self._file)
        self._file.close()


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


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
