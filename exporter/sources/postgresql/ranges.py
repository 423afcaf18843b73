"""The parts of a table, taken in turn by whoever reads them: sessions of this process, and workers elsewhere.

A part that was handed elsewhere counts as out until it has arrived whole. Sessions here wait for the parts that are
out, and read one themselves that comes back unread or stays out for too long: so a worker that froze, or never took
its part, costs a little time and nothing else.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from threading import Condition
from time import monotonic
from typing import TypeVar

from exporter.sources.postgresql.pages import Part
from exporter.sources.watch import Watch

T = TypeVar("T")

PATIENCE = 3.0  # times what the slowest part took here
LEAST_PATIENCE = 0.5  # seconds
LOOK_SECONDS = 0.1


def overdue(out: Mapping[T, float], *, now: float, slowest: float) -> T | None:
    """Choose of what is out, and since when, the one to be read here: the last one handed out of the late ones."""
    patience = max(LEAST_PATIENCE, PATIENCE * slowest)
    late = [item for item, since in out.items() if now - since > patience]
    return max(late, key=lambda item: out[item], default=None)


class Ranges:
    def __init__(self, parts: Iterable[Part], watch: Watch, clock: Callable[[], float] = monotonic) -> None:
        self._waiting = deque(parts)
        self._out: dict[Part, float] = {}
        self._watch = watch
        self._clock = clock
        self._slowest = 0.0
        self._stopped = False
        self._changed = Condition()

    def take(self) -> Part | None:
        """Give the next part to be read here; None when none is left and none can come back.

        Raises what the watch raises when it is over.
        """
        with self._changed:
            while (part := self._next()) is None and self._out and not self._stopped:
                self._watch.check()
                self._changed.wait(LOOK_SECONDS)
            return part

    def took(self, seconds: float) -> None:
        """Say how long a part took that was read here."""
        with self._changed:
            self._slowest = max(self._slowest, seconds)

    def hand_out(self) -> Part | None:
        """Give the next part to be read elsewhere; None when there is none."""
        with self._changed:
            if self._stopped or not self._waiting:
                return None
            part = self._waiting.popleft()
            self._out[part] = self._clock()
            return part

    def is_wanted(self, part: Part) -> bool:
        with self._changed:
            return part in self._out and not self._stopped and not self._watch.over

    def arrived(self, part: Part) -> bool:
        """Take a part that was out for read; False if somebody here reads it instead."""
        with self._changed:
            self._changed.notify_all()
            return not self._stopped and self._out.pop(part, None) is not None

    def give_back(self, part: Part) -> None:
        """Let a part be read here that was not read elsewhere."""
        with self._changed:
            if self._out.pop(part, None) is not None:
                self._waiting.append(part)
            self._changed.notify_all()

    def stop(self) -> None:
        """Give no more; whoever waits is let go."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _next(self) -> Part | None:
        if self._stopped:
            return None
        if self._waiting:
            return self._waiting.popleft()
        late = overdue(self._out, now=self._clock(), slowest=self._slowest)
        if late is not None:
            del self._out[late]
        return late
