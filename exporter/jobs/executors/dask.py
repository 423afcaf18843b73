"""The executor of an installation whose exports run on a Dask cluster.

One thread speaks with the scheduler. What it remembers of a job it handed over is a guess that frees or takes a slot;
the job's row alone says what became of it. A job that nobody claims is handed over again, and a copy finds its row
claimed.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass

from exporter.errors import DatabaseAway, StoreNotShared
from exporter.jobs.executors.base import PoolClosed
from exporter.jobs.executors.cluster import Cluster, Connection, Member
from exporter.jobs.executors.roll import ASK_AGAIN_SECONDS, Roll
from exporter.storage.jobs import Lease

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
START_SECONDS = 20.0
CLOSE_SECONDS = 10.0
PAUSE_SECONDS = 1.0  # before a job is handed over again that its worker could not take
NOT_YET = "The Dask scheduler has not answered yet"
NO_SCHEDULER = "The Dask scheduler does not answer"
NO_WORKERS = "The Dask cluster has no workers"
NO_FIT_WORKERS = "No worker of the Dask cluster can run this server's jobs; exporter doctor says why"


@dataclass(frozen=True, kw_only=True, eq=False)
class Handed:
    """One handing over of a job to whichever of some workers takes it; `since` is monotonic."""

    job_id: str
    workers: frozenset[str]
    since: float


class DaskExecutor:
    """`slots` bounds what this server has handed over and not seen end, and so do the threads of the workers.

    `freed` is called whenever a slot may have become free, `leases` gives the jobs that run, and `patience` is how
    many seconds a job may wait at the scheduler before it is handed over again.
    """

    def __init__(
        self,
        cluster: Cluster,
        *,
        slots: int,
        freed: Callable[[], None],
        leases: Callable[[], Sequence[Lease]],
        patience: float,
    ) -> None:
        self._cluster = cluster
        self._slots = slots
        self._freed = freed
        self._leases = leases
        self._patience = patience
        self._lock = threading.Lock()
        self._handed: dict[str, Handed] = {}
        self._fit: frozenset[Member] = frozenset()
        self._trouble: str | None = NOT_YET
        self._closed = False
        self._looked = threading.Event()
        self._roll = Roll()
        self._futures: dict[Handed, Awaitable[None]] = {}
        self._following: dict[Handed, asyncio.Task[None]] = {}
        self._thread = threading.Thread(target=self._live, name="exporter-cluster", daemon=True)

    def start(self) -> None:
        """Look at the cluster once; one that does not answer may come later. Raises StoreNotShared."""
        self._thread.start()
        self._looked.wait(START_SECONDS)
        for member, verdict in self._roll.verdicts.items():
            if not verdict.store_shared:
                self.close(wait=0)
                raise StoreNotShared(
                    worker=member.address, reason=verdict.faults[-1], retry_after=ASK_AGAIN_SECONDS
                )

    @property
    def free(self) -> int:
        with self._lock:
            threads = sum(member.threads for member in self._fit)
            return max(0, min(self._slots, threads) - len(self._handed))

    @property
    def trouble(self) -> str | None:
        return self._trouble

    def submit(self, job_id: str) -> None:
        with self._lock:
            if self._closed:
                raise PoolClosed
            workers = frozenset(member.address for member in self._fit)
            handed = Handed(job_id=job_id, workers=workers, since=time.monotonic())
            self._handed[job_id] = handed
            self._loop.call_soon_threadsafe(self._begin, handed)

    def running(self) -> frozenset[str]:
        with self._lock:
            return frozenset(self._handed)

    def close(self, *, wait: float) -> bool:
        """Leave the cluster. What runs there goes on, and nothing of it is in this process."""
        del wait
        with self._lock:
            if not self._closed and self._thread.is_alive():
                self._loop.call_soon_threadsafe(self._stop.set)
            self._closed = True
        self._thread.join(CLOSE_SECONDS)
        return True

    def _live(self) -> None:
        with asyncio.Runner() as runner:
            self._loop, self._stop = runner.get_loop(), asyncio.Event()
            runner.run(self._attend())

    async def _attend(self) -> None:
        """Stay with the cluster, whatever happens to it."""
        while not self._stop.is_set():
            try:
                async with self._cluster.connected() as connection:
                    await self._watch(connection)
            except OSError as exc:
                log.debug("%s: %s", self._cluster.address, exc)
            except Exception:
                log.exception("speaking with the Dask scheduler met an unexpected fault; trying again")
            self._see(frozenset(), NO_SCHEDULER)
            for handed in list(self._following):
                self._drop(handed)
            self._looked.set()
            await self._pause()

    async def _watch(self, connection: Connection) -> None:
        self._connection = connection
        while not self._stop.is_set():
            members = await connection.workers()
            fit = await self._roll.call(connection, members)
            self._see(fit, NO_FIT_WORKERS if members else NO_WORKERS)
            self._looked.set()
            await self._review(connection)
            await self._pause()

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), LOOK_SECONDS)

    def _see(self, fit: frozenset[Member], otherwise: str) -> None:
        """Take what was seen for the truth from now on; `otherwise` is said where nobody is fit."""
        trouble = None if fit else otherwise
        with self._lock:
            news = (fit, trouble) != (self._fit, self._trouble)
            self._fit, self._trouble = fit, trouble
        if news and not self._closed:
            self._tell()
            self._freed()

    def _tell(self) -> None:
        if self._trouble is not None:
            log.warning("%s (%s)", self._trouble, self._cluster.address)
            return
        threads = sum(member.threads for member in self._fit)
        log.info("exports run on %d Dask workers, %d at once", len(self._fit), threads)

    async def _review(self, connection: Connection) -> None:
        """Take back what nobody runs though it was handed over long ago, or to workers that have gone since."""
        here = {member.address for member in self._fit}
        late = time.monotonic() - self._patience
        asked = [
            handed for handed in self._following if handed.since < late or handed.workers.isdisjoint(here)
        ]
        idle = await self._not_running(asked) if asked else []
        if idle:
            self._doubt(frozenset[str]().union(*(handed.workers for handed in idle)))
        for handed in idle:
            future = self._futures.get(handed)
            self._drop(handed)
            if future is not None:
                await connection.take_back(future)

    async def _not_running(self, asked: list[Handed]) -> list[Handed]:
        try:
            leases = await asyncio.to_thread(self._leases)
        except DatabaseAway:
            return []
        running = {lease.job_id for lease in leases}
        return [handed for handed in asked if handed.job_id not in running]

    def _doubt(self, workers: frozenset[str]) -> None:
        """Send nothing to workers of which one may have frozen, until they have answered again."""
        self._roll.doubt(workers)
        fit = frozenset(member for member in self._fit if member.address not in workers)
        self._see(fit, NO_FIT_WORKERS)

    def _begin(self, handed: Handed) -> None:
        self._following[handed] = self._loop.create_task(self._follow(handed))

    async def _follow(self, handed: Handed) -> None:
        """See one handing over to its end, as far as Dask tells of it."""
        try:
            future = self._futures[handed] = self._connection.hand_over(handed.job_id, handed.workers)
            log.info("job %s handed over to the cluster", handed.job_id, extra={"job": handed.job_id})
            await future
        except CancelledError:
            log.warning("job %s was handed over to a scheduler that has gone", handed.job_id)
        except Exception:
            log.exception("job %s could not be run where it was sent", handed.job_id)
            await asyncio.sleep(PAUSE_SECONDS)
        self._drop(handed)

    def _drop(self, handed: Handed) -> None:
        """Free the slot."""
        self._futures.pop(handed, None)
        task = self._following.pop(handed, None)
        if task is not None and task is not asyncio.current_task(self._loop):
            task.cancel()
        with self._lock:
            if self._handed.get(handed.job_id) is handed:
                del self._handed[handed.job_id]
        self._freed()
