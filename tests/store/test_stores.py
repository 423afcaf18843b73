"""What every store of files does, in a folder and in a bucket."""

import hashlib
from dataclasses import dataclass
from uuid import uuid4

import pytest

from exporter.errors import ArtifactGone
from exporter.failures import DiskFull, FileTooLarge
from exporter.storage.artifacts import LocalStore
from exporter.storage.bucket import Bucket
from exporter.storage.objects import S3Store
from exporter.storage.staging import StoreLimits
from exporter.storageurl import parse_s3_url
from tests.objectstore import BUCKET

NO_LIMITS = StoreLimits(min_free=0, max_file=None)
KEY = f"{uuid4()}-1"


@dataclass
class Kind:
    """A store, how to make it anew as a start does, and what a hand may do to its files."""

    make: object
    put: object
    remove: object


@pytest.fixture(params=["folder", "bucket"])
def kind(request, tmp_path):
    if request.param == "folder":
        root = tmp_path / "exports"
        return Kind(
            make=lambda limits=NO_LIMITS: LocalStore(root, limits),
            put=lambda key, data: (root / key).write_bytes(data),
            remove=lambda key: (root / key).unlink(),
        )
    served = request.getfixturevalue("objectstore")
    client = served.client
    address = parse_s3_url(served.url("some/prefix"))
    return Kind(
        make=lambda limits=NO_LIMITS: S3Store(Bucket(address), tmp_path / "staged", limits),
        put=lambda key, data: client.put_object(Bucket=BUCKET, Key=f"some/prefix/{key}", Body=data),
        remove=lambda key: client.delete_object(Bucket=BUCKET, Key=f"some/prefix/{key}"),
    )


@pytest.fixture
def store(kind):
    return kind.make()


def publish(store, data=b"abcdefghi", key=KEY):
    staged = store.stage(key)
    staged.write(data)
    return staged.publish()


def opened(store, finished):
    return store.open(finished.key, size=finished.size, sha256=finished.sha256, tag=finished.tag)


def read(store, finished):
    with opened(store, finished) as file:
        return file.read()


def test_a_published_file_is_whole_and_its_hash_is_its_own(store):
    store.prepare()
    staged = store.stage(KEY)
    assert store.keys() == set()
    for part in (b"abc", bytearray(b"def"), memoryview(b"ghi")):
        assert staged.write(part) == 3
    assert staged.tell() == 9
    finished = staged.publish()
    assert (finished.size, finished.sha256) == (9, hashlib.sha256(b"abcdefghi").hexdigest())
    assert (store.keys(), store.staged()) == ({KEY}, set())
    assert read(store, finished) == b"abcdefghi"


def test_an_empty_file_is_a_file(store):
    assert read(store, publish(store, b"")) == b""


def test_a_discarded_file_leaves_nothing(store):
    staged = store.stage(KEY)
    staged.write(b"abc")
    staged.discard()
    staged.discard()
    assert store.staged() == store.keys() == set()


def test_a_file_is_read_from_any_place(store):
    with opened(store, publish(store)) as file:
        assert file.seek(-3, 2) == 6
        assert file.read() == b"ghi"
        assert file.seek(2) == 2
        assert (file.read(3), file.tell()) == (b"cde", 5)


@pytest.mark.parametrize("started_since", [False, True])
@pytest.mark.parametrize("data", [b"abcdefghX", b"abc", b"abcdefghij", b""])
def test_an_altered_file_counts_as_gone(kind, store, data, started_since):
    finished = publish(store)
    kind.put(KEY, data)
    with pytest.raises(ArtifactGone):
        opened(kind.make() if started_since else store, finished)


def test_a_removed_file_is_gone(kind, store):
    finished = publish(store)
    kind.remove(KEY)
    with pytest.raises(ArtifactGone):
        opened(store, finished)


def test_a_file_that_a_hand_put_back_is_whole_again(kind, store):
    finished = publish(store)
    kind.put(KEY, b"abcdefghi")
    assert read(store, finished) == b"abcdefghi"
    assert read(kind.make(), finished) == b"abcdefghi"


def test_a_deleted_file_is_read_to_its_end(store):
    finished = publish(store, data := bytes(range(256)) * 40_000)
    with opened(store, finished) as one, opened(store, finished) as two:
        assert one.read(10) == data[:10]
        store.delete(KEY)
        assert one.read() == data[10:]
        one.close()
        assert two.read() == data
    assert store.keys() == set()
    with pytest.raises(ArtifactGone):
        opened(store, finished)


def test_what_is_not_there_is_deleted_without_a_word(store):
    store.prepare()
    store.delete(KEY)


@pytest.mark.parametrize("key", ["../secret", "a/b", "/etc/passwd", ".staged", "..", ""])
def test_a_key_never_leads_out_of_the_store(store, key):
    with pytest.raises(ArtifactGone):
        store.open(key, size=1, sha256="")


def test_a_file_past_the_limit_is_refused(kind):
    staged = kind.make(StoreLimits(min_free=0, max_file=5)).stage(KEY)
    staged.write(b"12345")
    with pytest.raises(FileTooLarge):
        staged.write(b"6")
    staged.discard()


def test_too_little_free_disk_stops_the_writing(kind):
    store = kind.make(StoreLimits(min_free=2**62, max_file=None))
    assert not store.has_room()
    staged = store.stage(KEY)
    with pytest.raises(DiskFull):
        staged.write(b"1")
    staged.discard()
