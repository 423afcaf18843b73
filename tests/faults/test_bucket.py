"""Deaths and faults around a bucket: what was promised holds, and nothing is left that no row speaks of."""

import hashlib
import json
import socket
import sqlite3
from contextlib import closing
from uuid import uuid4

import pytest

from exporter.errors import StoreAway
from exporter.failpoints import probing
from exporter.storage import objects
from exporter.storage.bucket import Bucket
from exporter.storage.objects import S3Store
from exporter.storage.staging import StoreLimits
from exporter.storageurl import parse_s3_url
from tests.cutting import Cutter
from tests.faults.invariants import everything_has_ended, one_file_at_most, promises_were_kept
from tests.faults.lives import BUCKET_PLACES, ENVIRON, FAULTS, Plan, live, trace
from tests.faults.probes import doing, raising
from tests.objectstore import BUCKET, CREDENTIALS

KILLED = -9
PLACES = sorted(BUCKET_PLACES | {"before_complete", "after_complete", "after_delete"})
KEY = f"{uuid4()}-1"
PART = 10 * 1024 * 1024


@pytest.fixture
def folder(born, objectstore):
    made = born()
    environ = {"STORAGE_URL": objectstore.url("team"), **CREDENTIALS}
    (made / ENVIRON).write_text(json.dumps(environ))
    return made


def come_back(folder, objectstore):
    assert live(folder, "recover") == 0, (folder / "stderr").read_text()
    with closing(sqlite3.connect(folder / "instance" / "exporter.sqlite3")) as connection:
        connection.row_factory = sqlite3.Row
        jobs = {row["id"]: row for row in connection.execute("SELECT * FROM jobs")}
        attempts = list(connection.execute("SELECT * FROM attempts"))
    kept = {job["artifact"]: job["checksum"] for job in jobs.values() if job["artifact"]}
    assert found(objectstore) == kept
    assert list((folder / "instance" / "staged").iterdir()) == []
    everything_has_ended(jobs.values(), attempts)
    one_file_at_most(jobs, attempts)
    promises_were_kept(folder, jobs)


def found(objectstore):
    """Give the sha256 of every object but the marker of the prefix itself, by its key."""
    keys = [each["Key"] for each in objectstore.client.list_objects_v2(Bucket=BUCKET).get("Contents", [])]
    read = {key: objectstore.client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}
    return {
        key.removeprefix("team/"): hashlib.sha256(data).hexdigest()
        for key, data in read.items()
        if key != "team/"
    }


def test_a_life_without_a_fault_reaches_every_place(folder, objectstore):
    assert live(folder, "everything in a bucket") == 0, (folder / "stderr").read_text()
    assert set(PLACES) <= set(trace(folder))
    come_back(folder, objectstore)


@pytest.mark.parametrize("place", PLACES)
def test_a_server_killed_at_any_place_comes_back_whole(folder, objectstore, place):
    assert live(folder, "everything in a bucket", Plan(what="kill", place=place)) == KILLED
    if place in {"uploaded", "after_upload", "before_complete"}:
        assert len(found(objectstore)) == 1, "nothing was there to be swept"
    come_back(folder, objectstore)


@pytest.mark.parametrize("place", sorted(BUCKET_PLACES))
@pytest.mark.parametrize("what", ["full disk", "no memory"])
def test_a_fault_at_any_place_leaves_the_server_whole(folder, objectstore, place, what):
    assert what in FAULTS
    assert live(folder, "everything in a bucket", Plan(what=what, place=place)) == 0
    come_back(folder, objectstore)


@pytest.fixture
def make_store(tmp_path, monkeypatch):
    monkeypatch.setattr(objects, "UPLOAD_AGAIN_SECONDS", (0.0,))

    def make(url):
        limits = StoreLimits(min_free=0, max_file=None)
        return S3Store(Bucket(parse_s3_url(url)), tmp_path / "staged", limits)

    return make


def publish(store, data):
    staged = store.stage(KEY)
    try:
        staged.write(data)
        return staged.publish()
    finally:
        staged.discard()


def read(store, finished):
    with store.open(KEY, size=finished.size, sha256=finished.sha256, tag=finished.tag) as file:
        return file.read()


def test_a_connection_that_is_cut_in_the_middle_of_an_upload_is_made_anew(make_store, objectstore):
    data = bytes(range(256)) * 50_000  # more than one part
    with Cutter(objectstore.endpoint, after=3_000_000, times=2) as cutter:
        store = make_store(objectstore.url("team", endpoint_override=cutter.endpoint))
        finished = publish(store, data)
        assert cutter.cut == 2
        assert read(store, finished) == data


def test_an_upload_that_is_always_cut_leaves_nothing(make_store, objectstore):
    with Cutter(objectstore.endpoint, after=3_000_000, times=10**6) as cutter:
        store = make_store(objectstore.url("team", endpoint_override=cutter.endpoint))
        with pytest.raises(StoreAway, match="NETWORK_CONNECTION"):
            publish(store, b"x" * 12_000_000)
    assert found(objectstore) == {}


def test_a_store_that_refuses_connections_is_away(make_store, objectstore):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    store = make_store(f"s3://{BUCKET}/team?endpoint_override=http://127.0.0.1:{port}")
    with pytest.raises(StoreAway, match="NETWORK_CONNECTION during HeadBucket"):
        store.prepare()


@pytest.mark.parametrize("arrived", [b"abc", b"abcdefghX", b""])
def test_what_did_not_arrive_whole_is_sent_again(make_store, objectstore, arrived):
    def damage():
        objectstore.client.put_object(Bucket=BUCKET, Key=f"team/{KEY}", Body=arrived)

    store = make_store(objectstore.url("team"))
    with doing("uploaded", damage) as reached:
        finished = publish(store, b"abcdefghi")
    assert reached.count("uploaded") == 2
    assert read(store, finished) == b"abcdefghi"


def test_what_never_arrives_whole_is_not_published(make_store, objectstore):
    def damage():
        objectstore.client.delete_object(Bucket=BUCKET, Key=f"team/{KEY}")

    store = make_store(objectstore.url("team"))
    with doing("uploaded", damage, times=99), pytest.raises(StoreAway, match="did not arrive whole"):
        publish(store, b"abcdefghi")
    assert found(objectstore) == {}


def test_an_upload_that_is_given_up_in_the_middle_leaves_no_short_object(make_store, objectstore):
    store = make_store(objectstore.url("team"))
    second = iter([None, raising(KeyboardInterrupt())])

    def stop(place):
        if place == "upload_part" and (act := next(second)) is not None:
            act()

    with probing(stop), pytest.raises(KeyboardInterrupt):
        publish(store, b"x" * (PART + 5))
    assert found(objectstore) == {}
    assert "Uploads" not in objectstore.client.list_multipart_uploads(Bucket=BUCKET)


def test_an_etag_that_says_nothing_is_made_up_for_by_reading(make_store, objectstore):
    """As where the bucket encrypts by KMS."""
    store = make_store(objectstore.url("team"))
    with objectstore.renaming_etags():
        objectstore.requests.clear()
        finished = publish(store, b"abcdefghi")
        assert len(objectstore.asked("GET")) == 1
        objectstore.requests.clear()
        assert read(store, finished) == b"abcdefghi"
        assert len(objectstore.asked("GET")) == 1
        with doing("uploaded", lambda: damage(objectstore)) as reached:
            publish(store, b"abcdefghi")
        assert reached.count("uploaded") == 2


def damage(objectstore):
    objectstore.client.put_object(Bucket=BUCKET, Key=f"team/{KEY}", Body=b"abcdefghX")


def test_an_answer_that_breaks_off_is_no_short_file(make_store, objectstore):
    store = make_store(objectstore.url("team"))
    finished = publish(store, b"x" * 100_000)

    def broken(environ, start):
        if environ["REQUEST_METHOD"] != "GET":
            return None
        start(
            "206 Partial Content", [("Content-Length", "100000"), ("Content-Range", "bytes 0-99999/100000")]
        )
        return [b"x" * 500]

    with store.open(KEY, size=finished.size, sha256=finished.sha256, tag=finished.tag) as file:
        with objectstore.failing(broken), pytest.raises(StoreAway):
            file.read()
        file.seek(0)
        assert len(file.read()) == 100_000
