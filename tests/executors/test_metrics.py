"""What `/metrics` tells on a server whose exports run on a cluster."""

import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.cluster import running_cluster
from tests.conftest import make_shop
from tests.faults.probes import eventually
from tests.postgres_server import fresh_database
from tests.server import Server

pytest.importorskip("distributed")
pytestmark = pytest.mark.postgres

STATES = ("fit", "refused", "unexamined")


@pytest.fixture
def cluster(request, postgres_url, tmp_path):
    with fresh_database(postgres_url) as database:
        environ = {
            "EXPORTER_INSTANCE_PATH": str(tmp_path / "instance"),
            "EXPORTER_DATABASE_URL": database,
            "EXPORTER_WORKERS": "7",
            "EXPORTER_LEASE_SECONDS": getattr(request, "param", "15"),
        }
        with running_cluster(tmp_path / "logs", **environ) as running:
            yield running


@pytest.fixture
def server(cluster, tmp_path):
    folder = tmp_path / "instance"
    server = Server(folder, **cluster.shared)
    assert server.command("init", "--admin", "ada", stdin="a password\n").returncode == 0
    make_shop(folder / "shop.db")
    server.token = server.command("tokens", "create", "ada").stdout.strip()
    server.start()
    try:
        values = {"name": "shop", "url": f"sqlite:///{folder}/shop.db"}
        server.source = server.data("POST", "datasources/", values)["id"]
        yield server
    finally:
        server.kill()


def figures(server):
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def places(server):
    """Give the slots, the busy ones among them, and the workers by their state."""
    found = figures(server)
    workers = [found["exporter_cluster_workers", state] for state in STATES]
    return found["exporter_slots",], found["exporter_slots_busy",], *workers


@pytest.mark.parametrize("cluster", ["2"], indirect=True)
def test_slots_are_the_threads_of_the_workers_that_get_jobs(server, cluster):
    eventually(lambda: places(server) == (0, 0, 0, 0, 0))
    cluster.start_worker(EXPORTER_SECRET_KEY="another")
    eventually(lambda: places(server) == (0, 0, 0, 1, 0))
    worker = cluster.start_worker()
    eventually(lambda: places(server) == (1, 0, 1, 1, 0))
    job_id = server.submit("endless")
    server.until(job_id, "processing")
    eventually(lambda: places(server) == (1, 1, 1, 1, 0))
    worker.kill()
    eventually(lambda: places(server)[0] == 0)
    server.until(job_id, "pending")
    assert figures(server)["exporter_attempt_failures_total", "worker_lost"] == 1
    eventually(lambda: places(server) == (0, 0, 0, 1, 0))


def test_what_runs_on_workers_counts_at_the_server_that_handed_it_over(server, cluster):
    cluster.start_worker()
    done = server.until(server.submit("numbers"), "completed", "failed")
    failed = server.submit("orders", options={"encoding": "iso-8859-1"})
    assert server.until(failed, "completed", "failed")["error_code"] == "value_unwritable"
    ended = {("exporter_attempt_seconds_count", "csv", outcome) for outcome in ("completed", "failed")}
    eventually(lambda: ended <= figures(server).keys())
    found = figures(server)
    assert found["exporter_attempt_seconds_count", "csv", "completed"] == 1
    assert found["exporter_attempt_seconds_count", "csv", "failed"] == 1
    assert found["exporter_attempt_failures_total", "value_unwritable"] == 1
    assert found["exporter_rows_total", "csv"] == 1000
    assert found["exporter_bytes_total", "csv"] == done["file_size"]
    assert found["exporter_queue_seconds_count",] == 2
