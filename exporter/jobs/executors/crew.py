"""Other workers of the Dask cluster, as a worker sees them that exports: each reads a part when it is sent for."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any
from uuid import uuid4

from distributed import Client, KilledWorker

from exporter.sources.sharing import NotFetched

Task = Callable[[Mapping[str, Any]], Mapping[str, Any]]

LOOK_SECONDS = 0.1
ANSWER_SECONDS = 10.0  # for the few words that a worker answers when it has done its part
BEHIND_JOBS = -1  # a worker that is free takes a waiting job before it takes a waiting part


class Peers:
    """Those that were there when the job was handed over; the scheduler chooses who of them is free."""

    def __init__(self, client: Client, workers: Sequence[str], task: Task) -> None:
        """Take as `task` what reads a part on a worker."""
        self._task = task
        self._client = client
        self._workers = list(workers)

    def send(self, asked: Mapping[str, Any], wanted: Callable[[], bool]) -> Mapping[str, Any] | None:
        """Have a part read. Gives None when it is no longer wanted; raises NotFetched."""
        future: Any = self._client.submit(
            self._task,
            asked,
            key=f"part-{asked['job_id']}-{asked['attempt']}-{uuid4().hex[:8]}",
            workers=self._workers,
            allow_other_workers=False,
            pure=False,
            retries=0,
            priority=BEHIND_JOBS,
        )
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        while not done.wait(LOOK_SECONDS):
            if not wanted():
                with suppress(OSError, CancelledError):
                    future.cancel()
                return None
        return _answer(future)


def _answer(future: Any) -> Mapping[str, Any]:
    """Raise NotFetched; a worker that died may have been the only one that does."""
    try:
        answer: Mapping[str, Any] = future.result(timeout=ANSWER_SECONDS)
    except (KilledWorker, CancelledError, OSError) as exc:
        raise NotFetched(f"its worker was lost: {type(exc).__name__}", lasting=False) from None
    except Exception as exc:  # noqa: BLE001 - whatever a worker met; its own log says where
        raise NotFetched(f"its worker failed: {type(exc).__name__}", lasting=True) from None
    return answer
