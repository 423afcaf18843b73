"""Both databases behind one small face: make a table, run filters, get rows."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import apsw
import psycopg
import pytest

from exporter.query import CompiledQuery, compile_query, parse_filters
from exporter.sources.base import Column, Kind, Relation
from exporter.sources.sqlite import functions


@dataclass
class Database:
    """`make` takes columns as (name, type, kind) and rows; `rows` runs filters against the relation."""

    dialect: str
    connection: object
    schema: str | None = None
    seen: list[CompiledQuery] = field(default_factory=list)

    def make(
        self, columns: Sequence[Column], rows: Sequence[Sequence[object]] = (), *, name: str = "t"
    ) -> Relation:
        declared = ", ".join(f"{quoted(column.name)} {column.database_type}" for column in columns)
        self.execute(f"CREATE TABLE {self.place(name)} ({declared})")
        self.fill(name, rows)
        return Relation(name=name, columns=tuple(columns), schema=self.schema)

    def place(self, name: str) -> str:
        return f"{quoted(self.schema)}.{quoted(name)}" if self.schema else quoted(name)

    def execute(self, text: str) -> list[tuple]:
        if self.dialect == "sqlite":
            return self.connection.execute(text).fetchall()
        cursor = self.connection.execute(text.encode())
        return cursor.fetchall() if cursor.description else []

    def fill(self, name: str, rows: Sequence[Sequence[object]], casts: Sequence[str] | None = None) -> None:
        if not rows:
            return
        if self.dialect == "sqlite":
            marks = ", ".join("?" * len(rows[0]))
            self.connection.executemany(f"INSERT INTO {quoted(name)} VALUES ({marks})", rows)
            return
        marks = ", ".join(f"%s::{cast}" for cast in casts) if casts else ", ".join(["%s"] * len(rows[0]))
        place = self.place(name).replace("%", "%%")
        self.connection.cursor().executemany(f"INSERT INTO {place} VALUES ({marks})".encode(), rows)

    def compile(self, raw: Mapping[str, object], relation: Relation, **options) -> CompiledQuery:
        return compile_query(parse_filters(raw), relation, dialect=self.dialect, **options)

    def rows(self, raw: Mapping[str, object], relation: Relation, **options) -> list[tuple]:
        return self.run(self.compile(raw, relation, **options))

    def run(self, query: CompiledQuery, prefix: str = "") -> list[tuple]:
        text, parameters = prefix + query.statement.sql, dict(query.statement.parameters)
        if self.dialect == "sqlite":
            return self.connection.execute(text, parameters).fetchall()
        return psycopg.ClientCursor(self.connection).execute(text.encode(), parameters).fetchall()

    def plan(self, raw: Mapping[str, object], relation: Relation) -> str:
        prefix = "EXPLAIN QUERY PLAN " if self.dialect == "sqlite" else "EXPLAIN "
        return "\n".join(str(row[-1]) for row in self.run(self.compile(raw, relation), prefix))


@pytest.fixture
def lite() -> Iterator[Database]:
    connection = apsw.Connection(":memory:")
    functions.install(connection)
    yield Database("sqlite", connection)
    connection.close()


@pytest.fixture(scope="session")
def postgres_connection(postgres_url) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET client_min_messages = warning")
        yield connection


@pytest.fixture
def postgres(postgres_connection) -> Iterator[Database]:
    schema = f"query_{uuid.uuid4().hex}"
    postgres_connection.execute(f"CREATE SCHEMA {schema}".encode())
    yield Database("postgresql", postgres_connection, schema)
    postgres_connection.execute("RESET enable_seqscan")
    postgres_connection.execute(f"DROP SCHEMA {schema} CASCADE".encode())


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request) -> Database:
    return request.getfixturevalue({"sqlite": "lite", "postgresql": "postgres"}[request.param])


@pytest.fixture
def orders() -> Relation:
    """A relation that no database holds, for what needs none."""
    kinds = {
        "id": ("bigint", Kind.INTEGER),
        "city": ("text", Kind.TEXT),
        "amount": ("numeric(10,2)", Kind.DECIMAL),
        "paid": ("boolean", Kind.BOOLEAN),
        "created_at": ("timestamp without time zone", Kind.TIMESTAMP),
    }
    columns = [
        Column(name=name, database_type=declared, kind=kind) for name, (declared, kind) in kinds.items()
    ]
    return Relation(name="orders", schema="public", columns=tuple(columns))


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
