"""Tables, views and columns of a SQLite file."""

from collections.abc import Iterable
from dataclasses import dataclass

import apsw.ext

from exporter.failures import NoSuchRelation, QueryFailed
from exporter.sources.base import Column, Kind, Relation, RelationSummary
from exporter.sources.sqlite.affinity import declared_kind, sampled_kind
from exporter.sources.sqlite.session import Session

SAMPLE = 1000  # rows
SAMPLED_COLUMNS = 500  # at most in one statement
ROWID_NAMES = ("rowid", "_rowid_", "oid")
HIDDEN = 1  # in table_xinfo: a virtual table's column that SELECT * leaves out; 2 and 3 are generated ones


@dataclass(frozen=True, kw_only=True)
class Table:
    """One line of `PRAGMA table_list`."""

    name: str
    kind: str  # "table", "view", "virtual"
    without_rowid: bool


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def tables(session: Session) -> list[Table]:
    with session.reflecting():
        rows = session.rows("PRAGMA main.table_list")
    return [
        Table(name=name, kind=kind, without_rowid=bool(without_rowid))
        for schema, name, kind, _, without_rowid, _ in rows
        if schema == "main" and kind != "shadow" and not folded(name).startswith("sqlite_")
    ]


def summaries(session: Session) -> list[RelationSummary]:
    return [
        RelationSummary(
            name=table.name,
            schema=None,
            kind="view" if table.kind == "view" else "table",
            rows=estimated_rows(session, table),
        )
        for table in sorted(tables(session), key=lambda table: table.name)
    ]


def find(session: Session, name: str) -> Table:
    """Find a table as SQLite does, without regard to the case of ASCII letters."""
    found = tables(session)
    exact = [table for table in found if table.name == name]
    alike = exact or [table for table in found if folded(table.name) == folded(name)]
    if len(alike) != 1:
        raise NoSuchRelation(name=name)
    return alike[0]


def folded(name: str) -> str:
    return name.encode(errors="surrogatepass").lower().decode(errors="surrogatepass")


def relation(session: Session, name: str) -> Relation:
    table = find(session, name)
    source = f"main.{quoted(table.name)}"
    declared = _declared(session, table)
    return Relation(name=table.name, columns=_columns(session, source, declared))


def relation_of_query(session: Session, sql: str) -> Relation:
    """Reflect one plain SELECT; a trailing semicolon is dropped."""
    text = sql.strip().removesuffix(";").rstrip()
    with session.strict_names() as connection:
        info = apsw.ext.query_info(connection, text)
    if info.query_remaining is not None:
        raise QueryFailed(reason="it holds more than one statement")
    if info.is_explain or not info.is_readonly or not info.description:
        raise QueryFailed(reason="only a plain SELECT statement is allowed")
    if info.bindings_count:
        raise QueryFailed(reason="a saved query takes no parameters")
    refuse_repeated(name for name, _ in info.description)
    declared = [(name, kind or "", True) for name, kind in info.description]
    return Relation(name="query", columns=_columns(session, f"(\n{text}\n)", declared), query=text)


def refuse_repeated(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if folded(name) in seen:
            raise QueryFailed(reason=f"it has two columns named {name!r}; give one another name with AS")
        seen.add(folded(name))


def estimated_rows(session: Session, table: Table) -> int | None:
    """Estimate from statistics, else from the span of row ids; None where neither exists."""
    if table.kind != "table":
        return None
    counted = _statistics(session, table.name)
    return _span(session, table) if counted is None else counted


def _statistics(session: Session, name: str) -> int | None:
    with session.reflecting():
        known = session.rows("PRAGMA main.table_list('sqlite_stat1')")
    if not known:
        return None
    rows = session.rows("SELECT stat FROM main.sqlite_stat1 WHERE tbl = ?", (name,))
    counts = [str(stat).split(" ")[0] for (stat,) in rows]
    return max((int(count) for count in counts if count.isdecimal()), default=None)


def _span(session: Session, table: Table) -> int | None:
    columns = {folded(name) for name, _, _ in _declared(session, table)}
    rowid = next((name for name in ROWID_NAMES if name not in columns), None)
    if table.without_rowid or rowid is None:
        return None
    source = f"main.{quoted(table.name)}"
    ((low, high),) = session.rows(
        f"SELECT (SELECT min({rowid}) FROM {source}), (SELECT max({rowid}) FROM {source})"
    )
    return 0 if low is None else high - low + 1


def _declared(session: Session, table: Table) -> list[tuple[str, str, bool]]:
    """List name, declared type and nullability of the columns that SELECT * gives."""
    with session.reflecting():
        rows = session.rows(f"PRAGMA main.table_xinfo({quoted(table.name)})")
    keys = sum(1 for row in rows if row[5])
    return [
        (name, kind, not (not_null or _is_rowid(kind, key, keys, table)))
        for _, name, kind, not_null, _, key, hidden in rows
        if hidden != HIDDEN
    ]


def _is_rowid(database_type: str, key: int, keys: int, table: Table) -> bool:
    return bool(key) and keys == 1 and database_type.upper() == "INTEGER" and not table.without_rowid


def _columns(session: Session, source: str, declared: list[tuple[str, str, bool]]) -> tuple[Column, ...]:
    known = [declared_kind(database_type) for _, database_type, _ in declared]
    stored = _sampled(
        session, source, [position for position, kind in enumerate(known) if kind is None], declared
    )
    return tuple(
        _column(
            name, database_type, known[position] or sampled_kind(database_type, stored[position]), nullable
        )
        for position, (name, database_type, nullable) in enumerate(declared)
    )


def _column(name: str, database_type: str, kind: Kind, nullable: bool) -> Column:
    bits = 64 if kind in {Kind.INTEGER, Kind.FLOAT} else None
    return Column(name=name, database_type=database_type, kind=kind, nullable=nullable, bits=bits)


def _sampled(
    session: Session, source: str, positions: list[int], declared: list[tuple[str, str, bool]]
) -> dict[int, frozenset[str]]:
    """Give the storage classes met in the first rows; none where looking would take long."""
    stored: dict[int, frozenset[str]] = {}
    for start in range(0, len(positions), SAMPLED_COLUMNS):
        part = positions[start : start + SAMPLED_COLUMNS]
        names = [quoted(declared[position][0]) for position in part]
        classes = ", ".join(f"group_concat(DISTINCT typeof({name}))" for name in names)
        row = session.glance(
            f"SELECT {classes} FROM (SELECT {', '.join(names)} FROM {source} LIMIT {SAMPLE})"
        )
        for position, met in zip(part, row or [""] * len(part), strict=True):
            stored[position] = frozenset(met.split(",")) - {"null", ""} if met else frozenset()
    return stored
