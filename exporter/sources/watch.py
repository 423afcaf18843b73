"""When a running statement must end: at its deadline, or because somebody asked."""

from threading import Event
from time import monotonic

from exporter.failures import ExportFailed, QueryFailed, QueryTimeout


class Watch:
    """One statement's time limit and one source's interrupt; an interrupted source reads nothing more."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end = monotonic() + seconds
        self._interrupted = Event()

    def start(self) -> None:
        self._end = monotonic() + self._seconds

    def interrupt(self) -> None:
        self._interrupted.set()

    @property
    def interrupted(self) -> bool:
        return self._interrupted.is_set()

    @property
    def remaining(self) -> float:
        """Seconds until the deadline; negative past it."""
        return self._end - monotonic()

    @property
    def over(self) -> bool:
        return self.interrupted or self.remaining <= 0

    def failure(self) -> ExportFailed:
        """Say why the statement was ended; only for a watch that is over."""
        if self.interrupted:
            return QueryFailed(reason="it was interrupted")
        return QueryTimeout(seconds=f"{self._seconds:g}")

    def check(self) -> None:
        if self.over:
            raise self.failure()
