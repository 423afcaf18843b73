"""Artifacts in a bucket of S3, or of a store that speaks like it.

A file is staged on this machine, nameless, so that no death leaves it behind; `publish` uploads it under its
attempt's own key and looks whether it arrived; the job's row is what publishes. What no row refers to is swept.

pyarrow cannot abort an upload: a stream that is given up is finished and its short object removed at once. What a
killed process leaves half uploaded is no object; the bucket's own lifecycle rule removes it.
"""

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO, cast

from exporter.errors import ArtifactGone, StoreAway, StoreRefused
from exporter.failpoints import reach
from exporter.failures import StoreFailed
from exporter.storage.bucket import Bucket, Found, NoObject
from exporter.storage.objectreader import open_object
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

OUR_KEY = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-\d+(\.[0-9a-f]+)?"
)  # job and attempt, and a part
YOUNG = timedelta(minutes=10)  # an object without a row is left alone for so long
UPLOAD_AGAIN_SECONDS = (1.0, 4.0, 15.0)  # waits between tries, beside those that pyarrow makes for each part


class S3Store:
    """Artifacts under one prefix; `staging` is a folder of this machine."""

    def __init__(self, bucket: Bucket, staging: Path, limits: StoreLimits) -> None:
        self._bucket = bucket
        self._staging = staging
        self._limits = limits
        self._tags: dict[str, str] = {}  # of the objects that this process saw whole
        self._lock = threading.Lock()
        self._reading: dict[str, int] = {}  # how many readers an object has in this process
        self._doomed: set[str] = set()  # to be removed by their last reader

    @property
    def shown(self) -> str:
        return self._bucket.shown

    def prepare(self) -> None:
        self.create()
        self._bucket.look()

    def create(self) -> None:
        try:
            self._staging.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as exc:
            raise away(exc) from exc

    def free_bytes(self) -> int:
        self.create()
        return free_disk(self._staging)

    def has_room(self, more: int = 0) -> bool:
        return not self._limits.min_free or self.free_bytes() >= self._limits.min_free + more

    def stage(self, key: str) -> "StagedObject":
        with failures():
            self._staging.mkdir(mode=0o700, parents=True, exist_ok=True)
            reach("staging")
            file = TemporaryFile(buffering=0, dir=self._staging)  # noqa: SIM115 - closed by publish or discard
            return StagedObject(self, self._bucket, cast("BinaryIO", file), key, self._limits)

    def scratch(self, key: str) -> Path:
        self.create()
        return self._staging / f"{key}{SCRATCH}"

    def open(self, key: str, *, size: int, sha256: str, tag: str | None = None) -> BinaryIO:
        """Believe the store's tag where it is the one of the upload; else read and hash the object once."""
        known = self._tags.get(_checked(key), tag)
        try:
            found = self._bucket.open(key)
        except NoObject:
            self._bucket.look()  # or it is the bucket that is not there
            raise ArtifactGone from None
        self._hold(key)
        file = open_object(found, on_close=lambda: self._let_go(key))
        try:
            _hold_to(found, file, size=size, sha256=sha256, tag=known)
        except BaseException:
            file.close()
            raise
        self._tags[key] = found.tag
        return file

    def delete(self, key: str) -> None:
        """Remove an object; while it is read here, its last reader does."""
        self._tags.pop(key, None)
        with self._lock:
            if key in self._reading:
                self._doomed.add(key)
                return
        self._remove(key)

    def keys(self) -> set[str]:
        return {name for name, _ in self._ours()}

    def sweepable(self) -> set[str]:
        """Leave out what is young: whoever put it there may be about to tell its row."""
        now = datetime.now(UTC)
        return {name for name, modified in self._ours() if now - modified >= YOUNG}

    def staged(self) -> set[str]:
        """Give what is beside staged files: these have no names, and end with whoever writes them."""
        try:
            return {path.name for path in self._staging.glob(f"*{SCRATCH}")}
        except OSError as exc:
            raise away(exc) from exc

    def discard_staged(self, name: str) -> None:
        with suppress(OSError):
            (self._staging / Path(name).name).unlink(missing_ok=True)

    def published(self, key: str, tag: str) -> None:
        self._tags[key] = tag

    def _ours(self) -> Iterator[tuple[str, datetime]]:
        """Give our own objects alone: a bucket may hold other things."""
        return ((name, at) for name, at in self._bucket.names() if OUR_KEY.fullmatch(name))

    def _hold(self, key: str) -> None:
        with self._lock:
            self._reading[key] = self._reading.get(key, 0) + 1

    def _let_go(self, key: str) -> None:
        with self._lock:
            self._reading[key] -= 1
            if self._reading[key]:
                return
            del self._reading[key]
            doomed = key in self._doomed
            self._doomed.discard(key)
        if doomed:
            self._remove(key)

    def _remove(self, key: str) -> None:
        try:
            self._bucket.delete(key)
        except StoreAway as exc:
            log.warning("%s could not be removed, the sweep will try again: %s", key, exc.facts["reason"])


class StagedObject(Staged):
    """A nameless file of this machine, on its way into the bucket."""

    def __init__(self, store: S3Store, bucket: Bucket, file: BinaryIO, key: str, limits: StoreLimits) -> None:
        super().__init__(store, file, limits)
        self._objects = store
        self._bucket = bucket
        self._key = key

    def publish(self, patience: Patience = ENDLESS) -> Finished:
        """Upload, trying again for a while where the store is away: the rows need not be read again for that."""
        try:
            with failures():
                tag = self._upload(patience)
                reach("after_upload")
        except BaseException:
            with suppress(StoreAway):
                self._bucket.delete(self._key)  # no row speaks of it
            raise
        self._objects.published(self._key, tag)
        self._file.close()
        return Finished(key=self._key, size=self._size, sha256=self._hash.hexdigest(), tag=tag)

    def discard(self) -> None:
        with suppress(OSError):
            self._file.close()

    def _upload(self, patience: Patience) -> str:
        for seconds in (*UPLOAD_AGAIN_SECONDS, None):
            reach("before_upload")
            try:
                return self._sent(patience)
            except StoreRefused as exc:
                raise StoreFailed(reason=exc.facts["reason"]) from exc
            except StoreAway:
                if seconds is None:
                    raise
                patience.wait(seconds)
        raise AssertionError("unreachable")

    def _sent(self, patience: Patience) -> str:
        """Upload once and give the object's tag, which is proof where it is the one expected; else read it back."""
        self._file.seek(0)
        expected = self._bucket.upload(self._key, self._file, patience)
        reach("uploaded")
        sha256 = self._hash.hexdigest()
        try:
            found = self._bucket.open(self._key)
            with open_object(found) as file:
                _hold_to(found, file, size=self._size, sha256=sha256, tag=expected)
        except (NoObject, ArtifactGone):
            reason = "the object did not arrive whole"
            raise StoreAway(reason=reason, retry_after=RETRY_AFTER_SECONDS) from None
        return found.tag


def _hold_to(found: Found, file: BinaryIO, *, size: int, sha256: str, tag: str | None) -> None:
    """Raise ArtifactGone unless the object is whole; its tag is proof where it is the one expected."""
    if found.size != size or (found.tag != tag and digest(file) != sha256):
        raise ArtifactGone


def _checked(key: str) -> str:
    if not OUR_KEY.fullmatch(key):
        raise ArtifactGone
    return key
