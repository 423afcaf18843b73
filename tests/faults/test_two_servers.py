"""Two servers on one PostgreSQL app database: each job runs once, and a dead server's jobs are taken over."""

import signal

import pytest

from exporter.model import Role
from tests.conftest import sign_in
from tests.faults.probes import eventually, holding
from tests.faults.test_app_database import upgraded
from tests.server import Server

pytestmark = pytest.mark.postgres


@pytest.fixture
def pair(instance, shop, postgres_database):
    """Two real servers of one installation."""
    environ = {
        "EXPORTER_DATABASE_URL": postgres_database,
        "EXPORTER_LEASE_SECONDS": "1",
        "EXPORTER_WORKERS": "1",
    }
    first, second = Server(instance, **environ), Server(instance, **environ)
    assert first.command("init", "--admin", "ada", stdin="a password\n").returncode == 0
    first.token = second.token = first.command("tokens", "create", "ada").stdout.strip()
    try:
        first.start()
        second.start()
        body = {"name": "shop", "url": f"sqlite:///{shop}"}
        first.source = second.source = first.data("POST", "datasources/", body)["id"]
        yield first, second
    finally:
        for server in (first, second):
            if server.process is not None:
                server.kill()


def test_two_servers_run_each_job_once_and_the_living_takes_over_from_the_dead(pair):
    first, second = pair
    jobs = [first.submit("numbers") for _ in range(12)]
    done = [second.until(job_id, "completed") for job_id in jobs]
    assert [job["attempt"] for job in done] == [1] * 12
    stuck = [first.submit("endless"), first.submit("endless")]
    for job_id in stuck:
        second.until(job_id, "processing")
    first.stop(signal.SIGKILL)
    eventually(
        lambda: any(second.data("GET", f"exports/{job_id}/")["attempts"][0]["outcome"] for job_id in stuck)
    )
    seen = [second.data("GET", f"exports/{job_id}/") for job_id in stuck]
    assert sorted(job["attempts"][0]["outcome"] or "" for job in seen) == ["", "worker_lost"]
    for job_id in stuck:
        second.data("POST", f"exports/{job_id}/cancel/")
    eventually(lambda: all(second.data("GET", f"exports/{job_id}/")["stopped_at"] for job_id in stuck))
    assert second.until(second.submit("orders"), "completed")["attempt"] == 1


def test_a_cancelled_job_whose_server_died_is_noted_as_stopped(pair):
    first, second = pair
    jobs = [first.submit("endless"), first.submit("endless")]
    for job_id in jobs:
        second.until(job_id, "processing")
    first.process.send_signal(signal.SIGSTOP)
    for job_id in jobs:
        second.data("POST", f"exports/{job_id}/cancel/")
    first.stop(signal.SIGKILL)
    eventually(lambda: all(second.data("GET", f"exports/{job_id}/")["stopped_at"] for job_id in jobs))


def test_a_server_that_froze_and_wakes_up_publishes_nothing(pair, instance):
    first, second = pair
    jobs = [first.submit("endless"), first.submit("endless")]
    for job_id in jobs:
        second.until(job_id, "processing")
    first.process.send_signal(signal.SIGSTOP)
    eventually(
        lambda: any(second.data("GET", f"exports/{job_id}/")["attempts"][0]["outcome"] for job_id in jobs)
    )
    for job_id in jobs:
        second.data("POST", f"exports/{job_id}/cancel/")
    first.process.send_signal(signal.SIGCONT)
    eventually(lambda: all(second.data("GET", f"exports/{job_id}/")["stopped_at"] for job_id in jobs))
    assert {second.data("GET", f"exports/{job_id}/")["status"] for job_id in jobs} == {"cancelled"}
    assert first.until(first.submit("orders"), "completed")["status"] == "completed"


@pytest.mark.parametrize(
    "place", ["batch", "before_finish", "before_fsync", "before_rename", "after_rename", "before_complete"]
)
def test_a_worker_that_froze_anywhere_and_was_taken_over_changes_nothing(
    make_app, shop, postgres_database, place
):
    app = make_app(EXPORTER_DATABASE_URL=postgres_database)
    upgraded(app)
    services, other = app.extensions["exporter"], make_app(EXPORTER_DATABASE_URL=postgres_database)
    admin = sign_in(app, services, "ada", Role.ADMIN)
    source = admin.post("datasources/", {"name": "s", "url": f"sqlite:///{shop}"}).json["data"]["id"]
    request = {"datasource": source, "format": "csv", "filters": {"table": "numbers"}}
    with holding(place) as hold:
        job_id = admin.post("exports/", request).json["data"]["id"]
        hold.wait()
        living = other.extensions["exporter"].engine

        def taken_over():
            living._parts.reaper.recover(
                now=services.clock()
            )  # as if the lease were over; a beat may be first
            return admin.job(job_id)["status"] == "pending"

        services.engine._dispatcher.stop()  # frozen as well
        eventually(taken_over)
        living.start()
        job = admin.until(job_id, "completed")
        hold.go()
        assert services.engine.stop(grace=30)
    assert [attempt["outcome"] for attempt in job["attempts"]] == ["worker_lost", "completed"]
    assert admin.job(job_id)["checksum"] == job["checksum"]
    assert living.stop(grace=30)
    services.sweeper.sweep()
    assert (services.artifacts.keys(), services.artifacts.staged()) == ({f"{job_id}-2"}, set())
    assert len(admin.file(job)) == job["file_size"]
