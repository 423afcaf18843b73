"""A server that tells what each of its parts has spent: `python -m bench.observed FILE serve …`, a child of the bench.

It is `exporter serve` as it is. At SIGUSR1 it writes to FILE what was spent since it began: processor seconds of each
kind of thread, statements to the app database and the seconds they took. While FILE.held exists, it hands out no job.
"""

import json
import signal
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from bench.serving import HELD
from exporter.failpoints import probing
from exporter.jobs.dispatcher import Dispatcher

KINDS = {
    "waitress": "http",
    "exporter-http": "http",
    "exporter-dispatcher": "dispatch",
    "exporter-pulse": "beat",
    "exporter-sweep": "house",
    "exporter-slot": "slots",
}
REST = "rest"
STEPS = {  # of a job in its slot: the place where each ends
    "after_claim": "claim",
    "written": "export",
    "before_complete": "publish",
    "after_complete": "complete",
}


class Observer:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._own = threading.local()
        self._statements: dict[str, int] = defaultdict(int)
        self._waited: dict[str, float] = defaultdict(float)
        self._steps: dict[str, float] = defaultdict(float)

    def listen(self) -> None:
        event.listen(Engine, "before_cursor_execute", self._before)
        event.listen(Engine, "after_cursor_execute", self._after)

    def reached(self, place: str) -> None:
        """Count a slot's processor time up to this place as that of the step which ends here."""
        if place in STEPS:
            now = time.thread_time()
            with self._lock:
                self._steps[STEPS[place]] += now - getattr(self._own, "since", 0.0)
            self._own.since = now

    def told(self) -> dict[str, Any]:
        with self._lock:
            return {
                "process": time.process_time(),
                "threads": _threads(),
                "steps": dict(self._steps),
                "statements": dict(self._statements),
                "waited": dict(self._waited),
            }

    def _before(self, *_: object) -> None:
        self._own.asked = time.perf_counter()

    def _after(self, *_: object) -> None:
        kind = _kind(threading.current_thread().name)
        with self._lock:
            self._statements[kind] += 1
            self._waited[kind] += time.perf_counter() - self._own.asked


def _kind(name: str) -> str:
    return next((kind for start, kind in KINDS.items() if name.startswith(start)), REST)


def _threads() -> dict[str, float]:
    """Give the processor seconds of the threads that last as long as the server, by their kind."""
    spent: dict[str, float] = defaultdict(float)
    for thread in threading.enumerate():
        if thread.ident is not None and (kind := _kind(thread.name)) != REST:
            clock = time.pthread_getcpuclockid(thread.ident)
            spent[kind] += time.clock_gettime(clock)
    return dict(spent)


def _hold_while(held: Path) -> None:
    dispatch = Dispatcher.dispatch
    Dispatcher.dispatch = lambda self: None if held.exists() else dispatch(self)  # type: ignore[method-assign]


def main() -> None:
    file, arguments = Path(sys.argv[1]), sys.argv[2:]
    observer = Observer()
    observer.listen()

    def tell(*_: object) -> None:
        part = file.with_suffix(".part")
        part.write_text(json.dumps(observer.told()))
        part.replace(file)

    signal.signal(signal.SIGUSR1, tell)
    _hold_while(file.with_suffix(HELD))
    from exporter.__main__ import main as command

    sys.argv = ["exporter", *arguments]
    with probing(observer.reached):
        command()


if __name__ == "__main__":
    main()
