"""Where a table is cut: ranges of its pages, each with the SELECT that gives its rows.

Every row version that a snapshot sees has one place, its ctid, so ranges of places that neither overlap nor leave
gaps hold each row once.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Part:
    """The rows of `select` on the pages from `start` to before `end`, None being the table's end; without both, all."""

    select: bytes
    start: int | None = None
    end: int | None = None

    @property
    def sql(self) -> bytes:
        if self.start is None:
            return self.select
        below = "" if self.end is None else f" AND ctid < '({self.end},0)'"
        return self.select + f"\nWHERE ctid >= '({self.start},0)'{below}".encode()


def cut(select: bytes, *, pages: int, size: int, part: int) -> list[Part]:
    """Cut a table of so many pages, which with what lies beside them (TOAST) has `size` bytes, into parts of `part`.

    The last part has no end: the table may have grown since.
    """
    places = range(0, pages, max(1, part * pages // size))
    return [
        Part(select=select, start=start, end=end)
        for start, end in zip(places, [*places[1:], None], strict=True)
    ]
