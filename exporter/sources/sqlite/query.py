"""The statements that a read is made of, all around the caller's own, whose columns are named c0, c1, …"""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from exporter.sources.base import Column, Kind, Statement

MAX_COLUMNS = 2000  # of one result, in SQLite as it is built by default
SUM_PARTS = 400  # SQLite allows expressions up to 1000 deep
T = TypeVar("T")
NUMBERS = frozenset({Kind.INTEGER, Kind.FLOAT, Kind.BOOLEAN})


def around(statement: Statement, select: str) -> str:
    """Read `select`, a list of expressions over c0, c1, …, from the statement's result."""
    names = ", ".join(f"c{position}" for position in range(len(statement.columns)))
    result = _unused(statement.sql)
    return f"WITH {result}({names}) AS (\n{statement.sql}\n) SELECT {select} FROM {result}"


def sized(statement: Statement) -> str:
    """Add a last column: the row's size in bytes of text and blobs."""
    return around(statement, f"*, {_size(statement.columns)}")


def _size(columns: Sequence[Column]) -> str:
    """Sum the sizes. A number is not measured, for that means spelling it; a text in a column of numbers is."""
    sizes = [
        f"iif(c{position} >= '', octet_length(c{position}), 0)"
        if column.kind in NUMBERS
        else f"ifnull(octet_length(c{position}), 0)"
        for position, column in enumerate(columns)
    ]
    return " + ".join(f"({' + '.join(part)})" for part in chunked(sizes, SUM_PARTS))


def _unused(sql: str) -> str:
    """Make a name that the statement does not use: SQLite would take it for its own result."""
    name = "result"
    while name in sql.lower():
        name += "_"
    return name


def chunked(items: Sequence[T], size: int) -> Iterable[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
