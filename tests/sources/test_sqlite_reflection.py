"""Tables, views and columns of SQLite files are told as SQLite itself would."""

import apsw
import pytest

from exporter.failures import NoSuchRelation, QueryFailed
from exporter.sources.base import Kind
from tests.sources.reading import fill, make_file, read_table, statement, values, whole

ODD_NAMES = (
    'a"b',
    "a b",
    "é日本",
    "select",
    "a.b",
    "a'b",
    "[x]",
    "`x`",
    "%",
    "?1",
    ":c",
    "a\nb",
    "\\",
    "c0",
    "result",
    "x" * 500,
)


def kinds(source, name="t"):
    return [column.kind for column in source.relation(name).columns]


@pytest.mark.parametrize(
    ("declared", "kind"),
    [
        ("INT", Kind.INTEGER), ("mediumint", Kind.INTEGER), ("BIGINT UNSIGNED", Kind.INTEGER), ("FLOATING POINT", Kind.INTEGER),
        ("VARCHAR(20)", Kind.TEXT), ("CLOB", Kind.TEXT), ("nchar(1)", Kind.TEXT), ("CHARINT", Kind.INTEGER),
        ("REAL", Kind.FLOAT), ("DOUBLE PRECISION", Kind.FLOAT), ("FLOAT", Kind.FLOAT),
    ],
)  # fmt: skip
def test_affinity_settles_these_kinds(tmp_path, opened, declared, kind):
    fill(tmp_path / "a.db", f"c {declared}", [])
    (column,) = opened(tmp_path / "a.db").relation("t").columns
    assert (column.kind, column.database_type) == (kind, declared)
    assert column.bits == (None if kind is Kind.TEXT else 64)


@pytest.mark.parametrize(
    "declared",
    ["NUMERIC", "DECIMAL(10,2)", "DATE", "DATETIME", "TIMESTAMP", "BOOLEAN", "BLOB", "", "STRING", "JSON"],
)
@pytest.mark.parametrize(
    ("value", "kind"),
    [(7, Kind.INTEGER), (0.5, Kind.FLOAT), ("2024-01-31", Kind.TEXT), (b"\x00", Kind.BINARY)],
)
def test_what_is_stored_settles_the_others(tmp_path, opened, declared, value, kind):
    fill(tmp_path / "a.db", f"c {declared}", [(None,), (value,)])
    (column,) = opened(tmp_path / "a.db").relation("t").columns
    assert (column.kind, column.database_type) == (kind, declared)


@pytest.mark.parametrize(
    ("declared", "kind"),
    [
        ("", Kind.TEXT),
        ("BLOB", Kind.BINARY),
        ("DATE", Kind.TEXT),
        ("TIMESTAMP", Kind.TEXT),
        ("BOOLEAN", Kind.INTEGER),
        ("DECIMAL", Kind.FLOAT),
    ],
)
def test_an_empty_column_is_guessed_by_its_declaration(tmp_path, opened, declared, kind):
    fill(tmp_path / "a.db", f"c {declared}", [(None,)])
    assert kinds(opened(tmp_path / "a.db")) == [kind]


def test_integers_and_reals_together_are_reals_and_any_other_mix_a_variant(tmp_path, opened):
    fill(tmp_path / "a.db", "a DECIMAL, b", [(1, 1), (0.5, "x")])
    assert kinds(opened(tmp_path / "a.db")) == [Kind.FLOAT, Kind.VARIANT]


def test_generated_columns_are_columns_and_read(tmp_path, opened):
    path = make_file(
        tmp_path / "a.db",
        "CREATE TABLE t(a INTEGER, b INTEGER AS (a * 2) STORED, c TEXT AS ('x' || a) VIRTUAL)",
        "INSERT INTO t(a) VALUES (1), (2)",
    )
    source = opened(path)
    assert [column.name for column in source.relation("t").columns] == ["a", "b", "c"]
    assert values(read_table(source, "t")[1]) == [(1, 2, "x1"), (2, 4, "x2")]


def test_strict_tables_and_tables_without_rowid_are_read(tmp_path, opened):
    path = make_file(
        tmp_path / "a.db",
        "CREATE TABLE s(i INT, r REAL, t TEXT, b BLOB, a ANY) STRICT",
        "INSERT INTO s VALUES (1, 2, '3', x'04', 5)",
        "CREATE TABLE w(k TEXT PRIMARY KEY, v) WITHOUT ROWID",
        "INSERT INTO w VALUES ('k', 1)",
    )
    source = opened(path)
    assert values(read_table(source, "s")[1]) == [(1, 2.0, "3", b"\x04", 5)]
    assert values(read_table(source, "w")[1]) == [("k", 1)]
    assert {summary.name: summary.rows for summary in source.relations()} == {"s": 1, "w": None}


def test_tables_and_views_are_listed_without_sqlites_own(tmp_path, opened):
    path = make_file(
        tmp_path / "a.db",
        "CREATE TABLE b(i INTEGER PRIMARY KEY AUTOINCREMENT)",
        "CREATE VIEW a AS SELECT * FROM b",
        "CREATE VIRTUAL TABLE f USING fts5(x)",
        "INSERT INTO b DEFAULT VALUES",
        "ANALYZE",
    )
    summaries = opened(path).relations()
    assert [(summary.name, summary.kind, summary.schema) for summary in summaries] == [
        ("a", "view", None),
        ("b", "table", None),
        ("f", "table", None),
    ]


def test_names_are_found_whatever_their_case(tmp_path, opened):
    source = opened(make_file(tmp_path / "a.db", "CREATE TABLE Orders(Id INTEGER)"))
    relation = source.relation("oRDERS")
    assert (relation.name, relation.columns[0].name) == ("Orders", "Id")
    assert relation.label == "Orders"


def test_letters_beyond_ascii_are_told_apart_by_case(tmp_path, opened):
    source = opened(make_file(tmp_path / "a.db", "CREATE TABLE É(a)", "CREATE TABLE é(b)"))
    assert source.relation("é").columns[0].name == "b"
    assert source.relation("É").columns[0].name == "a"


@pytest.mark.parametrize(
    "name",
    ["missing", "", "sqlite_schema", "sqlite_sequence", "f_data", "pragma_table_info", "json_each", "x.t"],
)
def test_other_names_are_no_relations(tmp_path, opened, name):
    source = opened(
        make_file(
            tmp_path / "a.db",
            "CREATE TABLE t(i INTEGER PRIMARY KEY AUTOINCREMENT)",
            "CREATE VIRTUAL TABLE f USING fts5(x)",
        )
    )
    with pytest.raises(NoSuchRelation) as missing:
        source.relation(name)
    assert repr(name) in str(missing.value)


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_are_read(tmp_path, opened, name):
    quoted = '"' + name.replace('"', '""') + '"'
    path = make_file(
        tmp_path / "a.db",
        f"CREATE TABLE {quoted}({quoted} INTEGER, other)",
        f"INSERT INTO {quoted} VALUES (1, 2)",
    )
    _, table = read_table(opened(path), name)
    assert table.to_pylist() == [{name: 1, "other": 2}]


def test_nullability_is_told(tmp_path, opened):
    path = make_file(tmp_path / "a.db", "CREATE TABLE t(a INTEGER PRIMARY KEY, b NOT NULL, c, d TEXT UNIQUE)")
    assert [column.nullable for column in opened(path).relation("t").columns] == [False, False, True, True]


def test_a_view_over_a_missing_table_fails_alone(tmp_path, opened):
    path = make_file(
        tmp_path / "a.db", "CREATE TABLE t(a)", "CREATE VIEW v AS SELECT * FROM t", "CREATE TABLE u(a)"
    )
    make_file(path, "PRAGMA legacy_alter_table = on", "DROP TABLE t")
    source = opened(path)
    assert [summary.name for summary in source.relations()] == ["u", "v"]
    with pytest.raises(QueryFailed):
        source.relation("v")
    assert source.relation("u").columns[0].name == "a"


def test_a_query_is_reflected_with_its_columns(tmp_path, opened):
    fill(tmp_path / "a.db", "i INTEGER, d DATE, r REAL", [(1, "2024-01-31", 0.5)])
    relation = opened(tmp_path / "a.db").relation_of_query("SELECT i AS id, d, r * 2, 'x' AS t FROM t ;\n")
    assert relation.query == "SELECT i AS id, d, r * 2, 'x' AS t FROM t"
    assert [(column.name, column.database_type, column.kind) for column in relation.columns] == [
        ("id", "INTEGER", Kind.INTEGER),
        ("d", "DATE", Kind.TEXT),
        ("r * 2", "", Kind.FLOAT),
        ("t", "", Kind.TEXT),
    ]


def test_rows_are_estimated_by_the_span_of_row_ids(tmp_path, opened):
    fill(tmp_path / "a.db", "i INTEGER PRIMARY KEY, x", [(n, n) for n in range(10, 110)])
    make_file(tmp_path / "a.db", "CREATE TABLE e(x)", "CREATE TABLE far(i INTEGER PRIMARY KEY)",
        "INSERT INTO far VALUES (-9223372036854775808), (9223372036854775807)")  # fmt: skip
    rows = {summary.name: summary.rows for summary in opened(tmp_path / "a.db").relations()}
    assert rows == {"t": 100, "e": 0, "far": 2**64}


def test_statistics_are_believed_before_the_span(tmp_path, opened):
    fill(tmp_path / "a.db", "i INTEGER PRIMARY KEY, x", [(n * 1000, n) for n in range(50)])
    make_file(
        tmp_path / "a.db", "CREATE INDEX ix ON t(x)", "CREATE INDEX part ON t(x) WHERE x > 40", "ANALYZE"
    )
    assert [summary.rows for summary in opened(tmp_path / "a.db").relations()] == [50]


def test_row_ids_hidden_by_columns_are_found_by_their_other_names(tmp_path, opened):
    path = make_file(
        tmp_path / "a.db",
        "CREATE TABLE a(rowid TEXT, _rowid_ TEXT)",
        "INSERT INTO a VALUES ('x', 'y'), ('x', 'y')",
        "CREATE TABLE b(rowid TEXT, _rowid_ TEXT, oid TEXT)",
        "INSERT INTO b VALUES ('x', 'y', 'z')",
    )
    assert [summary.rows for summary in opened(path).relations()] == [2, None]


def test_only_a_whole_tables_rows_are_estimated(tmp_path, opened):
    fill(tmp_path / "a.db", "i INTEGER", [(n,) for n in range(5)])
    source = opened(tmp_path / "a.db")
    relation = source.relation("t")
    estimate = source.estimate(whole(relation), whole=relation)
    assert (estimate.rows, estimate.kind) == (5, "estimate")
    assert source.estimate(statement("SELECT i FROM t WHERE i > 1", ("i", Kind.INTEGER))) is None
    query = source.relation_of_query("SELECT i FROM t")
    assert source.estimate(whole(query), whole=query) is None


def test_the_version_is_that_of_the_library_that_reads(tmp_path, opened):
    fill(tmp_path / "a.db", "i", [])
    assert opened(tmp_path / "a.db").server_version == apsw.sqlite_lib_version()
