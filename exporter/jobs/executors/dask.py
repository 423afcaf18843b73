"""The executor of an installation whose exports run on a Dask cluster.

One thread speaks with the scheduler. What it remembers of a job it handed over is a guess that frees or takes a slot;
the job's row alone says what became of it. A job that nobody claims is handed over again, and a copy finds its row
claimed.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass

from exporter.errors import DatabaseAway, StoreNotShared
from exporter.figures import Figures
from exporter.jobs.executors.base import Census, PoolClosed
from exporter.jobs.executors.cluster import Cluster, Connection, Figured, Member
from exporter.jobs.executors.roll import ASK_AGAIN_SECONDS, Roll
from exporter.model import JobStatus
from exporter.storage.jobs import JobStore

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
START_SECONDS = 20.0
CLOSE_SECONDS = 10.0
PAUSE_SECONDS = 1.0  # before a job is handed over again that its worker could not take
NOT_YET = "The Dask scheduler has not answered yet"
NO_SCHEDULER = "The Dask scheduler does not answer"
NO_WORKERS = "The Dask cluster has no workers"
NOT_EXAMINED = "The workers of the Dask cluster have not answered yet"
NO_FIT_WORKERS = "No worker of the Dask cluster can run this server's jobs; exporter doctor says why"


@dataclass(frozen=True, kw_only=True, eq=False)
class Handed:
    """One handing over of a job to whichever of some workers takes it; `since` is monotonic."""

    job_id: str
    workers: frozenset[str]
    since: float


class DaskExecutor:
    """`slots` bounds what this server has handed over and not seen end; so do the workers' threads that are idle.

    `freed` is called whenever a slot may have become free. `patience` is how many seconds a job may wait at the
    scheduler before it is handed over again.
    """

    def __init__(
        self,
        cluster: Cluster,
        jobs: JobStore,
        figures: Figures,
        *,
        slots: int,
        freed: Callable[[], None],
        patience: float,
    ) -> None:
        self._cluster = cluster
        self._jobs = jobs
        self._figures = figures
        self._slots = slots
        self._freed = freed
        self._patience = patience
        self._lock = threading.Lock()
        self._handed: dict[str, Handed] = {}
        self._fit: frozenset[Member] = frozenset()
        self._members: frozenset[Member] = frozenset()
        self._running: frozenset[str] = frozenset()  # in all rows, whoever handed them over
        self._trouble: str | None = NOT_YET
        self._told: object = None
        self._closed = False
        self._looked = threading.Event()
        self._roll = Roll()
        self._futures: dict[Handed, Awaitable[Figured]] = {}
        self._following: dict[Handed, asyncio.Task[None]] = {}
        self._returned: set[str] = set()  # jobs whose tasks ended while the rows were being read
        self._ending: set[Handed] = set()  # their rows have ended, and what they return may be on its way
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
            own, elsewhere = len(self._handed), len(self._running - self._handed.keys())
            return max(0, min(self._slots, _threads(self._fit) - elsewhere) - own)

    @property
    def trouble(self) -> str | None:
        return self._trouble

    def census(self) -> Census:
        """Count all that runs on the cluster, whichever server handed it over."""
        members, verdicts = self._members, self._roll.verdicts
        refused = sum(bool(verdicts[member].faults) for member in members if member in verdicts)
        with self._lock:
            fit, busy = self._fit & members, len(self._running | self._handed.keys())
        unexamined = len(members) - len(fit) - refused
        return Census(slots=_threads(fit), busy=busy, fit=len(fit), refused=refused, unexamined=unexamined)

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
            self._roll.hang_up()
            self._members = frozenset()
            self._see(frozenset(), NO_SCHEDULER)
            for handed in list(self._following):
                self._drop(handed)
            self._looked.set()
            await self._pause()

    async def _watch(self, connection: Connection) -> None:
        self._connection = connection
        while not self._stop.is_set():
            members = self._members = await connection.workers()
            fit = await self._roll.call(connection, members)
            with suppress(DatabaseAway):
                await self._look()
            self._see(fit, self._lacking(members))
            if self._roll.knows(members):
                self._looked.set()
            with suppress(DatabaseAway):
                await self._review(connection)
            await self._pause()

    async def _look(self) -> None:
        """See which jobs run, by their rows."""
        self._returned.clear()
        leases = await asyncio.to_thread(self._jobs.leases)
        self._running = frozenset(lease.job_id for lease in leases) - self._returned

    def _lacking(self, members: frozenset[Member]) -> str:
        """Say what it would be if no worker were fit."""
        if not members:
            return NO_WORKERS
        return NO_FIT_WORKERS if self._roll.knows(members) else NOT_EXAMINED

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), LOOK_SECONDS)

    def _see(self, fit: frozenset[Member], otherwise: str) -> None:
        """Take what was seen for the truth from now on; `otherwise` is said where nobody is fit."""
        with self._lock:
            self._fit, self._trouble = fit, None if fit else otherwise
            news, self._told = self._told != (fit, self._trouble), (fit, self._trouble)
        if self._closed or not news:
            return
        if self._trouble is not None:
            log.warning("%s (%s)", self._trouble, self._cluster.address)
        else:
            log.info("the Dask cluster is ready: workers=%d threads=%d", len(fit), _threads(fit))
        self._freed()

    async def _review(self, connection: Connection) -> None:
        """Take back what is not run though it was handed over long ago, or to workers that have gone since."""
        here = {member.address for member in self._fit}
        late = time.monotonic() - self._patience
        for handed in list(self._following):
            if handed.job_id in self._running or (
                handed.since > late and not handed.workers.isdisjoint(here)
            ):
                continue
            job = await asyncio.to_thread(self._jobs.get, handed.job_id)
            if job is not None and job.status is JobStatus.PROCESSING:
                continue
            if job is not None and job.status is JobStatus.PENDING:
                self._doubt(handed.workers)
            elif handed not in self._ending:
                self._ending.add(handed)
                continue
            await self._take_back(connection, handed)

    async def _take_back(self, connection: Connection, handed: Handed) -> None:
        future = self._futures.get(handed)
        self._drop(handed)
        if future is not None:
            await connection.take_back(future)

    def _doubt(self, workers: frozenset[str]) -> None:
        """Send nothing to workers of which one may have frozen, until they have answered again."""
        self._roll.doubt(workers)
        with self._lock:
            self._fit = frozenset(member for member in self._fit if member.address not in workers)

    def _begin(self, handed: Handed) -> None:
        self._following[handed] = self._loop.create_task(self._follow(handed))

    async def _follow(self, handed: Handed) -> None:
        """See one handing over to its end, as far as Dask tells of it."""
        if not handed.workers:  # they have gone since the slot was seen free
            self._drop(handed)
            return
        try:
            future = self._futures[handed] = self._connection.hand_over(handed.job_id, handed.workers)
            log.info("job %s handed over to the cluster", handed.job_id, extra={"job": handed.job_id})
            self._figures.put(await future or {})
            self._returned.add(handed.job_id)
            self._running -= {handed.job_id}  # or its slot would be taken until the next look
        except CancelledError:
            log.warning("job %s was handed over to a scheduler that has gone", handed.job_id)
        except Exception as exc:  # noqa: BLE001 - whatever a worker met; its own log says where
            log.warning(
                "job %s was not run where it was sent: %s: %s", handed.job_id, type(exc).__name__, exc
            )
            await asyncio.sleep(PAUSE_SECONDS)
        self._drop(handed)

    def _drop(self, handed: Handed) -> None:
        """Free the slot."""
        self._ending.discard(handed)
        self._futures.pop(handed, None)
        task = self._following.pop(handed, None)
        if task is not None and task is not asyncio.current_task(self._loop):
            task.cancel()
        with self._lock:
            if self._handed.get(handed.job_id) is handed:
                del self._handed[handed.job_id]
        self._freed()


def _threads(members: Iterable[Member]) -> int:
    return sum(member.threads for member in members)
