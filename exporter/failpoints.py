"""Named places where a test may make the program fail, wait or die.

Nothing switches them on from outside: no setting, no variable, no argument. A probe is a Python function that a test
hands over inside its own process; without one, a place costs a look at a variable.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

Probe = Callable[[str], None]

_probe: Probe | None = None


def reach(place: str) -> None:
    """Tell the probe, if there is one, that the program has come to `place`; it may raise whatever it likes."""
    if _probe is not None:
        _probe(place)


@contextmanager
def probing(probe: Probe) -> Iterator[None]:
    """Hand every place that any thread reaches within this block to `probe`."""
    global _probe  # noqa: PLW0603 - the one thing here that is global, so that a place needs nothing handed to it
    before, _probe = _probe, probe
    try:
        yield
    finally:
        _probe = before
