"""One export that several workers of a cluster read: one snapshot, one file, whoever dies meanwhile."""

import csv
import hashlib
import io
import json

import openpyxl
import pyarrow as pa
import pyarrow.parquet
import pytest

from tests.cluster import running_cluster
from tests.faults.probes import eventually
from tests.postgres_server import execute, fresh_database
from tests.server import Server

pytest.importorskip("distributed")
pytestmark = pytest.mark.postgres

ROWS = 40_000
TOLD = "of its parts came from other workers"
# For `python -c`: small tables are shared out, and an attempt begins to read when the first part from elsewhere came.
SHARING = """
import sys, threading
from exporter.sources.postgresql import parts, ranges
parts.SMALLEST, parts.PART, parts.SHARED = 8192, 1 << 18, 2
take, arrived = ranges.Ranges.take, ranges.Ranges.arrived
came = threading.Event()
def taking(self):
    if len(self._waiting) > 1:
        assert came.wait(60), "no part came from elsewhere"
    return take(self)
def arriving(self, part):
    came.set()
    return arrived(self, part)
ranges.Ranges.take, ranges.Ranges.arrived = taking, arriving
{more}
sys.argv[0] = "dask"
from dask.__main__ import main
main()
"""
COLUMNS = "id int, name text, at timestamptz, price numeric(10,2), real float8, ok bool, day date"
FILLING = (
    "INSERT INTO big SELECT i, 'Köln ' || i, '2024-01-01'::timestamptz + i * interval '1 min', i / 7.0,"
    " i / 3.0, CASE WHEN i % 3 = 0 THEN i % 2 = 0 END, CASE WHEN i % 1000 = 0 THEN 'infinity'::date"
    f" ELSE '2024-01-01'::date + i % 900 END FROM generate_series(1, {ROWS}) i"
)


@pytest.fixture(scope="module")
def source(postgres_url):
    with fresh_database(postgres_url) as url:
        execute(url, f"CREATE TABLE big({COLUMNS})", FILLING)
        yield url


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory, postgres_url):
    instance = tmp_path_factory.mktemp("sharing") / "instance"
    with fresh_database(postgres_url) as database:
        environ = {
            "EXPORTER_INSTANCE_PATH": str(instance),
            "EXPORTER_DATABASE_URL": database,
            "EXPORTER_LEASE_SECONDS": "2",
            "EXPORTER_EXPORT_READERS": "2",
        }
        with running_cluster(instance.parent / "cluster", **environ) as running:
            running.instance = instance
            yield running


@pytest.fixture(scope="module")
def installation(scheduler, source):
    server = Server(scheduler.instance, **scheduler.shared)
    assert server.command("init", "--admin", "ada", stdin="a password\n").returncode == 0
    server.token = server.command("tokens", "create", "ada").stdout.strip()
    server.start()
    try:
        server.source = server.data("POST", "datasources/", {"name": "big", "url": source})["id"]
        yield server
    finally:
        server.kill()


@pytest.fixture
def cluster(scheduler):
    yield scheduler
    scheduler.close(but={scheduler.scheduler})


def start(cluster, more="", count=1):
    return [cluster.start_worker(program=("-c", SHARING.format(more=more))) for _ in range(count)]


@pytest.fixture
def server(installation, cluster):
    """A server with two workers, each of which may lead an export."""
    start(cluster, count=2)
    ready(installation, 2)
    return installation


def ready(server, workers):
    eventually(lambda: server.command("doctor").stdout.count("same app database, key and store") == workers)


def logged(cluster):
    return "".join(path.read_text() for path in cluster.folder.glob("*-worker.log"))


def left(cluster, job_id):
    folder = cluster.instance / "exports"
    return {path.name for place in (folder, folder / ".staged") for path in place.glob(f"{job_id}*")}


def downloaded(server, job_id):
    done = server.until(job_id, "completed", "failed")
    assert (done["status"], done["row_count"]) == ("completed", ROWS), done
    status, content = server.call("GET", f"exports/{job_id}/download/")
    assert status == 200
    assert hashlib.sha256(content).hexdigest() == done["checksum"]["value"]
    return done, content


def rows_of(form, content):
    if form == "csv":
        return sorted(csv.reader(io.StringIO(content.decode())))
    if form == "json":
        return sorted(json.loads(content), key=lambda row: row["id"])
    if form == "parquet":
        return pyarrow.parquet.read_table(pa.BufferReader(content)).sort_by("id").to_pylist()
    sheet = openpyxl.load_workbook(io.BytesIO(content), read_only=True).active
    return sorted(sheet.iter_rows(values_only=True), key=lambda row: (str(type(row[0])), row[0]))


@pytest.mark.parametrize("form", ["csv", "json", "parquet", "excel"])
def test_several_workers_read_what_one_reads(server, cluster, form):
    before = logged(cluster).count(TOLD)
    shared, content = downloaded(server, server.submit("big", format=form))
    assert logged(cluster).count(TOLD) == before + 1
    assert left(cluster, shared["id"]) == {f"{shared['id']}-1"}
    alone, plain = downloaded(
        server, server.submit("big", format=form, filters={"table": "big", "order_by": "id"})
    )
    assert logged(cluster).count(TOLD) == before + 1
    assert rows_of(form, content) == rows_of(form, plain)
    assert shared["warnings"] == alone["warnings"]
    receipts = [server.data("GET", f"exports/{job['id']}/receipt/") for job in (shared, alone)]
    assert receipts[0]["columns"] == receipts[1]["columns"]
    assert receipts[0]["rows_in_file"] == ROWS
