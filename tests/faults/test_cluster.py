"""Exports on a Dask cluster: workers die, freeze and leave, the scheduler and the server come and go."""

import hashlib
import json
import signal
import urllib.error
import urllib.request

import apsw
import pytest

from tests.cluster import NEWER, running_cluster
from tests.conftest import make_shop
from tests.faults.probes import DEADLINE_SECONDS, eventually
from tests.postgres_server import fresh_database
from tests.server import Server

pytest.importorskip("distributed")
pytestmark = pytest.mark.postgres

LONG = 1_000_000  # rows of an export that takes a few seconds


@pytest.fixture(scope="module")
def instance(tmp_path_factory):
    folder = tmp_path_factory.mktemp("installation") / "instance"
    folder.mkdir()
    make_shop(folder / "shop.db")
    with_long_view(folder / "shop.db")
    return folder


@pytest.fixture(scope="module")
def scheduler(instance, postgres_url):
    """A cluster without workers."""
    with fresh_database(postgres_url) as database:
        environ = {
            "EXPORTER_INSTANCE_PATH": str(instance),
            "EXPORTER_DATABASE_URL": database,
            "EXPORTER_LEASE_SECONDS": "2",
            "EXPORTER_WORKERS": "4",
        }
        with running_cluster(instance.parent / "cluster", **environ) as running:
            yield running


@pytest.fixture(scope="module")
def installation(instance, scheduler):
    """A server of that cluster, with the shop as its source."""
    server = Server(instance, **scheduler.shared)
    assert server.command("init", "--admin", "ada", stdin="a password\n").returncode == 0
    server.token = server.command("tokens", "create", "ada").stdout.strip()
    server.start()
    try:
        server.source = server.data("POST", "datasources/", {"name": "shop", "url": "sqlite:///shop.db"})[
            "id"
        ]
        yield server
    finally:
        server.kill()


@pytest.fixture
def cluster(scheduler):
    """No worker is there yet; those that a test starts end with it."""
    shared = scheduler.shared.copy()
    yield scheduler
    scheduler.shared = shared
    scheduler.close(but={scheduler.scheduler})


@pytest.fixture
def server(installation, cluster):
    eventually(lambda: readiness(installation) == (503, "The Dask cluster has no workers"))
    return installation


def with_long_view(shop):
    with apsw.Connection(str(shop)) as connection:
        connection.execute(
            "CREATE VIEW long AS WITH RECURSIVE"
            f" c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {LONG}) SELECT n FROM c"
        )
    connection.close()


def readiness(server):
    try:
        with urllib.request.urlopen(f"{server.url}/readyz", timeout=30) as answer:
            return answer.status, json.loads(answer.read())["message"]
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, json.loads(refused.read())["error"]


def ready(server):
    eventually(lambda: readiness(server) == (200, "ready"))


def job(server, job_id):
    return server.data("GET", f"exports/{job_id}/")


def outcomes(found):
    return [attempt["outcome"] for attempt in found["attempts"]]


def beaten(server, job_id):
    """Wait until the worker that runs the job has told of rows."""
    eventually(lambda: (job(server, job_id)["row_count"] or 0) > 0)


def whole(server, job_id, rows=LONG):
    """Hold a completed job to its file, as whoever downloads it does."""
    done = server.until(job_id, "completed", "failed")
    assert (done["status"], done["row_count"]) == ("completed", rows), done
    status, content = server.call("GET", f"exports/{job_id}/download/")
    assert status == 200
    assert content.count(b"\n") == rows + 1
    assert hashlib.sha256(content).hexdigest() == done["checksum"]["value"]
    return done


def of(instance, job_id):
    """Give the job's files: those that are published, and those that are being written."""
    exports = instance / "exports"
    folders = exports, exports / ".staged"
    return tuple({path.name for path in folder.glob(f"{job_id}*")} for folder in folders)


def test_a_job_without_workers_waits_and_readiness_says_so(server, cluster):
    eventually(lambda: readiness(server) == (503, "The Dask cluster has no workers"))
    job_id = server.submit("orders")
    assert job(server, job_id)["status"] == "pending"
    cluster.start_worker()
    done = server.until(job_id, "completed")
    assert (done["attempt"], done["row_count"]) == (1, 4)
    assert readiness(server) == (200, "ready")


def test_a_command_waits_for_workers_and_says_so(server, cluster, tmp_path):
    file = tmp_path / "orders.csv"
    words = ("exports", "create", "shop", "--table", "orders", "--output", str(file))
    with server.begin(*words) as command:
        assert command.stderr.readline() == f"The Dask cluster has no workers ({cluster.address})\n"
        cluster.start_worker()
        assert command.wait(DEADLINE_SECONDS) == 0
    assert file.read_text().startswith('"id","city"')


def test_a_worker_killed_in_the_middle_of_an_export_costs_an_attempt(server, cluster, instance):
    first = cluster.start_worker()
    ready(server)
    job_id = server.submit("long")
    beaten(server, job_id)
    first.kill()
    server.until(job_id, "pending")
    assert of(instance, job_id) == (set(), {f"{job_id}-1"})
    cluster.start_worker()
    done = whole(server, job_id)
    assert outcomes(done) == ["worker_lost", "completed"]
    assert of(instance, job_id) == ({f"{job_id}-2"}, set())


def test_a_worker_that_froze_is_fenced_when_it_wakes_up(server, cluster, instance):
    frozen = cluster.start_worker()
    ready(server)
    job_id = server.submit("long")
    beaten(server, job_id)
    frozen.send_signal(signal.SIGSTOP)
    cluster.start_worker()
    done = whole(server, job_id)
    assert outcomes(done) == ["worker_lost", "completed"]
    frozen.send_signal(signal.SIGCONT)
    eventually(lambda: of(instance, job_id) == ({f"{job_id}-2"}, set()))
    assert job(server, job_id)["checksum"] == done["checksum"]
    assert whole(server, server.submit("long"))["attempt"] == 1


def test_a_worker_that_leaves_puts_its_job_back_in_the_queue(server, cluster, instance):
    leaving = cluster.start_worker(nanny=True)
    ready(server)
    job_id = server.submit("long")
    beaten(server, job_id)
    leaving.terminate()
    cluster.start_worker()
    assert outcomes(whole(server, job_id)) == ["released", "completed"]
    assert of(instance, job_id) == ({f"{job_id}-2"}, set())


def test_a_scheduler_that_is_restarted_loses_no_job(server, cluster):
    cluster.start_worker()
    ready(server)
    running, waiting = server.submit("long"), server.submit("numbers")
    beaten(server, running)
    cluster.scheduler.kill()
    cluster.scheduler.wait()
    eventually(lambda: readiness(server) == (503, "The Dask scheduler does not answer"))
    accepted = server.submit("numbers")
    cluster.start_scheduler()
    cluster.start_worker()
    done = whole(server, running)
    assert outcomes(done)[-1] == "completed"
    assert [whole(server, job_id, 1000)["attempt"] for job_id in (waiting, accepted)] == [1, 1]


def test_an_export_goes_on_while_the_server_is_restarted_and_runs_once(server, cluster):
    cluster.start_worker()
    ready(server)
    job_id = server.submit("long")
    beaten(server, job_id)
    assert server.stop()[0] == 0
    server.start()
    assert outcomes(whole(server, job_id)) == ["completed"]


def test_an_export_goes_on_when_the_server_is_killed_and_runs_once(server, cluster):
    cluster.start_worker()
    ready(server)
    job_id = server.submit("long")
    beaten(server, job_id)
    server.kill()
    server.start()
    assert outcomes(whole(server, job_id)) == ["completed"]


def test_two_servers_of_one_cluster_run_each_job_once(server, cluster, instance):
    other = Server(instance, **cluster.shared)
    other.token, other.source = server.token, server.source
    for _ in range(2):
        cluster.start_worker()
    other.start()
    try:
        ready(other)
        jobs = [each.submit("numbers") for each in (server, other) * 8]
        done = [server.until(job_id, "completed", "failed") for job_id in jobs]
    finally:
        other.kill()
    assert [(job["status"], job["attempt"]) for job in done] == [("completed", 1)] * 16


def test_a_cancel_reaches_the_worker(server, cluster, instance):
    cluster.start_worker()
    ready(server)
    job_id = server.submit("endless")
    beaten(server, job_id)
    assert server.data("POST", f"exports/{job_id}/cancel/")["status"] == "cancelled"
    eventually(lambda: job(server, job_id)["stopped_at"])
    assert of(instance, job_id) == (set(), set())
    assert server.until(server.submit("orders"), "completed")["attempt"] == 1


def test_a_worker_of_another_version_is_told_by_doctor_and_works(server, cluster):
    cluster.start_worker(program=("-c", NEWER))
    ready(server)
    told = server.command("doctor")
    assert told.returncode == 0, told.stdout
    assert "exporter 99.0 there, 0.1.0 here" in told.stdout
    assert server.until(server.submit("orders"), "completed")["attempt"] == 1


def test_a_worker_of_another_installation_gets_no_jobs(server, cluster, postgres_url):
    cluster.start_worker(EXPORTER_SECRET_KEY="another")
    unfit = "No worker of the Dask cluster can run this server's jobs; exporter doctor says why"
    eventually(lambda: readiness(server) == (503, unfit))
    told = server.command("doctor")
    assert (told.returncode, "it has another SECRET_KEY" in told.stdout) == (1, True), told.stdout
    job_id = server.submit("orders")
    with fresh_database(postgres_url) as elsewhere:
        other = Server(server.environ["EXPORTER_INSTANCE_PATH"], EXPORTER_DATABASE_URL=elsewhere)
        assert other.command("init").returncode == 0
        cluster.shared["EXPORTER_DATABASE_URL"] = elsewhere
        cluster.start_worker()
        eventually(lambda: "it uses another app database" in server.command("doctor").stdout)
        assert job(server, job_id)["attempt"] == 0
        cluster.shared["EXPORTER_DATABASE_URL"] = server.environ["EXPORTER_DATABASE_URL"]
        cluster.start_worker()
        assert server.until(job_id, "completed")["attempt"] == 1


def test_a_server_whose_workers_do_not_see_its_store_does_not_start(server, cluster, tmp_path):
    server.stop()
    worker = cluster.start_worker(EXPORTER_STORAGE_URL=f"file://{tmp_path}/elsewhere")
    eventually(lambda: "it cannot use the store" in server.command("doctor").stdout)
    refused = server.command("serve", "--port", "0")
    assert refused.returncode == 1
    assert "it cannot use the store" in refused.stderr.splitlines()[-1]
    worker.kill()
    cluster.start_worker()
    eventually(lambda: server.command("doctor").returncode == 0)
    server.start()
    assert server.until(server.submit("orders"), "completed")["attempt"] == 1
