"""What one process has counted since it started, for `/metrics`. To count costs a lock and an addition."""

import threading
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import accumulate
from typing import Any

Labels = tuple[str, ...]

ANSWER_SECONDS = (0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0)
EXPORT_SECONDS = (0.1, 1.0, 10.0, 60.0, 300.0, 1800.0, 7200.0)


class Counts:
    """Sums by labels."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: dict[Labels, int] = {}

    def add(self, *labels: str, by: int = 1) -> None:
        with self._lock:
            self._sums[labels] = self._sums.get(labels, 0) + by

    def items(self) -> list[tuple[Labels, int]]:
        with self._lock:
            return sorted(self._sums.items())

    def take(self) -> list[Any]:
        """Give what was counted as plain values, and count anew."""
        with self._lock:
            taken, self._sums = self._sums, {}
        return [[list(labels), number] for labels, number in taken.items()]

    def put(self, told: Sequence[Any]) -> None:
        """Count what another process took."""
        for labels, number in told:
            self.add(*labels, by=number)


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How many values were at most so large, for each bound and last for all, and what they come to together."""

    counts: tuple[int, ...]
    sum: float


class Spreads:
    """Spreads of values by labels."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self._lock = threading.Lock()
        self._kept: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}

    def add(self, value: float, *labels: str) -> None:
        """Put a value, which is not below 0, into its bucket."""
        with self._lock:
            buckets = self._kept.setdefault(labels, [0] * (len(self.bounds) + 1))
            buckets[bisect_left(self.bounds, value)] += 1
            self._sums[labels] = self._sums.get(labels, 0.0) + value

    def take(self) -> list[Any]:
        """Give what was counted as plain values, and count anew."""
        with self._lock:
            kept, sums = self._kept, self._sums
            self._kept, self._sums = {}, {}
        return [[list(labels), buckets, sums[labels]] for labels, buckets in kept.items()]

    def put(self, told: Sequence[Any]) -> None:
        """Count what another process took, if it has the same bounds: its version may differ."""
        with self._lock:
            for names, theirs, total in told:
                labels = tuple(names)
                buckets = self._kept.get(labels, [0] * (len(self.bounds) + 1))
                if len(theirs) == len(buckets):
                    self._kept[labels] = [one + other for one, other in zip(buckets, theirs, strict=True)]
                    self._sums[labels] = self._sums.get(labels, 0.0) + total

    def items(self) -> list[tuple[Labels, Spread]]:
        with self._lock:
            return [
                (labels, Spread(counts=tuple(accumulate(buckets)), sum=self._sums[labels]))
                for labels, buckets in sorted(self._kept.items())
            ]


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The labels of each stand beside it."""

    requests: Spreads = field(default_factory=lambda: Spreads(ANSWER_SECONDS))  # method, route, status
    refusals: Counts = field(default_factory=Counts)  # code of the error
    waits: Spreads = field(default_factory=lambda: Spreads(EXPORT_SECONDS))
    attempts: Spreads = field(default_factory=lambda: Spreads(EXPORT_SECONDS))  # format, outcome
    failures: Counts = field(default_factory=Counts)  # code of the error
    rows: Counts = field(default_factory=Counts)  # format
    bytes: Counts = field(default_factory=Counts)  # format

    def take(self) -> dict[str, list[Any]]:
        """Give all of it as plain values, for another process to put among its own, and begin anew."""
        return {each.name: getattr(self, each.name).take() for each in fields(self)}

    def put(self, told: Mapping[str, Sequence[Any]]) -> None:
        for each in fields(self):
            getattr(self, each.name).put(told.get(each.name, ()))
