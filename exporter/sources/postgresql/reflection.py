"""Tables, views and columns of a PostgreSQL database, as far as the role may read them."""

from collections import Counter
from collections.abc import Iterable, Sequence

from exporter.failures import NoSuchRelation, QueryFailed
from exporter.sources.base import Column, Relation, RelationSummary
from exporter.sources.postgresql.kinds import Field, Type, column
from exporter.sources.postgresql.session import Session

READABLE = """
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'
      AND has_schema_privilege(n.oid, 'USAGE')
      AND (has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT'))
"""
SUMMARIES = f"""
    SELECT n.nspname::text, c.relname::text, CASE WHEN c.relkind IN ('v', 'm') THEN 'view' ELSE 'table' END,
           (CASE c.relkind
               WHEN 'v' THEN NULL
               WHEN 'p' THEN (SELECT CASE WHEN bool_and(leaf.reltuples >= 0) THEN sum(leaf.reltuples) END
                              FROM pg_partition_tree(c.oid) part JOIN pg_class leaf ON leaf.oid = part.relid
                              WHERE part.isleaf)
               ELSE nullif(greatest(c.reltuples, -1), -1)
            END)::bigint
    {READABLE} AND NOT c.relispartition
    ORDER BY n.nspname, c.relname
"""
FIND = f"""
    SELECT c.oid, n.nspname::text, c.relname::text
    {READABLE} AND (c.relname = %s OR n.nspname || '.' || c.relname = %s)
"""
FIELDS = """
    SELECT attname::text, format_type(atttypid, atttypmod), atttypid, atttypmod, NOT attnotnull
    FROM pg_attribute WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped
      AND has_column_privilege(attrelid, attnum, 'SELECT')
    ORDER BY attnum
"""
TYPES = """
    WITH RECURSIVE wanted(oid) AS (
        SELECT unnest(%s::oid[])
        UNION SELECT inner_type FROM wanted JOIN pg_type t USING (oid),
            LATERAL (VALUES (t.typbasetype), (t.typelem)) v(inner_type) WHERE inner_type <> 0)
    SELECT t.oid, t.typname::text, t.typtype::text, t.typbasetype, t.typtypmod,
           coalesce((SELECT item.oid FROM pg_type item WHERE item.oid = t.typelem AND item.typarray = t.oid), 0)
    FROM pg_type t JOIN wanted USING (oid)
"""
NAMES = """
    SELECT format_type(type, modifier)
    FROM unnest(%s::oid[], %s::int[]) WITH ORDINALITY field(type, modifier, place) ORDER BY place
"""


def summaries(session: Session) -> list[RelationSummary]:
    return [
        RelationSummary(schema=schema, name=name, kind=kind, rows=rows)
        for schema, name, kind, rows in session.rows(SUMMARIES)
    ]


def relation(session: Session, name: str) -> Relation:
    oid, schema, own_name = _find(session, name)
    fields = [
        Field(name=column_name, database_type=database_type, type=kind, modifier=modifier, nullable=nullable)
        for column_name, database_type, kind, modifier, nullable in session.rows(FIELDS, [oid])
    ]
    return Relation(schema=schema, name=own_name, columns=_columns(session, fields))


def _find(session: Session, name: str) -> tuple[int, str, str]:
    """Take `schema.name` first, then `name` in public, then `name` wherever it is unique."""
    found = session.rows(FIND, [name, name])
    full = [row for row in found if f"{row[1]}.{row[2]}" == name]
    public = [row for row in found if row[1] == "public"]
    for candidates in (full, public, found):
        if len(candidates) == 1:
            oid, schema, own_name = candidates[0]
            return oid, schema, own_name
    raise NoSuchRelation(name=name)


def relation_of_query(session: Session, sql: str) -> Relation:
    """Reflect one plain SELECT; a trailing semicolon is dropped. `%` stands for itself."""
    text = sql.strip().removesuffix(";").rstrip()
    session.rows(b"EXPLAIN " + text.encode())  # it must also stand without the parentheses that follow
    fields = described(session, text.encode())
    _refuse_repeated(field.name for field in fields)
    return Relation(name="query", columns=_columns(session, fields), query=text)


def described(session: Session, select: bytes) -> list[Field]:
    """Ask the server what a statement's result is, without running it."""
    with session.cursor(b"SELECT * FROM (\n" + select + b"\n) AS query LIMIT 0") as cursor:
        result = cursor.pgresult
        if result is None or not result.nfields:
            raise QueryFailed(reason="it has no columns")
        places = range(result.nfields)
        names = [(result.fname(place) or b"").decode() for place in places]
        types = [(result.ftype(place), result.fmod(place)) for place in places]
    spelled = session.rows(NAMES, [[kind for kind, _ in types], [modifier for _, modifier in types]])
    return [
        Field(name=name, database_type=str(database_type), type=kind, modifier=modifier)
        for name, (kind, modifier), (database_type,) in zip(names, types, spelled, strict=True)
    ]


def columns_of(session: Session, select: bytes) -> tuple[Column, ...]:
    return _columns(session, described(session, select))


def _columns(session: Session, fields: Sequence[Field]) -> tuple[Column, ...]:
    rows = session.rows(TYPES, [[field.type for field in fields]])
    types = {
        oid: Type(name=name, kind=kind, base=base, base_modifier=modifier, item=item)
        for oid, name, kind, base, modifier, item in rows
    }
    return tuple(column(field, types) for field in fields)


def _refuse_repeated(names: Iterable[str]) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise QueryFailed(reason=f"it has two columns named {name!r}; give one another name with AS")
