"""A condition on an indexed column leaves the index usable."""

import pytest

from exporter.sources.base import Column, Kind, Relation

COLUMNS = {
    "n": ("INTEGER", "bigint", Kind.INTEGER, [5, 7]),
    "small": ("SMALLINT", "smallint", Kind.INTEGER, [5, 100_000]),
    "f": ("REAL", "double precision", Kind.FLOAT, [0.1, 5]),
    "d": ("DECIMAL(10,2)", "numeric(10,2)", Kind.DECIMAL, ["1.50", "10"]),
    "s": ("TEXT", "text", Kind.TEXT, ["a", "b"]),
    "v": ("VARCHAR(9)", "character varying(9)", Kind.TEXT, ["a", "b"]),
    "day": ("DATE", "date", Kind.DATE, ["2024-01-01", "2024-01-02"]),
    "at": ("DATETIME", "timestamp", Kind.TIMESTAMP, ["2024-01-01", "2024-01-01T10:00:00Z"]),
    "zoned": ("TIMESTAMP", "timestamptz", Kind.TIMESTAMPTZ, ["2024-01-01", "2024-01-01T10:00:00+01:00"]),
    "clock": ("TIME", "time", Kind.TIME, ["10:00", "10:00:01"]),
    "data": ("BLOB", "bytea", Kind.BINARY, [r"\x00", r"\x01"]),
}
POSTGRESQL_ONLY = {
    "u": (
        "uuid",
        Kind.UUID,
        ["00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"],
    ),
    "j": ("jsonb", Kind.JSON, [{"a": 1}, 5]),
    "i": ("inet", Kind.OTHER, ["10.0.0.1", "10.0.0.2"]),
    "a": ("integer[]", Kind.ARRAY, [[1], [2]]),
}
SINGLE = ("=", ">", ">=", "<", "<=")


def values(name: str) -> list:
    return COLUMNS[name][3] if name in COLUMNS else POSTGRESQL_ONLY[name][2]


@pytest.fixture
def indexed(database) -> Relation:
    lite = database.dialect == "sqlite"
    made = [
        Column(name=name, database_type=types[not lite], kind=kind, bits=64 if kind is Kind.FLOAT else None)
        for name, (*types, kind, _) in COLUMNS.items()
    ]
    if not lite:
        made += [
            Column(name=name, database_type=type_, kind=kind)
            for name, (type_, kind, _) in POSTGRESQL_ONLY.items()
        ]
    relation = database.make(made)
    for column in made:
        database.execute(f"CREATE INDEX ix_{column.name} ON {database.place('t')} ({column.name})")
    if not lite:
        database.execute("SET enable_seqscan = off")
    return relation


def searches(database, relation, raw, name) -> bool:
    """Tell whether every way that the plan takes goes through the column's index, by its order."""
    plan = database.plan(raw, relation)
    if database.dialect == "sqlite":
        return f"INDEX ix_{name}" in plan and "SCAN" not in plan
    return f"ix_{name}" in plan and "Index Cond" in plan and "Seq Scan" not in plan


@pytest.mark.parametrize("operator", [*SINGLE, "in", "between"])
@pytest.mark.parametrize("name", COLUMNS)
def test_a_comparison_uses_the_index(database, indexed, name, operator):
    value = values(name)[0] if operator in SINGLE else values(name)
    raw = {"where_conditions": [{"column": name, "operator": operator, "value": value}]}
    assert searches(database, indexed, raw, name), database.plan(raw, indexed)


@pytest.mark.postgres
@pytest.mark.parametrize("name", POSTGRESQL_ONLY)
def test_types_of_postgresql_use_the_index(postgres, indexed_postgres, name):
    for operator in ("=", "in"):
        value = values(name) if operator == "in" else values(name)[0]
        raw = {"where_conditions": [{"column": name, "operator": operator, "value": value}]}
        assert searches(postgres, indexed_postgres, raw, name), postgres.plan(raw, indexed_postgres)


@pytest.fixture
def indexed_postgres(postgres) -> Relation:
    made = [
        Column(name=name, database_type=type_, kind=kind)
        for name, (type_, kind, _) in POSTGRESQL_ONLY.items()
    ]
    relation = postgres.make(made)
    for column in made:
        postgres.execute(f"CREATE INDEX ix_{column.name} ON {postgres.place('t')} ({column.name})")
    postgres.execute("SET enable_seqscan = off")
    return relation


@pytest.mark.parametrize("name", ["day", "at", "zoned"])
@pytest.mark.parametrize(
    "span",
    [{"start": "2024-01-01", "end": "2024-01-31"}, {"start": "2024-01-01T10:00:00"}, {"end": "2024-01-31"}],
)
def test_a_date_range_uses_the_index(database, indexed, name, span):
    raw = {"date_range": {**span, "column": name}}
    assert searches(database, indexed, raw, name), database.plan(raw, indexed)


@pytest.mark.parametrize("name", ["s", "v"])
def test_the_beginning_of_a_text_uses_the_index_of_sqlite(lite, name):
    types = {"s": "TEXT", "v": "VARCHAR(9)"}
    relation = lite.make([Column(name=name, database_type=types[name], kind=Kind.TEXT)])
    lite.execute(f"CREATE INDEX ix_{name} ON t ({name})")
    for operator, value in (("starts_with", "a%"), ("like", "ab%")):
        raw = {"where_conditions": [{"column": name, "operator": operator, "value": value}]}
        assert searches(lite, relation, raw, name), lite.plan(raw, relation)


@pytest.mark.postgres
def test_the_beginning_of_a_text_uses_a_pattern_index_of_postgresql(postgres):
    relation = postgres.make([Column(name="s", database_type="text", kind=Kind.TEXT)])
    postgres.execute(f"CREATE INDEX ix_s ON {postgres.place('t')} (s text_pattern_ops)")
    postgres.execute("SET enable_seqscan = off")
    for operator, value in (("starts_with", "a%"), ("like", "ab%")):
        raw = {"where_conditions": [{"column": "s", "operator": operator, "value": value}]}
        assert searches(postgres, relation, raw, "s"), postgres.plan(raw, relation)


def test_an_order_uses_the_index_of_sqlite(lite):
    columns = [Column(name=name, database_type="INTEGER", kind=Kind.INTEGER) for name in ("n", "m")]
    relation = lite.make(columns)
    lite.execute("CREATE INDEX ix_n ON t (n)")
    for order in ("n", "n DESC", "n NULLS FIRST"):
        assert "TEMP B-TREE" not in lite.plan({"order_by": order}, relation)
