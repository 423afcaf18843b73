"""Connecting, one read-only snapshot, deadlines, interrupts and what is said when the server does not comply."""

import socket
import threading
from datetime import UTC, datetime
from urllib.parse import urlsplit

import psycopg
import pytest

from exporter.failures import QueryFailed, QueryTimeout, SourceBusy, SourceRefused, SourceUnavailable
from exporter.sources.base import Form, Kind
from exporter.sources.postgresql import copyblocks, session
from exporter.sources.registry import open_source
from tests.postgres_server import execute, free_port, fresh_role
from tests.sources.reading import limits, read, read_table, statement, values, whole

LONG = "SELECT a.i * b.i AS i FROM generate_series(1, 1000000) a(i), generate_series(1, 1000000) b(i)"
SLOW = "SELECT count(*) AS i FROM generate_series(1, 1000000) a(i), generate_series(1, 1000000) b(i)"
SLEEPING = "SELECT pg_sleep(600)::text AS i"
SECRET = "mArKeR-s3cret"


def failing_to_open(url, folder, **changes):
    with pytest.raises((SourceRefused, SourceUnavailable)) as failed:
        open_source(url, limits(folder, **changes))
    return failed.value


@pytest.fixture
def backend(postgres_module):
    """Run statements beside the source."""
    with psycopg.connect(postgres_module, autocommit=True) as connection:

        def ask(sql):
            return connection.execute(sql).fetchall()

        yield ask


def of(source, what):
    """Ask about the server process of an open source."""
    return f"SELECT {what} FROM pg_stat_activity WHERE pid = {source._session.connection.info.backend_pid}"


def test_a_source_says_what_it_is(connected):
    before = datetime.now(UTC)
    source = connected()
    assert source.dialect == "postgresql"
    assert source.server_version.split(".")[0].isdigit()
    assert before <= source.snapshot.time <= datetime.now(UTC)
    assert source.snapshot.id.count(":") == 2


def test_everything_is_read_from_one_snapshot(connected, postgres_module):
    source = connected("CREATE TABLE seen(i int)", "INSERT INTO seen SELECT generate_series(1, 200000)")
    reader = source.read(whole(source.relation("seen")), Form.TYPED)
    batches = reader.batches()
    first = next(batches)
    execute(postgres_module, "DELETE FROM seen", "INSERT INTO seen VALUES (0)")
    assert sorted(values([first, *batches])) == [(i,) for i in range(1, 200001)]
    assert len(read_table(source, "seen")[1]) == 200000
    source.close()
    assert values(read_table(connected(), "seen")[1]) == [("0",)]


def test_the_transaction_is_read_only_and_repeatable(connected):
    asked = (
        "SELECT current_setting('transaction_read_only') AS a, current_setting('transaction_isolation') AS b"
    )
    _, table = read(connected(), statement(asked, ("a", Kind.TEXT), ("b", Kind.TEXT)))
    assert values(table) == [("on", "repeatable read")]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("search_path", "pg_catalog, public, pg_temp"),
        ("DateStyle", "ISO, YMD"),
        ("IntervalStyle", "postgres"),
        ("TimeZone", "UTC"),
        ("bytea_output", "hex"),
        ("extra_float_digits", "1"),
        ("client_encoding", "UTF8"),
        ("standard_conforming_strings", "on"),
        ("statement_timeout", "3630s"),
        ("lock_timeout", "10s"),
        ("application_name", "exporter"),
        ("synchronize_seqscans", "off"),
    ],
)
def test_settings_hold_whatever_the_role_or_database_says(connected, postgres_module, name, value):
    database = postgres_module.rpartition("/")[2]
    worse = {
        "DateStyle": "German",
        "IntervalStyle": "iso_8601",
        "TimeZone": "Asia/Tokyo",
        "bytea_output": "escape",
    }
    changes = [f"ALTER DATABASE {database} SET {key} = '{setting}'" for key, setting in worse.items()]
    source = connected(*changes)
    asked = statement("SELECT current_setting(%(name)s) AS c", ("c", Kind.TEXT), name=name)
    assert values(read(source, asked)[1]) == [(value,)]


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE made(i int)",
        "COMMIT",
        "SELECT 1; COMMIT",
        "SELECT 1) TO STDOUT; CREATE TABLE made(i int); --",
        "INSERT INTO kept VALUES (2) RETURNING i",
        "SET TRANSACTION READ WRITE",
    ],
)
def test_nothing_but_one_query_is_run(connected, backend, sql):
    source = connected("CREATE TABLE IF NOT EXISTS kept(i int)")
    with pytest.raises(QueryFailed):
        read(source, statement(sql, ("i", Kind.INTEGER)))
    assert backend("SELECT to_regclass('made'), (SELECT count(*) FROM kept)") == [(None, 0)]
    assert values(read(source, statement("SELECT 1 AS i", ("i", Kind.INTEGER)), Form.TYPED)[1]) == [(1,)]


@pytest.mark.parametrize("sql", [SLOW, LONG, SLEEPING])
@pytest.mark.parametrize("form", list(Form))
def test_an_interrupt_ends_a_running_query_from_another_thread(connected, backend, monkeypatch, sql, form):
    waiting = threading.Event()
    wait = copyblocks.CopyStream._wait
    monkeypatch.setattr(copyblocks.CopyStream, "_wait", lambda stream: waiting.set() or wait(stream))
    source = connected()

    def interrupting():
        assert waiting.wait(60)
        source.interrupt()

    other = threading.Thread(target=interrupting)
    other.start()
    kind = Kind.TEXT if sql is SLEEPING else Kind.INTEGER
    with pytest.raises(QueryFailed, match="interrupted"):
        for _ in source.read(statement(sql, ("i", kind)), form).batches():
            pass
    other.join()
    assert backend(of(source, "state")) == [("idle in transaction",)]


def test_an_interrupt_before_the_read_is_not_lost(connected):
    source = connected()
    source.interrupt()
    with pytest.raises(QueryFailed, match="interrupted"):
        read(source, statement(SLOW, ("i", Kind.INTEGER)))
    with pytest.raises(QueryFailed, match="interrupted"):
        source.relations()


def test_interrupting_and_closing_a_closed_source_does_nothing(connected):
    source = connected()
    source.close()
    source.interrupt()
    source.close()


@pytest.mark.parametrize("sql", [SLOW, SLEEPING])
def test_a_query_past_its_deadline_is_ended_at_the_server_too(connected, backend, sql):
    source = connected(statement_timeout=0.05)
    with pytest.raises(QueryTimeout) as late:
        read(source, statement(sql, ("i", Kind.TEXT)))
    assert "0.05 s" in str(late.value)
    assert backend(of(source, "state")) == [("idle in transaction",)]


def test_a_query_past_its_deadline_is_ended_though_rows_keep_coming(connected):
    source = connected(statement_timeout=0.05)
    with pytest.raises(QueryTimeout):
        read(source, statement(LONG, ("i", Kind.TEXT)))


def test_a_cancel_by_somebody_else_is_neither_our_interrupt_nor_our_deadline(connected, backend, monkeypatch):
    waiting = threading.Event()
    wait = copyblocks.CopyStream._wait
    monkeypatch.setattr(copyblocks.CopyStream, "_wait", lambda stream: waiting.set() or wait(stream))
    source = connected()

    def cancelling():
        assert waiting.wait(60)
        while not any(done for (done,) in backend(of(source, "state = 'active' AND pg_cancel_backend(pid)"))):
            pass

    other = threading.Thread(target=cancelling)
    other.start()
    with pytest.raises(QueryFailed, match="canceling statement due to user request"):
        read(source, statement(SLEEPING, ("i", Kind.TEXT)))
    other.join()


def test_a_terminated_connection_is_worth_another_attempt(connected, backend):
    source = connected()
    reader = source.read(statement(LONG, ("i", Kind.INTEGER)), Form.TEXT)
    batches = reader.batches()
    next(batches)
    assert backend(of(source, "pg_terminate_backend(pid)")) == [(True,)]
    with pytest.raises(SourceUnavailable):
        for _ in batches:
            pass
    with pytest.raises(SourceUnavailable):
        source.relations()


def test_a_reader_closed_early_ends_its_query_and_leaves_the_snapshot(connected, backend):
    source = connected("CREATE TABLE early(i int)", "INSERT INTO early VALUES (1)")
    reader = source.read(statement(LONG, ("i", Kind.INTEGER)), Form.TEXT)
    next(reader.batches())
    reader.close()
    reader.close()
    assert backend(of(source, "state")) == [("idle in transaction",)]
    backend("INSERT INTO early VALUES (2) RETURNING i")
    assert values(read_table(source, "early", Form.TYPED)[1]) == [(1,)]


def test_a_failure_among_the_rows_is_told_and_leaves_the_snapshot(connected):
    source = connected()
    asked = statement("SELECT 1 / (300000 - i) AS i FROM generate_series(1, 400000) i", ("i", Kind.INTEGER))
    with pytest.raises(QueryFailed, match="division by zero"):
        read(source, asked)
    assert source.relations() is not None


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT * FROM missing", 'relation "missing" does not exist'),
        ("SELECT 1 +", "syntax error"),
        ("SELECT 'x'::int AS i", "invalid input syntax"),
    ],
)
def test_a_query_that_cannot_run_says_why(connected, sql, reason):
    source = connected()
    with pytest.raises(QueryFailed, match=reason):
        read(source, statement(sql, ("i", Kind.INTEGER)))


def test_a_locked_table_is_busy(connected, postgres_module, monkeypatch):
    monkeypatch.setattr(session, "LOCK_TIMEOUT", 0.05)
    source = connected("CREATE TABLE locked(i int)")
    with psycopg.connect(postgres_module) as connection:
        connection.execute("LOCK TABLE locked")
        with pytest.raises(SourceBusy, match="lock timeout"):
            read(source, statement("SELECT i FROM locked", ("i", Kind.INTEGER)))
        connection.rollback()


def test_a_superuser_is_warned_of_and_an_ordinary_role_is_not(connected, postgres_module, tmp_path):
    (warning,) = connected().warnings
    assert "superuser" in warning
    with fresh_role(postgres_module, SECRET) as (url, _):
        source = open_source(url, limits(tmp_path))
        assert source.warnings == ()
        source.close()


def test_a_role_that_reads_files_is_warned_of(postgres_module, tmp_path):
    with fresh_role(postgres_module, SECRET) as (url, name):
        execute(postgres_module, f"GRANT pg_read_server_files TO {name}")
        source = open_source(url, limits(tmp_path))
        assert "may read files" in source.warnings[0]
        source.close()


def test_a_wrong_password_is_refused_and_not_shown(postgres_module, tmp_path):
    if urlsplit(postgres_module).password is None:
        pytest.skip("this server asks for no password")
    with fresh_role(postgres_module, SECRET) as (url, name):
        refusal = failing_to_open(url.replace(SECRET, "wr0ng-password"), tmp_path)
    assert isinstance(refusal, SourceRefused)
    assert "user name or the password is wrong" in str(refusal)
    assert "wr0ng-password" not in f"{refusal!r} {refusal.__cause__!r} {refusal.__context__!r}"
    assert name


def test_a_missing_database_is_refused(postgres_module, tmp_path):
    refusal = failing_to_open(f"{postgres_module}_none", tmp_path)
    assert isinstance(refusal, SourceRefused)
    assert "no such user or database" in str(refusal)


def test_a_role_that_may_not_log_in_is_refused(postgres_module, tmp_path):
    with fresh_role(postgres_module, SECRET) as (url, name):
        execute(postgres_module, f"ALTER ROLE {name} NOLOGIN")
        refusal = failing_to_open(url, tmp_path)
    assert isinstance(refusal, SourceRefused)


def test_a_port_where_nothing_listens_is_unavailable(tmp_path):
    absence = failing_to_open(f"postgresql://ann:{SECRET}@127.0.0.1:{free_port()}/d", tmp_path)
    assert isinstance(absence, SourceUnavailable)
    assert "nothing answers" in str(absence)
    assert SECRET not in repr(absence)


def test_a_socket_that_is_not_there_is_unavailable(tmp_path):
    assert isinstance(failing_to_open(f"postgresql://ann@/d?host={tmp_path}", tmp_path), SourceUnavailable)


def test_a_missing_certificate_is_refused(postgres_module, tmp_path):
    refusal = failing_to_open(f"{postgres_module}?sslmode=verify-full&sslrootcert={tmp_path}/none", tmp_path)
    assert isinstance(refusal, SourceRefused)


def test_a_session_that_cannot_be_set_up_leaves_no_connection_open(
    postgres_module, tmp_path, backend, monkeypatch
):
    monkeypatch.setitem(session.SETTINGS, "no_such_setting", "1")
    with pytest.raises(QueryFailed, match="no_such_setting"):
        open_source(postgres_module, limits(tmp_path))


def test_a_host_without_name_is_unavailable(tmp_path):
    absence = failing_to_open("postgresql://ann@no-such-host.invalid/d", tmp_path)
    assert isinstance(absence, SourceUnavailable)


def test_a_server_that_never_answers_is_given_up(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        absence = failing_to_open(f"postgresql://ann@127.0.0.1:{port}/d", tmp_path, connect_timeout=2.0)
    assert isinstance(absence, SourceUnavailable)
    assert "did not answer in time" in str(absence)


def test_a_server_without_tls_is_refused_where_tls_is_asked_for(postgres_module, tmp_path):
    refusal = failing_to_open(f"{postgres_module}?sslmode=require", tmp_path)
    assert isinstance(refusal, SourceRefused)
    assert "TLS" in str(refusal)


def test_a_wrong_sslmode_is_refused(postgres_module, tmp_path):
    refusal = failing_to_open(f"{postgres_module}?sslmode=nonsense", tmp_path)
    assert isinstance(refusal, SourceRefused)
    assert "sslmode" in str(refusal)
