"""Hands waiting jobs to free slots, in fair turns between users."""

import logging
import threading
from collections import Counter
from collections.abc import Mapping, Sequence

from exporter.errors import DatabaseAway
from exporter.jobs.executors.base import Executor, PoolClosed
from exporter.storage.jobs import JobStore, Waiting

log = logging.getLogger(__name__)

POLL_SECONDS = 0.5  # how soon a job is seen that another process queued


def next_turn(waiting: Sequence[Waiting], running: Mapping[str, int]) -> Waiting | None:
    """Choose whose turn it is: the user with the fewest running jobs, among those the oldest job."""
    return min(
        waiting, key=lambda job: (running.get(job.owner_id, 0), job.queued_at, job.job_id), default=None
    )


class Dispatcher:
    """Owns one thread. The claim is the runner's: a job handed over twice runs once.

    `only` restricts it to some jobs: a command that runs its own job leaves the rest of the queue alone.
    """

    def __init__(self, jobs: JobStore, executor: Executor, *, only: frozenset[str] | None = None) -> None:
        self._jobs = jobs
        self._executor = executor
        self._only = only
        self._wake = threading.Event()
        self._stopping = False
        self._owners: dict[str, str] = {}  # of jobs handed over, for they may not have claimed yet
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._loop, name="exporter-dispatcher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    @property
    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def notify(self) -> None:
        """Look at the queue now: a job came or a slot became free."""
        self._wake.set()

    def dispatch(self) -> None:
        """Fill the free slots, unless it is to stop: slots of short jobs are free again and again."""
        while not self._stopping and self._executor.free > 0 and (turn := self._next()) is not None:
            self._owners[turn.job_id] = turn.owner_id
            self._executor.submit(turn.job_id)

    def _next(self) -> Waiting | None:
        handed = self._executor.running()
        self._owners = {job: owner for job, owner in self._owners.items() if job in handed}
        waiting = self._jobs.waiting(leaving_out=sorted(handed), only=self._only)
        running = Counter(self._jobs.running_per_owner(leaving_out=sorted(handed)))
        return next_turn(waiting, running + Counter(self._owners.values()))

    def _loop(self) -> None:
        while not self._stopping:
            try:
                self.dispatch()
            except DatabaseAway:
                log.warning("the queue cannot be read: the app database does not answer")
            except PoolClosed:
                return
            except Exception:
                log.exception("dispatching met an unexpected fault; trying again")
            self._wake.wait(POLL_SECONDS)
            self._wake.clear()
