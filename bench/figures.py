"""The few figures that everything is told in."""

from collections.abc import Sequence
from statistics import median

__all__ = ["median", "percentile", "spread"]

PER_CENT = 100


def percentile(values: Sequence[float], share: int) -> float:
    """Give the value that `share` per cent do not exceed (nearest rank)."""
    ranked = sorted(values)
    return ranked[max(0, -(-len(ranked) * share // PER_CENT) - 1)]


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Spell the median and, of several values, the range."""
    if not values:
        return "—"
    told = f"{median(values):.{digits}f}"
    return told if len(values) == 1 else f"{told} [{min(values):.{digits}f}-{max(values):.{digits}f}]"
