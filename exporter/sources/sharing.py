"""Reading one statement in parts, some of them by others elsewhere: what these are asked, and what they give back.

What travels of an errand is its portion and its way. Who reads compiles the statement anew, and proves by `select`
that it is the same.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

Lost = Counter[tuple[int, str]]  # values that became NULL, by a column's position and a notice's code


class Way(StrEnum):
    """In which of the ways that a source can be read."""

    TEXT = "text"  # rows that the database spells itself
    BATCHES = "batches"
    CAREFUL = "careful"  # batches of the types that the server tells


@dataclass(frozen=True, kw_only=True)
class Portion:
    """Pages of a table from `start` to before `end`, None being its end, on a snapshot that somebody exported."""

    snapshot: str
    snapshot_id: str
    start: int
    end: int | None


@dataclass(frozen=True, kw_only=True)
class Errand:
    """One portion of a statement; `select` is the statement without it, its values written in."""

    portion: Portion
    way: Way
    select: bytes


class NotFetched(Exception):
    """A portion could not be had from elsewhere; `lasting` if the next one cannot either."""

    def __init__(self, reason: str, *, lasting: bool) -> None:
        super().__init__(reason)
        self.lasting = lasting


class Fetched(Protocol):
    """A portion that was read elsewhere, whole."""

    lost: Lost

    def pieces(self) -> Iterator[Any]:
        """Yield what the reader of that way yields: chunks of text, or batches."""
        ...

    def close(self) -> None:
        """Remove it, taken or not. Never raises."""
        ...


class Helpers(Protocol):
    """Who else may read; used from several threads, of which each waits for one portion at a time."""

    hands: int

    def fetch(self, errand: Errand, wanted: Callable[[], bool]) -> Fetched | None:
        """Have a portion read elsewhere; None when it is no longer wanted. Raises NotFetched."""
        ...
