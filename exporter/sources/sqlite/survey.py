"""A look at the type of every value of a result, before a TYPED read that must hold them all."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from exporter.sources.base import Column, Kind, Notice, Statement
from exporter.sources.sqlite.query import around, chunked
from exporter.sources.sqlite.session import Session

SURVEYED_COLUMNS = 300  # in one scan: SQLite limits a result's width
EXACT = 1 << 53  # up to here every integer is also a double
COUNTS = (
    "count(*) FILTER (WHERE typeof({0}) = 'integer')",
    "count(*) FILTER (WHERE typeof({0}) = 'real')",
    "count(*) FILTER (WHERE typeof({0}) = 'text')",
    "count(*) FILTER (WHERE typeof({0}) = 'blob')",
    f"count(*) FILTER (WHERE typeof({{0}}) = 'integer' AND {{0}} NOT BETWEEN -{EXACT} AND {EXACT})",
)


@dataclass(frozen=True)
class Tally:
    """How many values of a column have each storage class; `wide` integers are no exact doubles."""

    integers: int
    reals: int
    texts: int
    blobs: int
    wide: int

    @property
    def total(self) -> int:
        return self.integers + self.reals + self.texts + self.blobs


@dataclass(frozen=True, kw_only=True)
class Survey:
    """The columns as they can be delivered, and the positions of those whose values must be spelled as text."""

    columns: tuple[Column, ...]
    mixed: frozenset[int]
    notices: tuple[Notice, ...]


def survey(session: Session, statement: Statement) -> Survey:
    tallies = list(_tallies(session, statement))
    pairs = list(zip(statement.columns, tallies, strict=True))
    columns = tuple(_settled(column, kind_for(column.kind, tally)) for column, tally in pairs)
    mixed = [
        position
        for position, (column, tally) in enumerate(zip(columns, tallies, strict=True))
        if column.kind is Kind.TEXT and tally.texts < tally.total
    ]
    return Survey(
        columns=columns,
        mixed=frozenset(mixed),
        notices=tuple(_notice(columns[position], tallies[position]) for position in mixed),
    )


def kind_for(announced: Kind, tally: Tally) -> Kind:
    """Keep the announced kind where it holds every value, else take the narrowest that does."""
    if _holds(announced, tally):
        return announced
    return next(
        (kind for kind in (Kind.TEXT, Kind.INTEGER, Kind.FLOAT, Kind.BINARY) if _holds(kind, tally)),
        Kind.TEXT,
    )


def _holds(kind: Kind, tally: Tally) -> bool:
    match kind:
        case Kind.INTEGER:
            return tally.integers == tally.total
        case Kind.FLOAT:
            return tally.integers + tally.reals == tally.total and not tally.wide
        case Kind.BINARY:
            return tally.blobs == tally.total
        case Kind.TEXT:
            return tally.texts == tally.total
        case _:
            return False


def _tallies(session: Session, statement: Statement) -> Iterator[Tally]:
    names = [f"c{position}" for position in range(len(statement.columns))]
    for part in chunked(names, SURVEYED_COLUMNS):
        counts = ", ".join(count.format(name) for name in part for count in COUNTS)
        (row,) = session.rows(around(statement, counts), statement.parameters)
        yield from (Tally(*row[start : start + len(COUNTS)]) for start in range(0, len(row), len(COUNTS)))


def _settled(column: Column, kind: Kind) -> Column:
    return (
        column
        if column.kind is kind
        else replace(column, kind=kind, bits=64 if kind in {Kind.INTEGER, Kind.FLOAT} else None)
    )


def _notice(column: Column, tally: Tally) -> Notice:
    count = tally.total - tally.texts
    return Notice(
        code="mixed_as_text",
        count=count,
        message=f"Column {column.name!r} holds values of several types; {count} that are not text were written as text",
    )
