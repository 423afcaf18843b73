"""Staging, publishing and losing files."""

import errno
import hashlib
import os

import pytest

from exporter.errors import ArtifactGone, DiskFull, FileTooLarge
from exporter.storage.artifacts import LocalStore, StoreLimits

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
    with store.open("job-1", size=9) as file:
        assert file.read() == b"abcdefghi"


def test_a_discarded_file_leaves_nothing(store):
    staged = store.stage("job-1")
    staged.write(b"abc")
    staged.discard()
    staged.discard()
    assert store.staged() == store.keys() == set()


def test_a_file_of_another_size_counts_as_gone(store):
    staged = store.stage("job-1")
    staged.write(b"abc")
    staged.publish()
    with pytest.raises(ArtifactGone):
        store.open("job-1", size=4)


@pytest.mark.parametrize("key", ["../secret", "a/b", "/etc/passwd", ".staged", "..", ""])
def test_a_key_never_leads_out_of_the_store(store, key):
    with pytest.raises(ArtifactGone):
        store.open(key, size=1)


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


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_told_as_such_even_at_the_last_moment(store, monkeypatch, number):
    staged = store.stage("job-1")
    staged.write(b"abc")

    def full(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFull):
        staged.publish()
    staged.discard()
    assert store.staged() == set()
