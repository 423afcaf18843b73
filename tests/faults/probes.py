"""Probes for tests that meet a fault inside their own process."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from exporter.failpoints import probing

DEADLINE_SECONDS = 60


class Hold:
    """Holds the first thread that reaches the place until it may go on."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._there, self._go = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._met = False

    def __call__(self, place: str) -> None:
        with self._lock:
            first = place == self._place and not self._met
            self._met = self._met or first
        if first:
            self._there.set()
            assert self._go.wait(DEADLINE_SECONDS), "nobody let it go on"

    def wait(self) -> None:
        assert self._there.wait(DEADLINE_SECONDS), f"nobody came to {self._place}"

    def go(self) -> None:
        self._go.set()


@contextmanager
def holding(place: str) -> Iterator[Hold]:
    hold = Hold(place)
    with probing(hold):
        try:
            yield hold
        finally:
            hold.go()


@contextmanager
def doing(place: str, act: Callable[[], None], times: int = 1) -> Iterator[list[str]]:
    """Have `act` done the first `times` times that the place is reached; give what was reached."""
    reached: list[str] = []

    def probe(at: str) -> None:
        reached.append(at)
        if at == place and reached.count(place) <= times:
            act()

    with probing(probe):
        yield reached


def eventually(met: Callable[[], bool]) -> None:
    """Ask again and again, as a client does."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not met():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def raising(fault: BaseException) -> Callable[[], None]:
    def act() -> None:
        raise fault

    return act


def together(*acts: Callable[[], object]) -> list[object]:
    """Do all at the same moment, each in a thread, and give what each returned."""
    barrier, results = threading.Barrier(len(acts)), [None] * len(acts)

    def run(number: int) -> None:
        barrier.wait(DEADLINE_SECONDS)
        results[number] = acts[number]()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
