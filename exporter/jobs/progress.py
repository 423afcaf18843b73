"""How far one attempt is: written by its runner, read by the pulse that reports it."""

from dataclasses import dataclass, field
from typing import Any

from exporter.model import Phase
from exporter.sources.base import RowEstimate

ALMOST = 99  # 100 is for a completed job only


@dataclass(kw_only=True)
class Progress:
    """Plain attributes: each is set by one thread, and a report may be a moment old."""

    rows: int = 0
    total: RowEstimate | None = None
    phase: Phase = Phase.READING
    _highest: int = field(default=0, repr=False)

    def values(self) -> dict[str, Any]:
        """Give the columns that a beat writes; the percentage never falls."""
        self._highest = max(self._highest, self._percent())
        return {
            "row_count": self.rows,
            "rows_total": self.total.rows if self.total is not None else None,
            "rows_total_kind": self.total.kind if self.total is not None else None,
            "phase": self.phase,
            "progress": self._highest,
        }

    def _percent(self) -> int:
        if self.phase is Phase.PUBLISHING:
            return ALMOST
        if self.total is None or self.total.rows <= 0:
            return 0
        return min(ALMOST, self.rows * 100 // self.total.rows)
