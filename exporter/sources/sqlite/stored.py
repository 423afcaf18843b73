"""What a table's definition alone says of the values that its rows can hold."""

from dataclasses import dataclass

from exporter.sources.base import Column, Kind, Relation
from exporter.sources.sqlite.affinity import Affinity, affinity
from exporter.sources.sqlite.parts import RowIds
from exporter.sources.sqlite.reflection import ROWID_NAMES, find, folded, quoted
from exporter.sources.sqlite.session import Session


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A stored column of a table, whose affinity has been applied to each of its values.

    So a NUMERIC one holds no text that looks like a number, a TEXT one no number, and none of them -0.0.
    """

    affinity: Affinity
    nullable: bool


@dataclass(frozen=True, kw_only=True)
class RowTable:
    """A table with row ids. `columns` are those asked for; None for one whose values may be anything."""

    row_ids: RowIds
    columns: tuple[Stored | None, ...]


def row_table(session: Session, relation: Relation | None, columns: tuple[Column, ...]) -> RowTable | None:
    """Look a relation up; None where it is no table with row ids that have a name."""
    if relation is None or relation.query is not None:
        return None
    table = find(session, relation.name)
    if table.kind != "table" or table.without_rowid:
        return None
    with session.reflecting():
        rows = session.rows(f"PRAGMA main.table_xinfo({quoted(table.name)})")
    taken = {folded(row[1]) for row in rows}
    rowid = next((name for name in ROWID_NAMES if name not in taken), None)
    stored = {folded(row[1]): _stored(*row[2:]) for row in rows}
    if rowid is None or not all(folded(column.name) in stored for column in columns):
        return None
    return RowTable(
        row_ids=RowIds(table=f"main.{quoted(table.name)}", name=rowid),
        columns=tuple(_sure(column, stored[folded(column.name)]) for column in columns),
    )


def _stored(database_type: str, not_null: int, default: str | None, _key: int, hidden: int) -> Stored | None:
    """A generated column may be anything, and so may the default that rows from before their column have."""
    kind = affinity(database_type)
    if hidden or kind is Affinity.NONE or "-" in (default or ""):
        return None
    return Stored(affinity=kind, nullable=not not_null)


def _sure(column: Column, stored: Stored | None) -> Stored | None:
    return None if column.kind in {Kind.BINARY, Kind.VARIANT} else stored
