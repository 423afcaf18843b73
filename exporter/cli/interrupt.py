"""Ctrl-C that is never lost, and that interrupts nothing but waiting."""

import signal
import time
from types import FrameType, TracebackType
from typing import Self


class Interrupt:
    """While entered, the first Ctrl-C is noticed in `sleep`; a second one interrupts whatever goes on.

    Python's own KeyboardInterrupt comes up anywhere: in the middle of a transaction, or inside of a callback that
    swallows it.
    """

    def __init__(self) -> None:
        self._came = False
        self._sleeping = False

    def __enter__(self) -> Self:
        self._before = signal.getsignal(signal.SIGINT)
        if (
            self._before is signal.default_int_handler
        ):  # a process that was told to ignore it goes on doing so
            signal.signal(signal.SIGINT, self._noticed)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    def sleep(self, seconds: float) -> None:
        """Raise KeyboardInterrupt, also for a Ctrl-C that came before."""
        self._sleeping = True
        try:
            if self._came:
                raise KeyboardInterrupt
            time.sleep(seconds)
        finally:
            self._sleeping = False

    def _noticed(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        again, self._came = self._came, True
        if again or self._sleeping:
            raise KeyboardInterrupt
