"""When the interpreter looks for cycles of garbage.

The modules that a process loads are some hundred thousand objects that live as long as it does. A full collection walks
all of them, up to a quarter of a second in which no thread runs Python, and one more is made of them at exit.
"""

import gc

SELDOM = 50_000  # new objects before a look at the young ones; the interpreter's own 700 suits small programs


def collect_seldom() -> None:
    """Say so before most of the modules are loaded."""
    gc.set_threshold(SELDOM)


def spare_what_lives_on() -> None:
    """Leave all that is there now out of every later collection."""
    gc.collect()
    gc.freeze()


def spare_the_last_look() -> None:
    """Leave the memory of a process that ends to the system."""
    gc.freeze()
