"""What a source does to an export: its own clear error for each fault, and a further attempt where it may pass."""

import os
import shutil
import socket
from contextlib import closing, contextmanager

import apsw
import psycopg
import pytest

from exporter.jobs import runner, workplace
from exporter.model import Role
from exporter.sources import limits
from exporter.sources.postgresql import session
from tests.conftest import ORDERS, sign_in
from tests.faults.probes import doing, eventually, holding
from tests.postgres_server import execute


def body(source, table="orders", **more):
    return {"datasource": source, "format": "json", "filters": {"table": table}, **more}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(runner, "BACKOFF_SECONDS", 0.0)


@contextmanager
def created(client, request):
    """Create a job and hold its worker before it opens the source; it goes on when the block ends."""
    with holding("after_claim") as hold:
        job_id = client.post("exports/", request).json["data"]["id"]
        hold.wait()
        yield job_id


def outcomes(client, job_id):
    job = client.until(job_id, "completed", "failed", "cancelled")
    return job, [(attempt["outcome"], attempt["error_code"]) for attempt in job["attempts"]]


def damage(path):
    """Spoil a page in the middle of the table."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2 // 4096 * 4096)
        file.write(os.urandom(4096))


GONE = {
    "missing": (lambda path: path.unlink(), "source_refused", "does not exist"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "source_refused", "is a folder"),
    "no database": (
        lambda path: path.write_text("no database " * 999),
        "source_refused",
        "not a SQLite database",
    ),
    "empty": (lambda path: path.write_bytes(b""), "invalid", "no table or view named 'numbers'"),
    "damaged": (damage, "source_corrupt", "malformed"),
}


@pytest.mark.parametrize("name", GONE)
def test_a_sqlite_file_that_is_not_what_it_was_fails_with_its_own_reason(admin, source, shop, services, name):
    spoil, code, words = GONE[name]
    with created(admin, body(source, "numbers")) as job_id:
        spoil(shop)
    job, seen = outcomes(admin, job_id)
    assert seen == [("failed", code)], job
    assert words in job["error_message"]
    assert services.artifacts.keys() == services.artifacts.staged() == set()


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(limits.SourceLimits, "busy_timeout", 0.05)
    monkeypatch.setattr(
        workplace,
        "_source_limits",
        lambda s, made=workplace._source_limits: replaced(made(s), busy_timeout=0.05),
    )


def replaced(value, **changes):
    from dataclasses import replace

    return replace(value, **changes)


@pytest.mark.parametrize("freed", [True, False])
def test_a_locked_sqlite_file_is_tried_again_and_again(impatient, admin, source, shop, freed):
    with closing(apsw.Connection(str(shop))) as owner:
        with holding("after_claim") as hold:
            job_id = admin.post("exports/", body(source)).json["data"]["id"]
            hold.wait()
            owner.execute("BEGIN EXCLUSIVE")
        with doing("before_again", (lambda: owner.execute("ROLLBACK")) if freed else (lambda: None)):
            job, seen = outcomes(admin, job_id)
    busy = ("failed", "source_busy")
    assert seen == ([busy, ("completed", None)] if freed else [busy] * 3), job
    if freed:
        assert job["row_count"] == len(ORDERS)


def test_a_file_that_is_replaced_during_the_export_is_exported_as_it_was(admin, source, shop, tmp_path):
    other = tmp_path / "other.db"
    with closing(apsw.Connection(str(other))) as connection:
        connection.execute("CREATE TABLE numbers (n INTEGER); INSERT INTO numbers VALUES (7)")
    with holding("batch") as hold:
        job_id = admin.post("exports/", body(source, "numbers")).json["data"]["id"]
        hold.wait()
        shutil.move(other, shop)
    assert admin.until(job_id, "completed")["row_count"] == 1000
    assert admin.export(body(source, "numbers"))["row_count"] == 1


def test_a_source_that_keeps_its_writers_waiting_is_told_at_registration_and_in_wal_mode_not(admin, shop):
    def warnings(name):
        return admin.post("datasources/", {"name": name, "url": f"sqlite:///{shop}"}).json["data"]["warnings"]

    assert "not in WAL mode" in warnings("rollback")[0]
    with closing(apsw.Connection(str(shop))) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    assert warnings("wal") == []


@pytest.fixture
def server(postgres_database):
    execute(postgres_database, "CREATE TABLE t AS SELECT n FROM generate_series(1, 400000) n")
    execute(postgres_database, "CREATE VIEW slow AS SELECT n FROM t WHERE n < 0 OR pg_sleep(1) IS NULL")
    return postgres_database


@pytest.fixture
def crm(admin, server):
    """The id of a datasource on the server."""
    return admin.post("datasources/", {"name": "crm", "url": server}).json["data"]["id"]


def others(server, function):
    """Do something to the backends that exports use."""
    with psycopg.connect(server, autocommit=True) as connection:
        return connection.execute(
            f"SELECT count({function}(pid)) FROM pg_stat_activity WHERE application_name = 'exporter'"
            " AND datname = current_database()"
        ).fetchone()[0]


@pytest.mark.postgres
def test_a_terminated_backend_costs_an_attempt_and_the_next_one_begins_anew(admin, crm, server):
    with doing("batch", lambda: others(server, "pg_terminate_backend")):
        job_id = admin.post("exports/", body(crm, "t")).json["data"]["id"]
        job, seen = outcomes(admin, job_id)
    assert seen == [("failed", "source_unavailable"), ("completed", None)], job
    assert job["row_count"] == 400000
    numbers = sorted(row["n"] for row in __import__("json").loads(admin.file(job)))
    assert numbers == list(range(1, 400001))


@pytest.mark.postgres
def test_a_server_that_always_breaks_off_fails_the_job_after_enough_attempts(admin, crm, server, services):
    with doing("batch", lambda: others(server, "pg_terminate_backend"), times=99):
        job_id = admin.post("exports/", body(crm, "t")).json["data"]["id"]
        _, seen = outcomes(admin, job_id)
    assert seen == [("failed", "source_unavailable")] * 3
    assert services.artifacts.keys() == services.artifacts.staged() == set()
    assert admin.post(f"exports/{job_id}/retry/").status_code == 200
    assert admin.until(job_id, "completed")["attempt"] == 4


@pytest.mark.postgres
def test_a_query_that_somebody_else_cancels_fails_and_is_no_cancel_of_ours(admin, crm, server):
    with holding("staging") as hold:
        job_id = admin.post("exports/", body(crm, "slow")).json["data"]["id"]
        hold.wait()
    eventually(lambda: others(server, "pg_cancel_backend") == 0 and admin.job(job_id)["status"] == "failed")
    job, seen = outcomes(admin, job_id)
    assert seen == [("failed", "query_failed")], job
    assert "canceling statement due to user request" in job["error_message"]


@pytest.mark.postgres
def test_a_stuck_query_is_stopped_in_the_database_by_a_cancel(admin, crm, services):
    with holding("staging") as hold:
        job_id = admin.post("exports/", body(crm, "slow")).json["data"]["id"]
        hold.wait()
    assert admin.post(f"exports/{job_id}/cancel/").status_code == 200
    assert services.engine.stop(grace=30)
    job = admin.job(job_id)
    assert (job["status"], job["stopped_at"] is not None) == ("cancelled", True)


@pytest.mark.postgres
def test_a_query_past_its_time_fails_and_is_not_tried_again(make_app, server):
    app = make_app(EXPORTER_STATEMENT_TIMEOUT="1")
    admin = sign_in(app, app.extensions["exporter"], "ada", Role.ADMIN)
    crm = admin.post("datasources/", {"name": "crm", "url": server}).json["data"]["id"]
    job = admin.export(body(crm, "slow"))
    assert [attempt["error_code"] for attempt in job["attempts"]] == ["query_timeout"], job
    assert "1 s" in job["error_message"]


@pytest.mark.postgres
@pytest.mark.parametrize("freed", [True, False])
def test_a_table_that_is_locked_is_tried_again(admin, crm, server, monkeypatch, freed):
    monkeypatch.setattr(session, "LOCK_TIMEOUT", 0.1)
    with psycopg.connect(server) as owner:
        with created(admin, body(crm, "t")) as job_id:
            owner.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        with doing("before_again", owner.rollback if freed else (lambda: None)):
            job, seen = outcomes(admin, job_id)
    busy = ("failed", "source_busy")
    assert seen == ([busy, ("completed", None)] if freed else [busy] * 3), job


@pytest.mark.postgres
def test_a_table_that_is_dropped_before_the_job_runs_is_named(admin, crm, server):
    with created(admin, body(crm, "t")) as job_id:
        execute(server, "DROP VIEW slow", "DROP TABLE t")
    job, seen = outcomes(admin, job_id)
    assert seen == [("failed", "invalid")]
    assert "'t'" in job["error_message"]


@contextmanager
def listener(*, answers):
    """Listen, and say nothing; or do not even listen."""
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        if answers:
            hole.listen(8)
        yield hole.getsockname()[1]


@pytest.mark.postgres
@pytest.mark.parametrize(("black", "words"), [(True, "did not answer in time"), (False, "nothing answers")])
def test_a_server_that_is_gone_when_the_job_runs_is_tried_again(
    make_app, server, services, monkeypatch, black, words
):
    monkeypatch.setattr(workplace, "CONNECT_TIMEOUT_SECONDS", 1.0)
    app = make_app(EXPORTER_MAX_ATTEMPTS="2")
    parts = app.extensions["exporter"]
    admin = sign_in(app, parts, "ada", Role.ADMIN)
    crm = admin.post("datasources/", {"name": "crm", "url": server}).json["data"]["id"]
    with listener(answers=black) as port:
        with created(admin, body(crm, "t")) as job_id:
            moved = parts.datasources._store.get(crm)
            elsewhere = f"postgresql://nobody@127.0.0.1:{port}/none"
            values = {"name": "crm", "kind": "postgresql", "url": elsewhere, "table": None, "query": None,
                      "date_column": None, "is_shared": False, "snapshot_copy": False, "warnings": ()}  # fmt: skip
            parts.datasources._store.update(moved.id, values)
        job, seen = outcomes(admin, job_id)
    assert seen == [("failed", "source_unavailable")] * 2
    assert words in job["error_message"]
