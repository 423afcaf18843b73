"""Dates and times that SQLite holds as text, compared exactly.

The text may be `2024-12-31`, `2024-12-31 10:00`, `2024-12-31T10:00:00.5Z`, `2024-12-31 10:00:00.500000+02:00` and the
like: what SQLite's own date functions read, which know no fraction below a millisecond. The canonical form of an
instant, its stamp, is its text in UTC without what may be left out at the end: zeros and the signs between them.
`2024-12-31 10:00:00` becomes `2024-12-31 1`. Stamps sort as their instants do. A text with no zone is in UTC already.

Comparing stamps can use no index and costs time, so it is left for the values near the bound: a comparison of the
text itself, which can use an index, settles the others.
"""

from dataclasses import dataclass
from datetime import date, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, or_
from sqlalchemy.ext.compiler import compiles

from exporter.query.bindings import Bindings
from exporter.query.moments import Bound, seconds
from exporter.query.predicates import Expression, lower_operator, ordered, upper_operator

BEFORE_ALL, AFTER_ALL = "0000-00-00", "9999-99-99"
NO_TEXT = ""  # the least text: every number is below it
_AFTER_COLON = ";"
_DISPENSABLE = "0:. "


@dataclass(frozen=True, kw_only=True)
class Edge:
    """One end of a range. Texts below `first` are surely before `stamp`, texts from `last` on surely after it.

    `number` is the edge in seconds since 1970, for values stored as numbers.
    """

    stamp: str
    first: str
    last: str
    inclusive: bool = True
    number: float | None = None


class StampOf(ColumnElement[str]):
    """The stamp of a column's text."""

    inherit_cache = False
    type = Text()

    def __init__(self, text: ColumnElement[Any], *, clock_only: bool) -> None:
        self.text = text
        self.clock_only = clock_only


def moment_edge(bound: Bound) -> Edge:
    """Allow two days around an instant, for a zone moves it by up to 14 hours."""
    stamp = bound.at.replace(tzinfo=None).isoformat(" ") if bound.at else AFTER_ALL
    return Edge(
        stamp=stamp.rstrip(_DISPENSABLE),
        first=_shifted(stamp[:10], -1),
        last=_shifted(stamp[:10], 2),
        inclusive=bound.inclusive,
        number=seconds(bound.at),
    )


def clock_edge(at: time, *, inclusive: bool) -> Edge:
    minute = at.isoformat("minutes")
    return Edge(
        stamp=at.isoformat().rstrip(_DISPENSABLE),
        first=minute,
        last=minute + _AFTER_COLON,
        inclusive=inclusive,
    )


class StampTests:
    """Tests of one column's dates or times. `numbers` is whether values stored as numbers are seconds since 1970.

    The test of numbers comes first: SQLite remembers the rows that all but the last part of an OR found.
    """

    def __init__(self, of: Expression, bindings: Bindings, *, clock_only: bool, numbers: bool) -> None:
        self.of = of
        self.bind = bindings.bind
        self.stamp = StampOf(of, clock_only=clock_only)
        self.numbers = numbers

    def between(self, low: Edge | None, high: Edge | None) -> Expression:
        if not self.numbers:
            return and_(*self._texts(low, high))
        return or_(and_(*self._numbers(low, high)), and_(*self._texts(low, high)))

    def among(self, edges: list[Edge]) -> Expression:
        numbers = [self.of.in_([self.bind(edge.number) for edge in edges])] if self.numbers else []
        first, last = min(edge.first for edge in edges), max(edge.last for edge in edges)
        stamps = self.stamp.in_([self.bind(edge.stamp) for edge in edges])
        return or_(*numbers, and_(self.of >= self.bind(first), self.of < self.bind(last), stamps))

    def _texts(self, low: Edge | None, high: Edge | None) -> list[Expression]:
        tests = [self.of >= self.bind(low.first if low else NO_TEXT)]
        if low:
            after = ordered(self.stamp, lower_operator(inclusive=low.inclusive), self.bind(low.stamp))
            tests.append(or_(self.of >= self.bind(low.last), after))
        if high:
            before = ordered(self.stamp, upper_operator(inclusive=high.inclusive), self.bind(high.stamp))
            tests += [self.of < self.bind(high.last), or_(self.of < self.bind(high.first), before)]
        return tests

    def _numbers(self, low: Edge | None, high: Edge | None) -> list[Expression]:
        tests = []
        if low:
            tests.append(ordered(self.of, lower_operator(inclusive=low.inclusive), self.bind(low.number)))
        if high:
            tests.append(ordered(self.of, upper_operator(inclusive=high.inclusive), self.bind(high.number)))
        else:
            tests.append(self.of < self.bind(NO_TEXT))
        return tests


def _shifted(day: str, days: int) -> str:
    if day == AFTER_ALL:
        return day
    try:
        return (date.fromisoformat(day) + timedelta(days=days)).isoformat()
    except OverflowError:
        return BEFORE_ALL if days < 0 else AFTER_ALL


_FRACTION = "substr($, 20, max(length($) - 25, 0))"
_OF_ZONED = f"rtrim(datetime(replace($, {_FRACTION}, '')) || {_FRACTION}, '{_DISPENSABLE}')"
_OF_UTC = (
    f"rtrim(replace($, 'T', ' '), '{_DISPENSABLE}ZzUC+')"  # Z, UTC and every spelling of +00:00 go as well
)
_STAMP = f"CASE WHEN $ GLOB '*[+-][0-9][0-9]:[0-9][0-9]' THEN {_OF_ZONED} ELSE {_OF_UTC} END"
_CLOCK = f"rtrim($, '{_DISPENSABLE}')"


@compiles(StampOf, "sqlite")
def _spell(element: StampOf, compiler: Any, **options: Any) -> str:
    text = compiler.process(element.text, **options)
    template = _CLOCK if element.clock_only else _STAMP
    return f"({template.replace('$', text)})"
