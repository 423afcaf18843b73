"""One export that several workers of a cluster read: one snapshot, one file, whoever dies meanwhile."""

import csv
import hashlib
import io
import json
from contextlib import contextmanager

import openpyxl
import psycopg
import pyarrow as pa
import pyarrow.parquet
import pytest

from tests.cluster import running_cluster
from tests.faults.probes import eventually
from tests.faults.test_cluster import readiness
from tests.objectstore import BUCKET
from tests.postgres_server import execute, fresh_database, fresh_role
from tests.server import Server

pytest.importorskip("distributed")
pytestmark = pytest.mark.postgres

ROWS = 40_000
TOLD = "of its parts came from other workers"
# For `python -c`: small tables are shared out; an attempt begins to read when the first part from elsewhere came, or
# when the file `go` is there; the first part that is read elsewhere meets at `place` what {act} does.
SHARING = """
import os, signal, sys, threading, time
from pathlib import Path
from exporter import failpoints
from exporter.sources.postgresql import parts, ranges
parts.SMALLEST, parts.PART, parts.SHARED = 8192, 1 << 18, 2
take, arrived = ranges.Ranges.take, ranges.Ranges.arrived
came = threading.Event()
met, go = Path({folder!r}, "met"), Path({folder!r}, "go")
def eventually(there):
    deadline = time.monotonic() + 60
    while not there():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)
def taking(self):
    if len(self._waiting) > 1:
        eventually(lambda: came.is_set() or go.exists() or self._stopped or self._watch.over)
    return take(self)
def arriving(self, part):
    came.set()
    return arrived(self, part)
ranges.Ranges.take, ranges.Ranges.arrived = taking, arriving
def probe(at):
    if at == {place!r}:
        try:
            met.touch(exist_ok=False)
        except FileExistsError:
            return
        {act}
failpoints._probe = probe
sys.argv[0] = "dask"
from dask.__main__ import main
main()
"""
DIE = "os.kill(os.getpid(), signal.SIGKILL)"
FREEZE = "os.kill(os.getpid(), signal.SIGSTOP)"
WAIT = "eventually(go.exists)"
COLUMNS = "id int, name text, at timestamptz, price numeric(10,2), real float8, ok bool, day date"
FILLING = (
    "INSERT INTO big SELECT i, 'Köln ' || i, '2024-01-01'::timestamptz + i * interval '1 min', i / 7.0,"
    " i / 3.0, CASE WHEN i % 3 = 0 THEN i % 2 = 0 END, CASE WHEN i % 1000 = 0 THEN 'infinity'::date"
    f" ELSE '2024-01-01'::date + i % 900 END FROM generate_series(1, {ROWS}) i"
)
# Reading a row of `slow` takes as long as `pace` says, for who is no superuser.
SLOWED = (
    "CREATE FUNCTION paced() RETURNS bool LANGUAGE sql VOLATILE AS 'SELECT pg_sleep(seconds) IS NOT NULL FROM pace'",
    "CREATE TABLE slow(id int, name text)",
    "ALTER TABLE slow ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY pacing ON slow USING (paced())",
    f"INSERT INTO slow SELECT i, repeat('x', 60) FROM generate_series(1, {ROWS}) i",
)


@pytest.fixture(scope="module")
def source(postgres_url):
    with fresh_database(postgres_url) as url:
        execute(url, "CREATE TABLE pace(seconds float)", "INSERT INTO pace VALUES (0)", *SLOWED)
        execute(url, f"CREATE TABLE big({COLUMNS})", FILLING)
        yield url


@contextmanager
def sharing_cluster(instance, postgres_url, **more):
    with fresh_database(postgres_url) as database:
        environ = {
            "EXPORTER_INSTANCE_PATH": str(instance),
            "EXPORTER_DATABASE_URL": database,
            "EXPORTER_LEASE_SECONDS": "2",
            "EXPORTER_EXPORT_READERS": "3",
            **more,
        }
        with running_cluster(instance.parent / "cluster", **environ) as running:
            running.instance = instance
            yield running


@contextmanager
def served(cluster, source):
    server = Server(cluster.instance, **cluster.shared)
    assert server.command("init", "--admin", "ada", stdin="a password\n").returncode == 0
    server.token = server.command("tokens", "create", "ada").stdout.strip()
    server.start()
    try:
        server.source = server.data("POST", "datasources/", {"name": "big", "url": source})["id"]
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory, postgres_url):
    with sharing_cluster(tmp_path_factory.mktemp("sharing") / "instance", postgres_url) as running:
        yield running


@pytest.fixture(scope="module")
def installation(scheduler, source):
    with served(scheduler, source) as server:
        yield server


@pytest.fixture
def cluster(scheduler):
    yield scheduler
    scheduler.close(but={scheduler.scheduler})


def program(folder, place="", act="pass"):
    return "-c", SHARING.format(folder=str(folder), place=place, act=act)


@pytest.fixture
def start(cluster, installation, tmp_path):
    """Start workers, any of which may lead an export; the first to reach `place` for another does `act` there."""

    def begin(count, place="", act="pass"):
        started = [cluster.start_worker(program=program(tmp_path, place, act)) for _ in range(count)]
        ready(installation, count)
        return started

    return begin


@pytest.fixture
def server(installation):
    eventually(lambda: readiness(installation) == (503, "The Dask cluster has no workers"))
    return installation


def ready(server, workers):
    """Wait until the server knows so many workers to be fit."""
    eventually(lambda: readiness(server)[0] == 200)
    eventually(lambda: server.told().rpartition("is ready: workers=")[2].startswith(f"{workers} "))


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
def test_several_workers_read_what_one_reads(server, cluster, start, form):
    start(2)
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


def test_parts_go_through_a_bucket_and_leave_nothing_there(tmp_path, postgres_url, source, objectstore):
    instance, store = tmp_path / "instance", objectstore.url("files")
    with (
        sharing_cluster(instance, postgres_url, EXPORTER_STORAGE_URL=store) as cluster,
        served(cluster, source) as server,
    ):
        for _ in range(2):
            cluster.start_worker(program=program(tmp_path))
        ready(server, 2)
        for form in ("csv", "parquet"):
            job_id = server.submit("big", format=form)
            _, content = downloaded(server, job_id)
            assert len(rows_of(form, content)) == ROWS + (form == "csv")
        assert logged(cluster).count(TOLD) == 2
        objects = objectstore.client.list_objects_v2(Bucket=BUCKET)["Contents"]
        assert len([found for found in objects if found["Size"]]) == 2


def ids(content):
    rows = list(csv.reader(io.StringIO(content.decode())))
    return sorted(int(row[0]) for row in rows[1:])


WHOLE = list(range(1, ROWS + 1))


@pytest.mark.parametrize("place", ["part_piece", "part_left"])
def test_a_part_whose_reader_is_killed_is_read_again_in_the_same_attempt(
    server, cluster, start, tmp_path, place
):
    start(3, place, DIE)
    job_id = server.submit("big")
    eventually((tmp_path / "met").exists)
    done, content = downloaded(server, job_id)
    assert [attempt["outcome"] for attempt in done["attempts"]] == ["completed"]
    assert ids(content) == WHOLE
    swept(server, cluster, job_id, 1)


def swept(server, cluster, job_id, attempt):
    """Nothing is left after a sweep but the file."""
    assert server.command("cleanup").returncode == 0
    eventually(lambda: left(cluster, job_id) == {f"{job_id}-{attempt}"})


@pytest.mark.parametrize("act", [DIE, FREEZE], ids=["killed", "frozen"])
def test_without_its_only_reader_the_one_who_has_the_job_reads_on(server, start, tmp_path, act):
    start(2, "part_piece", act)
    job_id = server.submit("big")
    eventually((tmp_path / "met").exists)
    (tmp_path / "go").touch()
    done, content = downloaded(server, job_id)
    assert [attempt["outcome"] for attempt in done["attempts"]] == ["completed"]
    assert ids(content) == WHOLE


@pytest.fixture(scope="module")
def ordinary(installation, source):
    """A datasource of a role that reads `slow` row by row."""
    with fresh_role(source) as (url, role):
        execute(source, f"GRANT SELECT ON slow, pace, big TO {role}")
        yield installation.data("POST", "datasources/", {"name": "ordinary", "url": url})["id"]


@pytest.fixture
def pace(source):
    """Say how many seconds a row takes for who begins to read from now on."""

    def say(seconds):
        execute(source, f"UPDATE pace SET seconds = {seconds}")

    yield say
    say(0)


def queries(source):
    """Count what Exporter runs on the source at this moment."""
    asked = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'exporter' AND query LIKE 'COPY%slow%'"
    with psycopg.connect(source) as connection:
        return connection.execute(
            f"{asked} AND state = 'active' AND datname = current_database()"
        ).fetchone()[0]


def test_a_reader_that_is_busy_with_another_export_is_not_waited_for(
    server, start, tmp_path, source, ordinary, pace
):
    start(2)
    (tmp_path / "go").touch()
    pace(0.01)
    busy = server.submit("slow", datasource=ordinary, filters={"table": "slow", "limit": ROWS})
    eventually(lambda: queries(source) == 1)
    _, content = downloaded(server, server.submit("big"))
    assert ids(content) == WHOLE
    assert server.data("GET", f"exports/{busy}/")["status"] == "processing"
    server.data("POST", f"exports/{busy}/cancel/")
    eventually(lambda: queries(source) == 0)


def test_a_cancel_ends_the_queries_of_all_who_read(server, cluster, start, source, ordinary, pace):
    start(3)
    pace(0.01)
    job_id = server.submit("slow", datasource=ordinary)
    eventually(lambda: queries(source) == 2)
    assert server.data("POST", f"exports/{job_id}/cancel/")["status"] == "cancelled"
    eventually(lambda: queries(source) == 0)
    eventually(lambda: server.data("GET", f"exports/{job_id}/")["stopped_at"])
    eventually(lambda: left(cluster, job_id) == set())


def test_when_the_one_who_has_the_job_is_killed_nobody_reads_on_for_it(
    server, cluster, start, tmp_path, source, ordinary, pace
):
    workers = start(3)
    pace(0.01)
    job_id = server.submit("slow", datasource=ordinary)
    eventually(lambda: queries(source) == 2)
    (leader,) = [worker for worker in workers if worker.pid == led_by(server, job_id)]
    pace(0)
    (tmp_path / "go").touch()
    leader.kill()
    done, content = downloaded(server, job_id)
    assert [attempt["outcome"] for attempt in done["attempts"]] == ["worker_lost", "completed"]
    assert ids(content) == WHOLE
    eventually(lambda: queries(source) == 0)
    swept(server, cluster, job_id, 2)


def led_by(server, job_id):
    """Give the process that runs the job, as its row names it."""
    with psycopg.connect(server.environ["EXPORTER_DATABASE_URL"]) as connection:
        asked = "SELECT worker FROM jobs WHERE id = %s"
        return int(connection.execute(asked, [job_id]).fetchone()[0].split(":")[1])


def test_a_table_that_is_written_meanwhile_is_read_as_it_was(server, start, tmp_path, source):
    start(2, "part_asked", WAIT)
    execute(source, f"CREATE TABLE moving({COLUMNS})", "INSERT INTO moving SELECT * FROM big")
    job_id = server.submit("moving")
    eventually((tmp_path / "met").exists)
    execute(
        source,
        "UPDATE moving SET id = -id",
        "DELETE FROM moving WHERE id % 2 = 0",
        "INSERT INTO moving(id) SELECT 0",
    )
    (tmp_path / "go").touch()
    assert ids(downloaded(server, job_id)[1]) == WHOLE
