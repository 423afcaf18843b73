"""Leases: a running attempt's beats, and the taking over of attempts whose beat stands still.

Beats come from a thread of their own, so that a query that is slow to answer does not look like a dead worker. The
reaper trusts its own monotonic clock and the beat's number, never the wall clock: clocks jump.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from exporter.errors import DatabaseAway
from exporter.failpoints import reach
from exporter.failures import WorkerLost
from exporter.figures import Figures
from exporter.jobs.cancel import CancelToken, Reason
from exporter.jobs.errands import Crew
from exporter.jobs.progress import Progress
from exporter.storage.jobs import JobStore, Lease
from exporter.storage.transitions import JobTransitions

log = logging.getLogger(__name__)

BEAT_SECONDS = 0.5
BEATS_PER_LEASE = 4
JOIN_SECONDS = 5.0  # a beat may wait for the app database, a stop may not


@dataclass(frozen=True, kw_only=True)
class Running:
    """One attempt that runs in this process; `began` is of this process's monotonic clock.

    `crew` are the workers elsewhere that may read parts for it.
    """

    job_id: str
    attempt: int
    token: CancelToken
    progress: Progress
    crew: Crew | None = None
    began: float = field(default_factory=time.monotonic)


class Pulse:
    """Beats for every attempt that runs in this process, and passes on a cancel that another process accepted."""

    def __init__(self, transitions: JobTransitions, *, lease_seconds: float) -> None:
        self._transitions = transitions
        self._every = min(BEAT_SECONDS, lease_seconds / BEATS_PER_LEASE)
        self._running: dict[str, Running] = {}
        self._lock = threading.Condition()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._wake.clear()
        self._thread = threading.Thread(target=self._loop, name="exporter-pulse", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._wake.set()
        if self._thread is not None:
            self._thread.join(JOIN_SECONDS)
            self._thread = None

    @contextmanager
    def watching(self, running: Running) -> Iterator[None]:
        with self._lock:
            self._running[running.job_id] = running
        try:
            yield
        finally:
            with self._lock:
                if self._running.get(running.job_id) is running:
                    del self._running[running.job_id]
                    self._lock.notify_all()

    def cancel(self, job_id: str, reason: Reason) -> None:
        """Flag the attempt of `job_id` if it runs here."""
        with self._lock:
            running = self._running.get(job_id)
        if running is not None:
            running.token.cancel(reason)

    def cancel_all(self, reason: Reason) -> None:
        for running in self._snapshot():
            running.token.cancel(reason)

    def attempts(self) -> frozenset[tuple[str, int]]:
        """Give the job and the number of each attempt that runs in this process."""
        return frozenset((running.job_id, running.attempt) for running in self._snapshot())

    def wait_until_idle(self, *, seconds: float) -> bool:
        """Wait so long at most; say whether nothing runs in this process."""
        with self._lock:
            return self._lock.wait_for(lambda: not self._running, seconds)

    def release_all(self, *, now: datetime) -> None:
        """Put back in the queue what would not let go, for this process is about to end."""
        for running in self._snapshot():
            reach("before_release_stuck")
            if self._transitions.release(running.job_id, running.attempt, now=now):
                told = "job %s did not let go; it goes back to the queue"
                log.warning(told, running.job_id, extra={"job": running.job_id, "attempt": running.attempt})

    def beat(self) -> None:
        """Beat once for all; an attempt whose row no longer matches is told to stop."""
        for running in self._snapshot():
            reach("beat")
            try:
                alive = self._transitions.beat(running.job_id, running.attempt, **running.progress.values())
            except DatabaseAway:
                told = "job %s missed a beat: the app database does not answer"
                log.warning(told, running.job_id, extra={"job": running.job_id, "attempt": running.attempt})
                continue
            if not alive:
                running.token.cancel(Reason.LOST)

    def _snapshot(self) -> list[Running]:
        with self._lock:
            return list(self._running.values())

    def _loop(self) -> None:
        while not self._wake.wait(self._every):
            try:
                self.beat()
            except Exception:
                log.exception("a beat met an unexpected fault; trying again")


class Reaper:
    """Finds running jobs whose beat has not moved for a lease, and takes them over."""

    def __init__(
        self,
        jobs: JobStore,
        transitions: JobTransitions,
        figures: Figures,
        *,
        lease_seconds: float,
        max_attempts: int,
        ours: Callable[[], frozenset[tuple[str, int]]],
        monotonic: Callable[[], float],
    ) -> None:
        """Take as `ours` what tells the attempts that run in this process, which are never lost."""
        self._jobs = jobs
        self._transitions = transitions
        self._figures = figures
        self._lease_seconds = lease_seconds
        self._max_attempts = max_attempts
        self._ours = ours
        self._monotonic = monotonic
        self._looked = -math.inf
        self._seen: dict[Lease, float] = {}  # since when a beat has been looked at

    @property
    def every(self) -> float:
        """How often to look, in seconds."""
        return self._lease_seconds / BEATS_PER_LEASE

    def recover(self, *, now: datetime) -> None:
        """Take over every running job at once: this process is the only one, and it has just begun."""
        for lease in self._jobs.leases():
            self._take(lease, now)
        self._jobs.settle_stopped(now=now)

    def reap(self, *, now: datetime) -> None:
        """Look at every lease; take over what has not moved for one, and settle the cancelled that have not."""
        ours = self._ours()
        running, leaving = self._leases()
        moment = self._look()
        watched = [lease for lease in (*running, *leaving) if (lease.job_id, lease.attempt) not in ours]
        self._seen = {lease: self._seen.get(lease, moment) for lease in watched}
        for lease in watched:
            if moment - self._seen[lease] < self._lease_seconds:
                continue
            if lease in leaving:
                self._transitions.stopped(lease.job_id, lease.attempt, now=now)
            else:
                self._take(lease, now)

    def _leases(self) -> tuple[list[Lease], list[Lease]]:
        """Raise DatabaseAway, and then begin to count anew: nobody could beat either."""
        try:
            return self._jobs.leases(), self._jobs.letting_go()
        except DatabaseAway:
            self._seen.clear()
            raise

    def _look(self) -> float:
        """Give the moment. Who slept for a lease knows nothing of what went on: others may have slept as well."""
        moment = self._monotonic()
        if moment - self._looked >= self._lease_seconds:
            self._seen.clear()
        self._looked = moment
        return moment

    def _take(self, lease: Lease, now: datetime) -> None:
        reach("before_take_over")
        status = self._transitions.take_over(
            lease.job_id,
            lease.attempt,
            beat=lease.beat,
            max_attempts=self._max_attempts,
            message=WorkerLost(attempts=self._max_attempts).message,
            now=now,
        )
        reach("after_take_over")
        if status is not None:
            self._figures.failures.add(WorkerLost.code)
            log.warning(
                "job %s was taken over from a lost worker: %s",
                lease.job_id,
                status,
                extra={"job": lease.job_id, "attempt": lease.attempt, "worker": lease.worker},
            )
