"""Removing what nobody needs: expired files, files that no row refers to, old lines of logs."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from exporter.failpoints import reach
from exporter.storage.jobs import JobStore
from exporter.storage.staging import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Swept:
    """What a sweep removed, or would remove: keys of the store."""

    expired: tuple[str, ...]
    orphans: tuple[str, ...]
    staged: tuple[str, ...]


def orphans(keys: set[str], *, referred: set[str], running: set[str]) -> tuple[str, ...]:
    """Choose the files without a row. A running attempt's is none: its row is about to speak of it, or it is a part.

    What an attempt has beside its file has the file's name, a point and more.
    """
    return tuple(sorted(key for key in keys - referred if key.partition(".")[0] not in running))


def clear_staging(jobs: JobStore, artifacts: Store) -> None:
    """Remove what processes that died on this machine have left half written. Raises DatabaseAway or StoreAway."""
    staged = artifacts.staged()
    for key in orphans(staged, referred=set(), running=_running(jobs)):
        artifacts.discard_staged(key)


def _running(jobs: JobStore) -> set[str]:
    """Give the keys of the running attempts' files."""
    return {f"{lease.job_id}-{lease.attempt}" for lease in jobs.leases()}


class Sweeper:
    def __init__(
        self,
        jobs: JobStore,
        artifacts: Store,
        forget_old: Sequence[Callable[[], int]],
        clock: Callable[[], datetime],
    ) -> None:
        """Take as `forget_old` what removes the old lines of each log."""
        self._jobs = jobs
        self._artifacts = artifacts
        self._forget_old = forget_old
        self._clock = clock

    def sweep(self, *, dry_run: bool = False) -> Swept:
        """Remove what is due. The store is listed before the rows are read, so that no new file looks orphaned."""
        keys, staged = self._artifacts.sweepable(), self._artifacts.staged()
        reach("sweep_listed")
        running = _running(self._jobs)
        expired = {job.id: job.artifact for job in self._jobs.expired(self._clock()) if job.artifact}
        swept = Swept(
            expired=tuple(sorted(expired.values())),
            orphans=orphans(keys, referred=self._jobs.artifacts(), running=running),
            staged=orphans(staged, referred=set(), running=running),
        )
        if not dry_run:
            self._remove(swept, expired)
            for forget_old in self._forget_old:
                forget_old()
        return swept

    def _remove(self, swept: Swept, expired: dict[str, str]) -> None:
        for job_id, key in expired.items():
            self._jobs.forget_artifact(job_id, key)
            reach("sweep_forgot")
            self._artifacts.delete(key)
        for key in swept.orphans:
            reach("sweep_orphan")
            self._artifacts.delete(key)
        for key in swept.staged:
            reach("sweep_staged")
            self._artifacts.discard_staged(key)
        if swept.expired or swept.orphans or swept.staged:
            log.info(
                "swept %d expired and %d orphaned files",
                len(swept.expired),
                len(swept.orphans + swept.staged),
            )
