"""Relations and columns as the catalog has them, as far as the role may see them."""

import pytest

from exporter.failures import NoSuchRelation, QueryFailed
from exporter.sources.base import Column, Form, Kind
from exporter.sources.registry import open_source
from tests.postgres_server import execute, fresh_role
from tests.sources.reading import limits, read, read_table, statement, values, whole

ODD_NAMES = ('a"b', "a b", "é日本", "select", "a.b", "a'b", "%", "%s", "$1", "\\", "A", "a\nb", "x" * 63)


@pytest.fixture(scope="module")
def world(postgres_module):
    """One relation of every sort in two schemas."""
    execute(
        postgres_module,
        "CREATE SCHEMA other",
        "CREATE TABLE plain(i int NOT NULL, t text)",
        "INSERT INTO plain SELECT g, 'x' FROM generate_series(1, 1000) g",
        "ANALYZE plain",
        "CREATE TABLE other.plain(other_column int)",
        "CREATE TABLE other.lonely(i int)",
        "CREATE VIEW looked AS SELECT i * 2 AS twice FROM plain",
        "CREATE MATERIALIZED VIEW kept AS SELECT i FROM plain",
        "CREATE TABLE parted(i int) PARTITION BY RANGE (i)",
        "CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (0) TO (500)",
        "CREATE TABLE parted_high PARTITION OF parted FOR VALUES FROM (500) TO (2000)",
        "INSERT INTO parted SELECT generate_series(1, 1000)",
        "ANALYZE parted",
        "CREATE INDEX plain_index ON plain(i)",
        "CREATE SEQUENCE counter",
        "CREATE TABLE dropped(a int, b int, c int)",
        "ALTER TABLE dropped DROP COLUMN b",
        "CREATE TABLE generated(a int, b int GENERATED ALWAYS AS (a * 2) STORED)",
        "INSERT INTO generated(a) VALUES (4)",
    )
    return postgres_module


def test_relations_are_listed_by_schema_with_estimates(world, connected):
    listed = {summary.label: (summary.kind, summary.rows) for summary in connected().relations()}
    assert listed["public.plain"] == ("table", 1000)
    assert listed["public.parted"] == ("table", 1000)
    assert listed["public.looked"] == ("view", None)
    assert listed["public.kept"] == ("view", None)
    assert listed["other.lonely"] == ("table", None)
    assert not {"public.plain_index", "public.counter", "public.parted_low"} & set(listed)
    assert not any(label.startswith(("pg_", "information_schema")) for label in listed)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("plain", "public.plain"),
        ("public.plain", "public.plain"),
        ("other.plain", "other.plain"),
        ("lonely", "other.lonely"),
        ("looked", "public.looked"),
        ("kept", "public.kept"),
        ("parted", "public.parted"),
        ("parted_low", "public.parted_low"),
    ],
)
def test_a_name_is_looked_for_in_full_then_in_public_then_anywhere(world, connected, name, label):
    assert connected().relation(name).label == label


@pytest.mark.parametrize(
    "name",
    [
        "missing",
        "",
        "other.missing",
        "Plain",
        "plain_index",
        "counter",
        "pg_class",
        "pg_catalog.pg_class",
        "information_schema.tables",
        "postgres.public.plain",
    ],
)
def test_other_names_are_no_relations(world, connected, name):
    with pytest.raises(NoSuchRelation):
        connected().relation(name)


def test_a_bare_name_in_several_schemas_but_not_in_public_is_ambiguous(world, connected):
    source = connected(
        "CREATE SCHEMA third", "CREATE TABLE third.lonely2(i int)", "CREATE TABLE other.lonely2(i int)"
    )
    with pytest.raises(NoSuchRelation):
        source.relation("lonely2")
    assert source.relation("third.lonely2").schema == "third"


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_are_read(connected, name):
    quoted = '"' + name.replace('"', '""') + '"'
    source = connected(
        f"DROP SCHEMA IF EXISTS {quoted} CASCADE",
        f"CREATE SCHEMA {quoted}",
        f"CREATE TABLE {quoted}.{quoted}({quoted} int, other int)",
        f"INSERT INTO {quoted}.{quoted} VALUES (1, 2)",
    )
    relation = source.relation(f"{name}.{name}")
    asked = whole(relation)
    asked = statement(
        asked.sql.replace("%", "%%"), *[(column.name, column.kind) for column in relation.columns]
    )
    _, table = read(source, asked)
    assert table.to_pylist() == [{name: "1", "other": "2"}]


def test_columns_keep_their_order_types_and_nullability(world, connected):
    assert connected().relation("plain").columns == (
        Column(name="i", database_type="integer", kind=Kind.INTEGER, bits=32, nullable=False),
        Column(name="t", database_type="text", kind=Kind.TEXT),
    )


def test_dropped_columns_are_gone_and_generated_ones_are_there(world, connected):
    source = connected()
    assert [column.name for column in source.relation("dropped").columns] == ["a", "c"]
    assert values(read_table(source, "generated", Form.TYPED)[1]) == [(4, 8)]


@pytest.mark.parametrize(
    ("declared", "kind", "facts"),
    [
        ("smallint", Kind.INTEGER, {"bits": 16}),
        ("bigint", Kind.INTEGER, {"bits": 64}),
        ("oid", Kind.INTEGER, {"bits": 64}),
        ("real", Kind.FLOAT, {"bits": 32}),
        ("double precision", Kind.FLOAT, {"bits": 64}),
        ("numeric", Kind.DECIMAL, {}),
        ("numeric(10,2)", Kind.DECIMAL, {"precision": 10, "scale": 2}),
        ("numeric(1000,500)", Kind.DECIMAL, {"precision": 1000, "scale": 500}),
        ("boolean", Kind.BOOLEAN, {}),
        ("character varying(20)", Kind.TEXT, {}),
        ("character(3)", Kind.TEXT, {}),
        ("date", Kind.DATE, {}),
        ("time(3) without time zone", Kind.TIME, {}),
        ("time with time zone", Kind.OTHER, {}),
        ("timestamp(3) without time zone", Kind.TIMESTAMP, {}),
        ("timestamp with time zone", Kind.TIMESTAMPTZ, {}),
        ("interval", Kind.OTHER, {}),
        ("bytea", Kind.BINARY, {}),
        ("uuid", Kind.UUID, {}),
        ("json", Kind.JSON, {}),
        ("jsonb", Kind.JSON, {}),
        ("money", Kind.OTHER, {}),
        ("inet", Kind.OTHER, {}),
        ("bit(3)", Kind.OTHER, {}),
        ("xml", Kind.OTHER, {}),
        ("tsvector", Kind.OTHER, {}),
        ("point", Kind.OTHER, {}),
        ("int4range", Kind.OTHER, {}),
        ("oidvector", Kind.OTHER, {}),
    ],
)
def test_each_type_has_its_kind(connected, declared, kind, facts):
    source = connected("DROP TABLE IF EXISTS one_type", f"CREATE TABLE one_type(c {declared})")
    assert source.relation("one_type").columns == (
        Column(name="c", database_type=declared, kind=kind, **facts),
    )


def test_a_negative_scale_is_understood(connected):
    source = connected()
    if int(source.server_version.split(".")[0]) < 15:
        pytest.skip("scales are not negative before version 15")
    source = connected("CREATE TABLE rounded(c numeric(3, -2))", "INSERT INTO rounded VALUES (12345)")
    (column,) = source.relation("rounded").columns
    assert (column.precision, column.scale) == (3, -2)
    assert values(read_table(source, "rounded", Form.TYPED)[1]) == [("12300",)]


def test_arrays_tell_their_elements(connected):
    source = connected("CREATE TABLE arrayed(a numeric(5,2)[], b text[][], c timestamptz[])")
    a, b, c = source.relation("arrayed").columns
    assert (a.kind, a.database_type) == (Kind.ARRAY, "numeric(5,2)[]")
    assert a.element == Column(
        name="a", database_type="numeric(5,2)", kind=Kind.DECIMAL, precision=5, scale=2
    )
    assert (b.element.kind, c.element.kind) == (Kind.TEXT, Kind.TIMESTAMPTZ)


def test_a_domain_counts_as_what_it_is_made_of(connected):
    source = connected(
        "CREATE DOMAIN inner_amount AS numeric(8, 2)",
        "CREATE DOMAIN outer_amount AS inner_amount NOT NULL",
        "CREATE DOMAIN words AS text[]",
        "CREATE TABLE of_domains(a outer_amount, w words, x inner_amount[])",
    )
    a, w, x = source.relation("of_domains").columns
    assert (a.kind, a.precision, a.scale, a.database_type) == (Kind.DECIMAL, 8, 2, "outer_amount")
    assert (w.kind, w.element.kind) == (Kind.ARRAY, Kind.TEXT)
    assert (x.kind, x.element.kind, x.element.precision) == (Kind.ARRAY, Kind.DECIMAL, 8)


def test_enums_and_composites_are_other(connected):
    source = connected(
        "CREATE TYPE colour AS ENUM ('red')",
        "CREATE TYPE couple AS (a int)",
        "CREATE TABLE own(c colour, b couple)",
    )
    assert [column.kind for column in source.relation("own").columns] == [Kind.OTHER, Kind.OTHER]


def test_a_query_is_reflected_from_its_result(world, connected):
    relation = connected().relation_of_query(
        "SELECT i AS id, 1.5::numeric(3,1) AS n, '%' AS p, ARRAY[1] AS a FROM plain; "
    )
    assert relation.query == "SELECT i AS id, 1.5::numeric(3,1) AS n, '%' AS p, ARRAY[1] AS a FROM plain"
    assert [
        (column.name, column.kind, column.database_type, column.precision) for column in relation.columns
    ] == [
        ("id", Kind.INTEGER, "integer", None),
        ("n", Kind.DECIMAL, "numeric(3,1)", 3),
        ("p", Kind.TEXT, "text", None),
        ("a", Kind.ARRAY, "integer[]", None),
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO plain VALUES (1)",
        "WITH x AS (DELETE FROM plain RETURNING i) SELECT * FROM x",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE plain",
        "SELECT 1) AS a, (SELECT 2",
        "SELECT 1) AS a; COMMIT; SELECT (2",
        "SELECT i INTO made FROM plain",
        "CREATE TABLE made AS SELECT 1",
        "EXPLAIN SELECT 1",
        "SHOW TimeZone",
        "COMMIT",
        "SELECT $1",
        "SELECT * FROM missing",
        "SELECT",
        "",
        ";",
        "-- nothing",
        "SELECT i, i FROM plain",
    ],
)
def test_all_but_one_plain_select_is_refused_and_leaves_the_source_usable(world, connected, sql):
    source = connected()
    with pytest.raises(QueryFailed):
        source.relation_of_query(sql)
    assert len(source.relation("plain").columns) == 2
    assert len(read_table(source, "plain")[1]) == 1000


@pytest.mark.parametrize(
    "sql",
    [
        "TABLE plain",
        "VALUES (1), (2)",
        "WITH x AS (SELECT 1 AS a) SELECT a FROM x",
        "SELECT 1 AS a -- why",
        "SELECT i FROM plain ORDER BY 1 LIMIT 2",
        "SELECT ';' AS a",
    ],
)
def test_one_plain_select_is_reflected_and_read(world, connected, sql):
    source = connected()
    relation = source.relation_of_query(sql)
    asked = statement(
        f"SELECT * FROM (\n{relation.query}\n) q",
        *[(column.name, column.kind) for column in relation.columns],
    )
    assert read(source, asked)[1].column_names == [column.name for column in relation.columns]


def test_a_role_sees_only_what_it_may_read(world, tmp_path):
    with fresh_role(world) as (url, name):
        execute(
            world,
            "CREATE TABLE partly(open int, closed int)",
            "INSERT INTO partly VALUES (1, 2)",
            f"GRANT SELECT (open) ON partly TO {name}",
            f"GRANT SELECT ON looked TO {name}",
        )
        source = open_source(url, limits(tmp_path))
        assert [summary.label for summary in source.relations()] == ["public.looked", "public.partly"]
        assert values(read_table(source, "partly", Form.TYPED)[1]) == [(1,)]
        with pytest.raises(NoSuchRelation):
            source.relation("plain")
        with pytest.raises(QueryFailed, match="permission denied"):
            read(source, statement("SELECT i FROM plain", ("i", Kind.INTEGER)))
        source.close()
    execute(world, "DROP TABLE partly")


def test_rows_are_estimated_by_the_planner(world, connected):
    source = connected()
    everything = whole(source.relation("plain"))
    assert source.estimate(everything).rows == 1000
    few = statement("SELECT i FROM plain WHERE i <= %(most)s", ("i", Kind.INTEGER), most=10)
    estimate = source.estimate(few, whole=None)
    assert estimate.kind == "estimate"
    assert 1 <= estimate.rows < 100


def test_an_estimate_that_fails_leaves_the_source_usable(world, connected):
    source = connected()
    with pytest.raises(QueryFailed):
        source.estimate(statement("SELECT i FROM missing", ("i", Kind.INTEGER)))
    assert len(read_table(source, "plain")[1]) == 1000
