"""One simulated server: `python -m bench.workers SLOTS MEAN SECONDS`, run as a child of the bench.

All is real but the exports: a dispatcher, leases and transitions of the installation of the environment. A job takes
MEAN seconds on average (exponentially distributed) and writes nothing. Ends when nothing waits, or after SECONDS.
Prints what each kind of question to the app database took, in milliseconds, and what became of the jobs.
"""

import json
import os
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from threading import Event, Lock
from typing import Any, ParamSpec, TypeVar

from sqlalchemy import create_engine

from exporter.jobs.cancel import CancelToken
from exporter.jobs.dispatcher import Dispatcher
from exporter.jobs.executors.threads import ThreadExecutor
from exporter.jobs.lease import Pulse, Running
from exporter.jobs.progress import Progress
from exporter.model import Outcome, utc_now
from exporter.settings import load_settings
from exporter.storage.database import Database, engine_options, prepare_engine
from exporter.storage.jobs import JobStore
from exporter.storage.transitions import JobTransitions

LOOK_SECONDS = 0.2
RECEIPT = {
    "columns": [{"name": f"column_{number}", "nulls": 0} for number in range(16)],
    "sql": "SELECT " * 40,
}

P = ParamSpec("P")
T = TypeVar("T")


class Clock:
    """Milliseconds of each kind of question."""

    def __init__(self) -> None:
        self.spent: dict[str, list[float]] = defaultdict(list)
        self._lock = Lock()

    def timed(self, name: str, ask: Callable[P, T]) -> Callable[P, T]:
        def asked(*args: P.args, **kwargs: P.kwargs) -> T:
            started = time.perf_counter()
            try:
                return ask(*args, **kwargs)
            finally:
                with self._lock:
                    self.spent[name].append((time.perf_counter() - started) * 1000)

        return asked


class Server:
    """The parts of a server that work on the queue."""

    def __init__(self, database: Database, slots: int, mean: float) -> None:
        self.clock = Clock()
        self.completed = 0
        self.refused = 0  # handed over here, claimed by another server
        self.jobs = _Jobs(database, self.clock)
        self._transitions = _Transitions(database, self.clock)
        self._mean = mean
        self._over = Event()
        self._pulse = Pulse(self._transitions, lease_seconds=15)
        self._executor = ThreadExecutor(self._run, slots, self._freed)
        self._dispatcher = Dispatcher(self.jobs, self._executor)

    def work(self, seconds: float) -> float:
        """Work until nothing waits or the time is over; give the seconds that it took."""
        started = time.perf_counter()
        self._pulse.start()
        self._dispatcher.start()
        while time.perf_counter() - started < seconds and (self._executor.running() or self.jobs.waiting()):
            time.sleep(LOOK_SECONDS)
        spent = time.perf_counter() - started
        self._dispatcher.stop()
        self._over.set()
        self._executor.close(wait=seconds)
        self._pulse.stop()
        return spent

    def _freed(self) -> None:
        self._dispatcher.notify()

    def _run(self, job_id: str) -> None:
        attempt = self._transitions.claim(job_id, worker=str(os.getpid()), now=utc_now())
        if attempt is None:
            self.refused += 1
            return
        running = Running(job_id=job_id, attempt=attempt, token=CancelToken(), progress=Progress())
        with self._pulse.watching(running):
            if self._mean:
                self._over.wait(random.expovariate(1 / self._mean))
            if self._over.is_set():
                self._transitions.release(job_id, attempt, now=utc_now())
            elif self._transitions.complete(job_id, attempt, _outcome(job_id), now=utc_now()):
                self.completed += 1


class _Jobs(JobStore):
    def __init__(self, database: Database, clock: Clock) -> None:
        super().__init__(database)
        self.waiting = clock.timed("whose turn", self.waiting)  # type: ignore[method-assign]
        self.running_per_owner = clock.timed("who runs", self.running_per_owner)  # type: ignore[method-assign]


class _Transitions(JobTransitions):
    def __init__(self, database: Database, clock: Clock) -> None:
        super().__init__(database)
        self.claim = clock.timed("claim", self.claim)  # type: ignore[method-assign]
        self.beat = clock.timed("beat", self.beat)  # type: ignore[method-assign]
        self.complete = clock.timed("complete", self.complete)  # type: ignore[method-assign]


def _outcome(job_id: str) -> Outcome:
    return Outcome(
        artifact=f"{job_id}-1", file_name="orders.csv", file_size=1, checksum="0" * 64, row_count=1, warnings=(),
        receipt=RECEIPT, expires_at=None,
    )  # fmt: skip


def main() -> None:
    slots, mean, seconds = int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
    settings = load_settings(os.environ)
    engine = create_engine(settings.database_url, **engine_options(settings.database_url))
    prepare_engine(engine)
    server = Server(Database(engine), slots, mean)
    spent = server.work(seconds)
    told: dict[str, Any] = {
        "seconds": spent,
        "completed": server.completed,
        "refused": server.refused,
        "spent": server.clock.spent,
    }
    Path(sys.argv[4]).write_text(json.dumps(told))


if __name__ == "__main__":
    main()
