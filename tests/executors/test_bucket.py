"""A cluster whose workers share with their server nothing but the app database and a bucket."""

import hashlib
import json

import pytest

from tests.cluster import running_cluster
from tests.conftest import make_shop
from tests.faults.probes import eventually
from tests.objectstore import BUCKET, refusal
from tests.postgres_server import fresh_database
from tests.server import Server

pytest.importorskip("distributed")
pytestmark = pytest.mark.postgres

ROWS = 1000


@pytest.fixture
def cluster(postgres_url, objectstore, tmp_path):
    with fresh_database(postgres_url) as database:
        environ = {
            "EXPORTER_SECRET_KEY": "the same on every machine",
            "EXPORTER_DATABASE_URL": database,
            "EXPORTER_STORAGE_URL": objectstore.url("team"),
            "EXPORTER_SQLITE_ROOTS": str(tmp_path),
        }
        with running_cluster(tmp_path / "logs", **environ) as running:
            yield running


@pytest.fixture
def server(cluster, tmp_path):
    """A server with a folder of its own, whose one worker has another."""
    make_shop(tmp_path / "shop.db")
    server = Server(tmp_path / "server", **cluster.shared)
    assert server.command("init", "--admin", "ada", stdin="a password\n").returncode == 0
    server.token = server.command("tokens", "create", "ada").stdout.strip()
    cluster.start_worker(EXPORTER_INSTANCE_PATH=str(tmp_path / "worker"))
    server.start()
    try:
        values = {"name": "shop", "url": f"sqlite:///{tmp_path}/shop.db"}
        server.source = server.data("POST", "datasources/", values)["id"]
        yield server
    finally:
        server.kill()


def in_bucket(objectstore):
    listed = objectstore.client.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return {found["Key"] for found in listed} - {"team/"}


def test_a_file_goes_from_a_worker_through_the_bucket_to_whoever_downloads_it(server, objectstore, tmp_path):
    done = server.until(server.submit("numbers"), "completed", "failed")
    assert (done["status"], done["row_count"], done["attempt"]) == ("completed", ROWS, 1), done
    assert in_bucket(objectstore) == {f"team/{done['id']}-1"}
    status, content = server.call("GET", f"exports/{done['id']}/download/")
    assert (status, hashlib.sha256(content).hexdigest()) == (200, done["checksum"]["value"])
    assert content == "".join(f"{line}\n" for line in ['"n"', *range(1, ROWS + 1)]).encode()
    _, part = server.call("GET", f"exports/{done['id']}/download/", Range="bytes=2-9")
    assert part == content[2:10]
    file, receipt = tmp_path / "numbers.csv", tmp_path / "receipt.json"
    file.write_bytes(content)
    receipt.write_text(json.dumps(server.data("GET", f"exports/{done['id']}/receipt/")))
    told = server.command("verify", str(file), "--receipt", str(receipt))
    assert told.returncode == 0, told.stderr


def test_what_the_bucket_refuses_a_worker_fails_the_job_and_leaves_nothing(server, objectstore, tmp_path):
    eventually(lambda: server.command("doctor").returncode == 0)
    with objectstore.failing(refusal(403, "AccessDenied", methods={"PUT", "POST"})):
        failed = server.until(server.submit("orders"), "completed", "failed")
    assert (failed["status"], failed["error_code"]) == ("failed", "store_failed"), failed
    assert in_bucket(objectstore) == set()
    assert list((tmp_path / "worker").rglob(f"{failed['id']}*")) == []
    server.data("POST", f"exports/{failed['id']}/retry/")
    assert server.until(failed["id"], "completed")["attempt"] == 2
    assert in_bucket(objectstore) == {f"team/{failed['id']}-2"}
