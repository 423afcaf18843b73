"""Several iterators, each in a thread of its own, as one."""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from threading import Condition, Thread
from typing import Generic, TypeVar

T = TypeVar("T")

HELD = 4  # items that wait to be taken; every thread holds one more at the most


def _nothing() -> None:
    """Nobody waits."""


class Gathering(Generic[T]):
    """Items of all iterators as they come; one iterator's own stay in order.

    What an iterator raises is raised after the items that it gave before. However it ends, `close` leaves no thread.
    """

    def __init__(
        self,
        makers: Sequence[Callable[[], Generator[T, None, None]]],
        stopping: Callable[[], None] = _nothing,
    ) -> None:
        """Take as `stopping` what lets those go that wait for something else than room."""
        self._stopping = stopping
        self._waiting: deque[T | BaseException] = deque()
        self._changed = Condition()
        self._stopped = False
        self._running = len(makers)
        self._threads = [
            Thread(target=self._run, args=(make,), name=f"exporter-read_{place}", daemon=True)
            for place, make in enumerate(makers)
        ]

    def items(self) -> Iterator[T]:
        """Start the threads and yield what they give; closes at the end."""
        try:
            for thread in self._threads:
                thread.start()
            while (item := self._take()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            self.close()

    def close(self) -> None:
        """Stop the threads, each when it next gives an item, and wait for them. Never raises."""
        with self._changed:
            self._stopped = True
            self._waiting.clear()
            self._changed.notify_all()
        self._stopping()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _run(self, make: Callable[[], Generator[T, None, None]]) -> None:
        try:
            with closing(make()) as items:
                for item in items:
                    if not self._give(item):
                        break
        except BaseException as exc:  # noqa: BLE001 - raised where the items are taken
            self._give(exc)
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def _give(self, item: T | BaseException) -> bool:
        """Wait for room; tell whether the item is still wanted."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or len(self._waiting) < HELD)
            if not self._stopped:
                self._waiting.append(item)
                self._changed.notify_all()
            return not self._stopped

    def _take(self) -> T | BaseException | None:
        """Wait for an item; None when there will be no more."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or not self._running)
            item = self._waiting.popleft() if self._waiting else None
            self._changed.notify_all()
            return item
