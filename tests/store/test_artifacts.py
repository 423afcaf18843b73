"""Staging, publishing and losing files."""

import errno
import hashlib
import os
from functools import partial

import pytest

from exporter.errors import ArtifactGone, StoreAway
from exporter.failpoints import probing
from exporter.failures import DiskFull, FileTooLarge, StoreFailed
from exporter.storage import artifacts
from exporter.storage.artifacts import LocalStore
from exporter.storage.staging import StoreLimits

NO_LIMITS = StoreLimits(min_free=0, max_file=None)


@pytest.fixture
def store(tmp_path):
    return LocalStore(tmp_path / "exports", NO_LIMITS)


def test_a_published_file_is_whole_and_its_hash_is_its_own(store):
    staged = store.stage("job-1")
    assert store.keys() == set()
    for part in (b"abc", bytearray(b"def"), memoryview(b"ghi")):
        assert staged.write(part) == 3
    finished = staged.publish()
    assert (finished.size, finished.sha256) == (9, hashlib.sha256(b"abcdefghi").hexdigest())
    assert store.staged() == set()
    with store.open("job-1", size=9, sha256=finished.sha256) as file:
        assert file.read() == b"abcdefghi"


def test_a_folder_that_lost_what_was_kept_in_it_is_no_store_until_it_is_made_one(tmp_path):
    """The mount point of a disk that is away looks like an empty folder."""
    kept = [False]
    store = LocalStore(tmp_path / "exports", NO_LIMITS, kept=lambda: kept[0])
    store.stage("job-1").publish()
    kept[0] = True
    (tmp_path / "exports").rename(tmp_path / "elsewhere")
    (tmp_path / "exports").mkdir()
    for asked in (
        store.prepare,
        store.free_bytes,
        store.has_room,
        store.keys,
        store.staged,
        partial(store.stage, "job-2"),
        partial(store.scratch, "job-2"),
        partial(store.open, "job-1", size=0, sha256=""),
    ):
        with pytest.raises(StoreAway):
            asked()
        assert list((tmp_path / "exports").iterdir()) == []
    store.create()
    assert store.keys() == set()


def test_what_is_remembered_of_files_does_not_grow_without_end(store, monkeypatch):
    """Another process may remove files that this one wrote, and never says so."""
    monkeypatch.setattr(artifacts, "MOST_REMEMBERED", 3)
    finished = [store.stage(f"job-{number}").publish() for number in range(5)]
    assert list(store._whole) == ["job-2", "job-3", "job-4"]
    assert [opened(store, each) for each in finished] == [b""] * 5
    assert len(store._whole) == 3


def test_a_discarded_file_leaves_nothing(store):
    staged = store.stage("job-1")
    staged.write(b"abc")
    staged.discard()
    staged.discard()
    assert store.staged() == store.keys() == set()


@pytest.fixture
def published(store):
    staged = store.stage("job-1")
    staged.write(b"abc")
    return staged.publish()


def opened(store, finished):
    with store.open(finished.key, size=finished.size, sha256=finished.sha256) as file:
        return file.read()


def test_a_file_of_another_size_counts_as_gone(store, published, tmp_path):
    (tmp_path / "exports" / "job-1").write_bytes(b"abcd")
    with pytest.raises(ArtifactGone):
        opened(store, published)


@pytest.mark.parametrize("seen_before", [True, False])
def test_a_file_altered_at_its_size_and_time_counts_as_gone(store, published, tmp_path, seen_before):
    path = tmp_path / "exports" / "job-1"
    times = path.stat()
    path.write_bytes(b"abX")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    asked = store if seen_before else LocalStore(tmp_path / "exports", NO_LIMITS)
    with pytest.raises(ArtifactGone):
        opened(asked, published)


def test_a_file_is_hashed_once_after_a_start_and_again_when_it_was_touched(
    store, published, tmp_path, monkeypatch
):
    hashed = []
    digest = artifacts.digest
    monkeypatch.setattr(artifacts, "digest", lambda file: hashed.append(1) or digest(file))
    assert opened(store, published) == b"abc"
    assert hashed == []
    restarted = LocalStore(tmp_path / "exports", NO_LIMITS)
    for _ in range(2):
        assert opened(restarted, published) == b"abc"
    assert len(hashed) == 1
    (tmp_path / "exports" / "job-1").chmod(0o640)
    assert opened(restarted, published) == b"abc"
    assert len(hashed) == 2


def test_a_file_that_cannot_be_opened_now_is_not_given_up(store, published, monkeypatch):
    def too_many(path, mode):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr(type(store._root), "open", too_many)
        with pytest.raises(StoreAway, match="Too many open files"):
            opened(store, published)
    assert opened(store, published) == b"abc"


def test_a_store_that_is_no_folder_is_away(tmp_path):
    (tmp_path / "exports").write_text("in the way")
    store = LocalStore(tmp_path / "exports", NO_LIMITS)
    for ask in (store.keys, store.staged, store.free_bytes, partial(store.stage, "job-1")):
        with pytest.raises(StoreAway):
            ask()


@pytest.mark.parametrize("key", ["../secret", "a/b", "/etc/passwd", ".staged", "..", ""])
def test_a_key_never_leads_out_of_the_store(store, key):
    with pytest.raises(ArtifactGone):
        store.open(key, size=1, sha256="")


def test_a_file_past_the_limit_is_refused(tmp_path):
    store = LocalStore(tmp_path, StoreLimits(min_free=0, max_file=5))
    staged = store.stage("job-1")
    staged.write(b"12345")
    with pytest.raises(FileTooLarge):
        staged.write(b"6")
    staged.discard()


def test_too_little_free_disk_stops_the_writing(tmp_path):
    store = LocalStore(tmp_path, StoreLimits(min_free=2**62, max_file=None))
    assert not store.has_room()
    staged = store.stage("job-1")
    with pytest.raises(DiskFull):
        staged.write(b"1")
    staged.discard()


@pytest.mark.parametrize("place", ["staging", "before_fsync", "before_rename", "after_rename"])
@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOSPC, DiskFull),
        (errno.EDQUOT, DiskFull),
        (errno.EFBIG, DiskFull),
        (errno.EIO, StoreFailed),
    ],
)
def test_a_disk_that_refuses_is_told_as_such_up_to_the_last_moment(store, number, error, place):
    def refuse(reached):
        if reached == place:
            raise OSError(number, os.strerror(number))

    def write():
        staged = store.stage("job-1")
        try:
            staged.write(b"abc")
            staged.publish()
        finally:
            staged.discard()

    with probing(refuse), pytest.raises(error):
        write()
    assert store.staged() == store.keys() == set()


def test_a_file_that_cannot_be_removed_is_left_to_the_sweep(store, published, monkeypatch):
    def refuse(path, missing_ok):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as patch:
        patch.setattr(type(store._root), "unlink", refuse)
        store.delete("job-1")
    assert store.keys() == {"job-1"}
