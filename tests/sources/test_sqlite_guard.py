"""Nothing but reading can be done through a SQLite source, whatever the statement says."""

import threading

import apsw
import pytest

from exporter.failures import QueryFailed, QueryTimeout
from exporter.sources.base import Form, Kind
from exporter.sources.sqlite.session import Session
from tests.sources.reading import fill, make_file, read, read_table, statement, values

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT {} FROM n"


@pytest.fixture
def source(tmp_path, opened):
    fill(tmp_path / "a.db", "c INTEGER", [(1,), (2,)])
    return opened(tmp_path / "a.db")


@pytest.mark.parametrize(
    "sql",
    [
        "ATTACH 'new.db' AS other",
        "DETACH main",
        "INSERT INTO t VALUES (3)",
        "INSERT INTO t VALUES (3) RETURNING c",
        "UPDATE t SET c = 3",
        "DELETE FROM t",
        "DROP TABLE t",
        "CREATE TABLE u(c)",
        "CREATE TEMP TABLE u(c)",
        "CREATE VIRTUAL TABLE u USING fts5(c)",
        "ALTER TABLE t ADD d",
        "REINDEX",
        "ANALYZE",
        "VACUUM",
        "VACUUM INTO 'new.db'",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT s",
        "PRAGMA writable_schema = 1",
        "PRAGMA query_only = 0",
        "PRAGMA journal_mode = wal",
        "PRAGMA table_xinfo('t')",
        "EXPLAIN SELECT 1",
        "EXPLAIN QUERY PLAN SELECT 1",
        "SELECT load_extension('x')",
        "SELECT LOAD_EXTENSION('x')",
        "SELECT fts3_tokenizer('simple')",
        "SELECT fts3_tokenizer('simple', x'00')",
        "SELECT * FROM pragma_table_info('t')",
        "SELECT readfile('/etc/passwd')",
        "SELECT writefile('new.db', 'x')",
        "SELECT edit('x')",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE t",
        "SELECT 1) UNION SELECT (2",
        "SELECT * FROM t WHERE c = ?",
        "SELECT * FROM t WHERE c = :c",
        "SELECT * FROM missing",
        'SELECT "misspelt" FROM t',
        "SELECT",
        "",
        ";",
        "-- nothing",
    ],
)
def test_all_but_one_plain_select_is_refused(source, tmp_path, sql):
    with pytest.raises(QueryFailed):
        source.relation_of_query(sql)
    assert values(read_table(source, "t")[1]) == [(1,), (2,)]
    assert {path.name for path in tmp_path.iterdir()} == {"a.db"}


@pytest.mark.parametrize(
    "sql",
    [
        "ATTACH 'new.db' AS o",
        "DELETE FROM t",
        "SELECT 1; ATTACH 'new.db' AS o",
        "SELECT load_extension('x') AS c",
    ],
)
def test_the_guard_stands_also_where_a_statement_is_read(source, tmp_path, sql):
    with pytest.raises(QueryFailed):
        read(source, statement(sql, ("c", Kind.INTEGER)))
    assert {path.name for path in tmp_path.iterdir()} == {"a.db"}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT c FROM t",
        "  select c from t ;  ",
        "SELECT c FROM t -- why",
        "WITH u AS (SELECT c FROM t) SELECT * FROM u",
        "SELECT c FROM t UNION ALL SELECT 3",
        "VALUES (1), (2)",
        "SELECT ';' AS c",
        "SELECT upper('a') AS c, max(c) AS d FROM t",
    ],
)
def test_one_plain_select_is_reflected_and_read(source, sql):
    relation = source.relation_of_query(sql)
    _, table = read(
        source,
        statement(f"SELECT * FROM (\n{relation.query}\n)", *[(c.name, c.kind) for c in relation.columns]),
    )
    assert table.column_names == [column.name for column in relation.columns]
    assert len(table) >= 1


def test_a_name_twice_is_refused_and_named(source):
    for sql in ("SELECT c, c FROM t", "SELECT c AS a, c AS A FROM t"):
        with pytest.raises(QueryFailed, match=r"two columns named '[cA]'"):
            source.relation_of_query(sql)


def test_a_views_unsafe_function_is_not_run(tmp_path, opened):
    path = make_file(tmp_path / "a.db", "CREATE VIEW v AS SELECT fts3_tokenizer('simple') AS c")
    with pytest.raises(QueryFailed):
        read_table(opened(path), "v")


def test_full_text_tables_are_read(tmp_path, opened):
    path = make_file(
        tmp_path / "a.db", "CREATE VIRTUAL TABLE t USING fts5(title, body)", "INSERT INTO t VALUES ('a', 'b')"
    )
    source = opened(path)
    assert [summary.name for summary in source.relations()] == ["t"]
    assert values(read_table(source, "t")[1]) == [("a", "b")]


def test_r_tree_tables_are_read_and_their_own_tables_not_written(tmp_path, opened):
    path = make_file(
        tmp_path / "a.db",
        "CREATE VIRTUAL TABLE t USING rtree(id, low, high)",
        "INSERT INTO t VALUES (1, 0, 0.5)",
    )
    source = opened(path)
    assert values(read_table(source, "t")[1]) == [(1, 0.0, 0.5)]
    for sql in ("DELETE FROM t_node", "DELETE FROM t", "INSERT INTO t_node VALUES (9, x'')"):
        with pytest.raises(QueryFailed):
            source.relation_of_query(sql)
        with pytest.raises(QueryFailed):
            read(source, statement(sql, ("id", Kind.INTEGER)))
    assert values(read_table(source, "t")[1]) == [(1, 0.0, 0.5)]


def test_a_value_that_sqlite_cannot_take_fails_the_query(source):
    for bad in (2**64, object(), "\ud800"):
        with pytest.raises(QueryFailed, match="cannot be handed"):
            read(source, statement("SELECT c FROM t WHERE c = :v", ("c", Kind.INTEGER), v=bad))


@pytest.mark.parametrize("select", ["max(i) AS i", "i"])
@pytest.mark.parametrize("form", list(Form))
def test_an_interrupt_ends_a_running_query_from_another_thread(tmp_path, opened, monkeypatch, select, form):
    running = threading.Event()
    check = Session._overdue
    monkeypatch.setattr(Session, "_overdue", lambda session: running.set() or check(session))
    source = opened(make_file(tmp_path / "a.db", "CREATE TABLE t(c)"))

    def interrupting():
        assert running.wait(60)
        source.interrupt()

    other = threading.Thread(target=interrupting)
    other.start()
    with pytest.raises(QueryFailed, match="interrupted"):
        for _ in source.read(statement(ENDLESS.format(select), ("i", Kind.INTEGER)), form).batches():
            pass
    other.join()


def test_an_interrupt_before_the_read_is_not_lost(source):
    source.interrupt()
    with pytest.raises(QueryFailed, match="interrupted"):
        read(source, statement("SELECT c FROM t", ("c", Kind.INTEGER)))


def test_an_interrupt_ends_a_survey(source):
    source.interrupt()
    with pytest.raises(QueryFailed, match="interrupted"):
        source.read(statement(ENDLESS.format("i"), ("i", Kind.INTEGER)), Form.TYPED, careful=True)


def test_interrupting_and_closing_a_closed_source_does_nothing(tmp_path, opened):
    source = opened(make_file(tmp_path / "a.db", "CREATE TABLE t(c)"))
    source.close()
    source.interrupt()
    source.close()


@pytest.mark.parametrize("select", ["max(i) AS i", "i"])
def test_a_query_past_its_deadline_is_ended(tmp_path, opened, select):
    source = opened(make_file(tmp_path / "a.db", "CREATE TABLE t(c)"), statement_timeout=0.05)
    with pytest.raises(QueryTimeout) as late:
        for _ in source.read(statement(ENDLESS.format(select), ("i", Kind.INTEGER)), Form.TEXT).batches():
            pass
    assert "0.05 s" in str(late.value)


def test_a_reader_closed_early_leaves_its_source_usable(source):
    reader = source.read(statement(ENDLESS.format("i"), ("i", Kind.INTEGER)), Form.TEXT)
    next(reader.batches())
    reader.close()
    reader.close()
    assert values(read_table(source, "t")[1]) == [(1,), (2,)]


def test_a_costly_view_is_reflected_without_running_it(tmp_path, opened):
    path = make_file(tmp_path / "a.db", f"CREATE VIEW v AS {ENDLESS.format('count(*) AS c, i')}")
    relation = opened(path).relation("v")
    assert [column.name for column in relation.columns] == ["c", "i"]


def test_a_writer_is_free_again_once_the_source_is_closed(tmp_path, opened):
    path = make_file(tmp_path / "a.db", "CREATE TABLE t(c)")
    source = opened(path)
    read_table(source, "t")
    source.close()
    writer = apsw.Connection(str(path))
    writer.execute("INSERT INTO t VALUES (1)")
    writer.close()
