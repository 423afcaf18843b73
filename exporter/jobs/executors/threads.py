"""The executor of a server on its own: a pool of threads."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from exporter.jobs.executors.base import Census, PoolClosed

log = logging.getLogger(__name__)


class ThreadExecutor:
    """A ThreadPoolExecutor of this process. `freed` is called whenever a slot becomes free."""

    def __init__(self, run: Callable[[str], None], slots: int, freed: Callable[[], None]) -> None:
        self._run = run
        self._slots = slots
        self._freed = freed
        self._pool = ThreadPoolExecutor(max_workers=slots, thread_name_prefix="exporter-slot")
        self._futures: dict[str, Future[None]] = {}
        self._change = threading.Condition()

    @property
    def free(self) -> int:
        with self._change:
            return self._slots - len(self._futures)

    @property
    def trouble(self) -> None:
        """Threads of this process are always there."""

    def census(self) -> Census:
        return Census(slots=self._slots, busy=len(self.running()))

    def submit(self, job_id: str) -> None:
        with self._change:
            try:
                future = self._pool.submit(self._run, job_id)
            except RuntimeError as exc:
                raise PoolClosed from exc
            self._futures[job_id] = future
            future.add_done_callback(lambda future: self._done(job_id, future))

    def running(self) -> frozenset[str]:
        with self._change:
            return frozenset(self._futures)

    def close(self, *, wait: float) -> bool:
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._change:
            ended = self._change.wait_for(lambda: not self._futures, timeout=wait)
        if ended:
            self._pool.shutdown(wait=True)  # the jobs are done, and so are their threads in a moment
        return ended

    def _done(self, job_id: str, future: Future[None]) -> None:
        if not future.cancelled() and (fault := future.exception()) is not None:
            told = "job %s left its slot by an unexpected fault"
            log.error(told, job_id, exc_info=fault, extra={"job": job_id})
        with self._change:
            self._futures.pop(job_id, None)
            self._change.notify_all()
        self._freed()
