"""Compressing and writing beside the thread that makes the bytes: one block after another, and back in order."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

SMALL = 1 << 16  # bytes that are packed at once where nothing waits: most files never need a thread
MAX_WAITING = 4  # blocks; every other one may be what stands between two large ones
MAX_WAITING_BYTES = 16 << 20
THREAD = "exporter-packer"

T = TypeVar("T")


class Packing(Generic[T]):
    """Hands blocks to `pack` in a thread of its own, and its results to `put` in the caller's.

    A block must not change any more. `settle` before anything else is written; `close` in any case.
    """

    def __init__(self, pack: Callable[[Any], T], put: Callable[[T], object]) -> None:
        self._pack = pack
        self._put = put
        self._waiting: deque[tuple[Future[T], int]] = deque()
        self._bytes = 0
        self._pool: ThreadPoolExecutor | None = None

    def write(self, data: Any) -> int:
        size = memoryview(data).nbytes
        if size < SMALL and not self._waiting:
            self._put(self._pack(data))
            return size
        if self._pool is None:
            self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=THREAD)
        self._waiting.append((self._pool.submit(self._pack, data), size))
        self._bytes += size
        while len(self._waiting) > MAX_WAITING or self._bytes > MAX_WAITING_BYTES:
            self._settle_first()
        return size

    def settle(self) -> None:
        """Wait for all blocks."""
        while self._waiting:
            self._settle_first()

    def close(self) -> None:
        """End the thread. What still waits is dropped."""
        self._waiting.clear()
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def _settle_first(self) -> None:
        future, size = self._waiting.popleft()
        self._bytes -= size
        self._put(future.result())
