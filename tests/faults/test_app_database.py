"""The app's own database is locked, down or restarted: requests are told to come back, exports go on."""

import shutil
import sqlite3
import threading
from contextlib import closing, contextmanager

import pytest
from sqlalchemy import text

from exporter.errors import DatabaseAway
from exporter.jobs import runner
from exporter.model import Action, Actor, Role
from exporter.storage import database
from exporter.storage.audit import AuditQuery
from tests.client import Client
from tests.conftest import sign_in
from tests.faults.probes import DEADLINE_SECONDS, eventually, holding
from tests.postgres_server import Cluster, execute, find_binaries, fresh_database, hand_over, running_cluster


def body(source, table="numbers", **more):
    return {"datasource": source, "format": "csv", "filters": {"table": table}, **more}


@pytest.fixture
def quick(monkeypatch):
    """Give up on a locked database soon: the ten seconds are for people."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    monkeypatch.setattr(runner, "LAST_WORD_RETRY_SECONDS", 0.02)


@contextmanager
def locked(instance):
    with closing(sqlite3.connect(instance / "exporter.sqlite3", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")


def refused(answer):
    assert (answer.status_code, answer.json["success"], answer.headers["Retry-After"]) == (503, False, "5")


class Counted:
    """Calls a function and says when it was called so many times."""

    def __init__(self, function, times):
        self.function, self.times, self.reached = function, times, threading.Event()

    def __call__(self, *arguments, **options):
        self.times -= 1
        if self.times <= 0:
            self.reached.set()
        return self.function(*arguments, **options)


def test_requests_to_a_locked_database_are_503_and_reading_goes_on(quick, admin, source, instance):
    job = admin.export(body(source))
    with locked(instance):
        refused(admin.post("exports/", body(source)))
        refused(admin.delete(f"exports/{job['id']}/"))
        assert admin.job(job["id"])["status"] == "completed"
        assert admin.file(job)
        assert admin.http.get("/healthz").status_code == 200
    assert admin.export(body(source))["status"] == "completed"


def test_a_token_reads_while_the_database_is_locked_and_its_use_is_noted_later(
    admin, source, services, app, instance
):
    job = admin.export(body(source))
    secret = admin.post("auth/tokens/", {"name": "script"}).json["data"]["token"]
    script, bearer = Client(app.test_client()), {"headers": {"Authorization": f"Bearer {secret}"}}
    with locked(instance):
        assert script.get(f"exports/{job['id']}/", **bearer).json["data"]["status"] == "completed"
        assert script.get("exports/", **bearer).status_code == 200
        assert services.accounts.tokens(None)[0].last_used_at is None
    assert script.get("exports/", **bearer).status_code == 200
    assert services.accounts.tokens(None)[0].last_used_at is not None
    assert admin.export(body(source))["status"] == "completed"


def test_what_need_not_be_written_does_not_wait_and_later_writes_wait_as_before(services, instance):
    with locked(instance), pytest.raises(DatabaseAway), services.database.write_if_free():
        pass
    with services.database.read() as connection:
        patience = connection.execute(text("PRAGMA busy_timeout")).scalar_one()
    assert patience == database.BUSY_SECONDS * 1000


def test_a_deed_that_the_locked_database_refused_is_noted_without_waiting_again(
    services, instance, monkeypatch
):
    """Else a refused request would hold its thread twice as long."""

    def refused_deed():
        with services.audit.deed(Action.LOG_IN, Actor(user=None, address="test")):
            raise DatabaseAway(retry_after=5)

    monkeypatch.setattr(services.database, "write", None)
    with locked(instance), pytest.raises(DatabaseAway):
        refused_deed()
    assert services.audit.page(AuditQuery()).total == 0
    with pytest.raises(DatabaseAway):
        refused_deed()
    assert [entry.reason for entry in services.audit.page(AuditQuery()).items] == ["database_away"]


def test_an_export_that_ends_while_the_database_is_locked_says_so_again_until_it_is_heard(
    quick, admin, source, services, instance, monkeypatch
):
    with holding("before_complete") as hold:
        job_id = admin.post("exports/", body(source)).json["data"]["id"]
        hold.wait()
        tried = Counted(runner.time.sleep, times=3)
        monkeypatch.setattr(runner.time, "sleep", tried)
        with locked(instance):
            hold.go()
            assert tried.reached.wait(DEADLINE_SECONDS)
        job = admin.until(job_id, "completed")
    assert job["attempt"] == 1
    assert len(admin.file(job)) == job["file_size"]


def test_a_last_word_that_is_not_heard_within_the_lease_is_discarded_and_the_job_runs_again(
    quick, make_app, shop, instance
):
    app = make_app(EXPORTER_LEASE_SECONDS="1")
    services = app.extensions["exporter"]
    admin = sign_in(app, services, "ada", Role.ADMIN)
    source = admin.post("datasources/", {"name": "s", "url": f"sqlite:///{shop}"}).json["data"]["id"]
    left = threading.Event()
    run = services.engine._executor._run
    services.engine._executor._run = lambda job_id: (run(job_id), left.set())
    with holding("before_complete") as hold:
        job_id = admin.post("exports/", body(source)).json["data"]["id"]
        hold.wait()
        with locked(instance):
            hold.go()
            assert left.wait(DEADLINE_SECONDS)
        job = admin.until(job_id, "completed")
    assert [attempt["outcome"] for attempt in job["attempts"]] == ["worker_lost", "completed"]
    services.sweeper.sweep()
    assert services.artifacts.keys() == {f"{job_id}-2"}


def test_a_lock_that_lasts_longer_than_the_lease_is_not_taken_for_a_dead_worker(
    quick, make_app, shop, instance
):
    app = make_app(EXPORTER_LEASE_SECONDS="1")
    services = app.extensions["exporter"]
    admin = sign_in(app, services, "ada", Role.ADMIN)
    source = admin.post("datasources/", {"name": "s", "url": f"sqlite:///{shop}"}).json["data"]["id"]
    with holding("batch") as hold:
        job_id = admin.post("exports/", body(source)).json["data"]["id"]
        hold.wait()
        looks = Counted(services.engine._parts.reaper._ours, times=7)  # more than a lease
        services.engine._parts.reaper._ours = looks
        with locked(instance):
            assert looks.reached.wait(DEADLINE_SECONDS)
        more = Counted(looks, times=3)
        services.engine._parts.reaper._ours = more
        assert more.reached.wait(DEADLINE_SECONDS)
        hold.go()
        assert admin.until(job_id, "completed")["attempt"] == 1


def test_a_server_that_starts_while_its_database_is_locked_starts_when_it_is_free(
    quick, make_app, instance, shop
):
    app = make_app()
    http = app.test_client()
    with locked(instance):
        assert http.get("/readyz").status_code == 503
    assert http.get("/readyz").status_code == 200


def test_a_database_that_is_moved_away_or_replaced_under_the_server_is_noticed(
    make_app, instance, shop, caplog
):
    app = make_app(EXPORTER_LEASE_SECONDS="1")
    http = app.test_client()
    assert http.get("/readyz").status_code == 200
    file, aside = instance / "exporter.sqlite3", instance / "aside.sqlite3"
    file.rename(aside)
    told = f"moved or replaced while the server ran: {file} is not the file"
    answer = http.get("/readyz")
    assert (answer.status_code, told in answer.json["error"]) == (503, True)
    shutil.copy(aside, file)
    assert told in http.get("/readyz").json["error"]
    eventually(lambda: told in caplog.text)
    aside.replace(file)
    assert http.get("/readyz").status_code == 200


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A PostgreSQL that a test may stop and start."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL binaries")
    with pytest.MonkeyPatch.context() as patch:
        made = []
        start = Cluster.start
        patch.setattr(Cluster, "start", lambda self: (made.append(self), start(self)))
        with running_cluster(binaries) as url:
            yield made[0], url


@pytest.mark.postgres
@pytest.mark.parametrize("mode", ["immediate", "fast"])
def test_a_database_that_is_stopped_and_started_costs_no_export(cluster, make_app, shop, monkeypatch, mode):
    monkeypatch.setattr(runner, "LAST_WORD_RETRY_SECONDS", 0.05)
    postgres, url = cluster
    with fresh_database(url) as database_url:
        # The tests' servers answer before they have written; what was answered is to last here.
        execute(database_url, "ALTER ROLE current_user SET synchronous_commit = on")
        app = make_app(EXPORTER_DATABASE_URL=database_url)
        services = app.extensions["exporter"]
        upgraded(app)
        admin = sign_in(app, services, "ada", Role.ADMIN)
        source = admin.post("datasources/", {"name": "s", "url": f"sqlite:///{shop}"}).json["data"]["id"]
        with holding("batch") as hold:
            job_id = admin.post("exports/", body(source)).json["data"]["id"]
            hold.wait()
            postgres.run("pg_ctl", "stop", "--wait", f"--mode={mode}", "-D", str(postgres.data))
            try:
                refused(admin.post("exports/", body(source)))
                refused(admin.http.get("/readyz"))
                hold.go()
            finally:
                started(postgres)
            eventually(lambda: answers(admin.get(f"exports/{job_id}/")))
            job = admin.until(job_id, "completed")
        assert job["attempt"] == 1
        assert len(admin.file(job)) == job["file_size"]
        assert admin.export(body(source))["status"] == "completed"
        services.engine.stop(grace=10)
        services.database.engine.dispose()


def answers(answer):
    """Right after a restart a request may still be told to come back; nothing else."""
    assert answer.status_code in {200, 503}, answer.json
    return answer.status_code == 200


def upgraded(app):
    from exporter.cli.base import upgrade_schema

    with app.app_context():
        upgrade_schema()


def started(postgres):
    """Start it again on its old port."""
    from tests.postgres_server import OPTIONS

    options = f"-h 127.0.0.1 -p {postgres.port} -k '' {OPTIONS}"
    hand_over(postgres.folder, postgres.user) if postgres.user else None
    postgres.run(
        "pg_ctl",
        "start",
        "--wait",
        "-D",
        str(postgres.data),
        "-l",
        str(postgres.folder / "log"),
        "-o",
        options,
    )
