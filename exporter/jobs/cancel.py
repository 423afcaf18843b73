"""Cooperative cancellation: a flag with a reason, polled at every batch, plus the driver's own interrupt."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum


class Reason(StrEnum):
    CANCELLED = "cancelled"  # somebody asked for it
    LOST = "lost"  # the lease is gone: another attempt may be running
    STOPPING = "stopping"  # the server is going down; the job goes back to the queue


class Cancelled(Exception):
    """The work was asked to stop."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class CancelToken:
    """One attempt's flag. The first reason stays."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flagged = threading.Event()
        self._reason: Reason | None = None
        self._interrupt: Callable[[], None] | None = None

    @property
    def reason(self) -> Reason | None:
        return self._reason

    def cancel(self, reason: Reason) -> None:
        """Set the flag and interrupt what runs; from any thread."""
        with self._lock:
            if self._reason is None:
                self._reason = reason
                self._flagged.set()
            if self._interrupt is not None:
                self._interrupt()

    def check(self) -> None:
        """Raise Cancelled if the flag is set."""
        if self._reason is not None:
            raise Cancelled(self._reason)

    def wait(self, seconds: float) -> None:
        """Let time pass, but not past the flag. Raises Cancelled."""
        self._flagged.wait(seconds)
        self.check()

    @contextmanager
    def interrupting(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Have `cancel` call `interrupt` within this block. Raises Cancelled if the flag is set already.

        `interrupt` is never called after the block has ended, so what it touches may then be closed.
        """
        with self._lock:
            self.check()
            self._interrupt = interrupt
        try:
            yield
        finally:
            with self._lock:
                self._interrupt = None
