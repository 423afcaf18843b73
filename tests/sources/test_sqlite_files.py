"""Which files may be opened, and what is said of those that cannot."""

import os
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime

import apsw
import pytest
import time_machine

from exporter.failures import NoSuchRelation, SourceBusy, SourceCorrupt, SourceRefused
from exporter.sources.base import Form
from exporter.sources.registry import check_url, open_source
from exporter.sources.sqlite.files import SETTLED_SECONDS, proof_of
from tests.sources.reading import fill, limits, make_file, open_file, read_table, values, whole


@pytest.fixture
def folder(tmp_path):
    """An allowed root, with a neighbour that is not."""
    (tmp_path / "root").mkdir()
    make_file(tmp_path / "outside.db", "CREATE TABLE t(c)")
    return tmp_path / "root"


def refused(folder, name, **changes):
    """Both the check and the opening refuse, with one reason."""
    with pytest.raises(SourceRefused) as checked:
        check_url(f"sqlite:///{name}", limits(folder, **changes))
    with pytest.raises(SourceRefused) as opened:
        open_source(f"sqlite:///{name}", limits(folder, **changes))
    assert str(checked.value) == str(opened.value)
    return str(opened.value)


def test_a_missing_file_is_refused_and_not_made(folder):
    assert "'none.db' does not exist" in refused(folder, "none.db")
    assert list(folder.iterdir()) == []


def test_a_folder_is_refused(folder):
    (folder / "sub.db").mkdir()
    assert "is a folder" in refused(folder, "sub.db")


@pytest.mark.parametrize("name", ["x" * 300, "a.db/x"])
def test_a_path_that_cannot_be_followed_is_refused(folder, name):
    make_file(folder / "a.db", "CREATE TABLE t(c)")
    assert "cannot be reached" in refused(folder, name)


def test_a_pipe_is_refused(folder):
    os.mkfifo(folder / "pipe.db")
    assert "is not a regular file" in refused(folder, "pipe.db")


@pytest.mark.parametrize("name", ["../outside.db", "sub/../../outside.db"])
def test_a_path_out_of_the_roots_is_refused(folder, name):
    (folder / "sub").mkdir()
    assert "outside the folders" in refused(folder, name)


def test_an_absolute_path_out_of_the_roots_is_refused(folder):
    assert "outside the folders" in refused(folder, f"{folder.parent}/outside.db")


def test_whether_a_file_exists_out_of_the_roots_is_not_told(folder):
    assert "outside the folders" in refused(folder, "../none.db")


def test_a_link_out_of_the_roots_is_refused(folder):
    (folder / "link.db").symlink_to(folder.parent / "outside.db")
    assert "outside the folders" in refused(folder, "link.db")


def test_a_link_to_itself_is_refused(folder):
    (folder / "loop.db").symlink_to(folder / "loop.db")
    assert "loop.db" in refused(folder, "loop.db")


def test_a_link_within_the_roots_is_followed(folder, opened):
    make_file(folder / "real.db", "CREATE TABLE t(c)")
    (folder / "link.db").symlink_to(folder / "real.db")
    assert opened(folder / "link.db").relation("t").name == "t"


def test_a_root_that_is_a_link_is_followed(folder, tmp_path):
    make_file(folder / "real.db", "CREATE TABLE t(c)")
    (tmp_path / "way").symlink_to(folder)
    source = open_source("sqlite:///real.db", limits(tmp_path / "way"))
    source.close()


def test_the_servers_own_database_is_refused(folder):
    own = make_file(folder / "own.db", "CREATE TABLE t(c)")
    assert "the server's own database" in refused(folder, "own.db", forbidden_files=frozenset({own}))


def test_the_servers_own_database_is_refused_under_every_name(folder):
    own = make_file(folder / "own.db", "CREATE TABLE t(c)")
    (folder / "soft.db").symlink_to(own)
    (folder / "hard.db").hardlink_to(own)
    for name in ("soft.db", "hard.db", "../root/own.db"):
        assert "the server's own database" in refused(folder, name, forbidden_files=frozenset({own}))


def test_an_own_database_that_is_not_there_forbids_nothing_else(folder):
    make_file(folder / "other.db", "CREATE TABLE t(c)")
    check_url("sqlite:///other.db", limits(folder, forbidden_files=frozenset({folder / "none.db"})))


@pytest.mark.parametrize(
    "content", [b"hello, this is no database\n" * 300, b"SQLite format 4\0" + bytes(4096)]
)
def test_a_file_that_is_no_database_is_refused(folder, content):
    (folder / "text.db").write_bytes(content)
    with pytest.raises(SourceRefused, match="not a SQLite database"):
        open_file(folder / "text.db")


def test_an_empty_file_is_an_empty_database(folder, opened):
    (folder / "empty.db").touch()
    source = opened(folder / "empty.db")
    assert source.relations() == []
    with pytest.raises(NoSuchRelation):
        source.relation("t")


def test_odd_file_names_are_opened(folder):
    for name in ("a b?c#d%41.db", "é日本.db", "mode=rwc&x.db", "quote'\".db"):
        make_file(folder / "plain.db", "CREATE TABLE t(c)").rename(folder / name)
        quoted = name.replace("%", "%25").replace("?", "%3F").replace("#", "%23")
        open_source(f"sqlite:///{quoted}", limits(folder)).close()


def test_a_damaged_page_is_told_apart(folder, opened):
    fill(folder / "a.db", "c TEXT", [(f"{number}" * 50,) for number in range(5000)])
    content = bytearray((folder / "a.db").read_bytes())
    content[4096 * 20 : 4096 * 60] = b"\xff" * (4096 * 40)
    (folder / "a.db").write_bytes(content)
    source = opened(folder / "a.db")
    with pytest.raises(SourceCorrupt, match="damaged"):
        read_table(source, "t")


def test_a_file_cut_short_is_damaged(folder):
    fill(folder / "a.db", "c TEXT", [(f"{number}" * 50,) for number in range(5000)])
    os.truncate(folder / "a.db", 4096 * 10)
    with pytest.raises(SourceCorrupt):
        read_table(open_file(folder / "a.db"), "t")


def test_a_locked_file_is_busy(folder):
    path = make_file(folder / "a.db", "CREATE TABLE t(c)")
    writer = apsw.Connection(str(path))
    writer.execute("BEGIN EXCLUSIVE")
    with pytest.raises(SourceBusy, match="locked by another program"):
        open_file(path)
    writer.close()


def test_a_file_that_is_unlocked_in_time_is_opened(folder):
    path = make_file(folder / "a.db", "CREATE TABLE t(c)")
    writer = apsw.Connection(str(path))
    writer.execute("BEGIN EXCLUSIVE")
    unlock = threading.Timer(0.1, writer.execute, ["COMMIT"])
    unlock.start()
    open_file(path, busy_timeout=30.0).close()
    unlock.join()
    writer.close()


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_commit_during_a_read_is_not_seen(folder, opened, mode):
    path = folder / "a.db"
    kept = fill(path, "c TEXT", [("x" * 1000,)] * 20_000)
    make_file(path, f"PRAGMA journal_mode = {mode}")
    source = opened(path)
    reader = source.read(whole(source.relation("t")), Form.TEXT)
    batches = reader.batches()
    seen = [next(batches)]
    writer = apsw.Connection(str(path))
    if mode == "wal":
        writer.execute("DELETE FROM t; INSERT INTO t VALUES ('late')")
    else:
        with pytest.raises(apsw.BusyError):
            writer.execute("DELETE FROM t")
    writer.close()
    assert values([*seen, *batches]) == kept
    assert values(read_table(source, "t")[1]) == kept


def test_a_source_sees_what_was_committed_before_it_was_opened(folder, opened):
    path = make_file(folder / "a.db", "PRAGMA journal_mode = wal", "CREATE TABLE t(c)")
    first = opened(path)
    make_file(path, "INSERT INTO t VALUES (1)")
    second = opened(path)
    assert read_table(first, "t")[1] == []
    assert values(read_table(second, "t")[1]) == [(1,)]


def test_a_snapshot_has_its_time_in_utc(folder, opened):
    path = make_file(folder / "a.db", "CREATE TABLE t(c)")
    before = datetime.now(UTC)
    snapshot = opened(path).snapshot
    assert before <= snapshot.time <= datetime.now(UTC)
    assert snapshot.time.tzinfo is UTC
    assert snapshot.id is None


def test_only_a_file_that_makes_its_writers_wait_is_warned_of(folder, opened):
    make_file(folder / "a.db", "CREATE TABLE t(c)")
    make_file(folder / "b.db", "PRAGMA journal_mode = wal", "CREATE TABLE t(c)")
    assert "wait" in " ".join(opened(folder / "a.db").warnings)
    assert opened(folder / "b.db").warnings == ()


def test_reading_leaves_the_file_and_its_folder_as_they_were(folder):
    path = folder / "a.db"
    fill(path, "c TEXT", [("x",)] * 100)
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    source = open_file(path)
    read_table(source, "t")
    source.close()
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert [entry.name for entry in folder.iterdir()] == ["a.db"]


def test_a_file_written_by_another_sqlite_is_read(folder, opened):
    connection = sqlite3.connect(folder / "a.db")
    connection.execute("CREATE TABLE t(c)")
    connection.execute("INSERT INTO t VALUES (1.5)")
    connection.commit()
    connection.close()
    assert values(read_table(opened(folder / "a.db"), "t")[1]) == [(1.5,)]


CRASH = """
import os, sys, apsw
connection = apsw.Connection(sys.argv[1])
connection.execute("PRAGMA cache_size = 1; BEGIN; UPDATE t SET c = 'changed and longer than it was before'")
connection.cache_flush()
os._exit(0)
"""


def test_a_file_left_half_written_by_a_crash_says_how_to_mend_it(folder):
    path = folder / "a.db"
    kept = fill(path, "c TEXT", [("x" * 100,)] * 5000)
    subprocess.run([sys.executable, "-c", CRASH, str(path)], check=True)
    assert path.with_name("a.db-journal").exists()
    with pytest.raises(SourceRefused, match="open it once with that program"):
        open_file(path)
    connection = apsw.Connection(str(path))
    assert connection.execute("SELECT * FROM t").fetchall() == kept
    connection.close()
    open_file(path).close()


def test_a_file_is_proven_unchanged_only_once_its_time_stamps_have_settled(tmp_path):
    """Two writes within the grain of a time stamp would look like one."""
    path = tmp_path / "a.db"
    path.touch()
    assert proof_of(path) is None
    later = path.stat().st_ctime + SETTLED_SECONDS + 1
    with time_machine.travel(later):
        proof = proof_of(path)
        assert proof is not None
        assert proof_of(path) == proof
    path.with_name("a.db-wal").touch()
    with time_machine.travel(later + 60):
        assert proof_of(path) not in {None, proof}


def test_a_file_whose_time_of_change_was_set_by_hand_is_another(tmp_path):
    path = tmp_path / "a.db"
    path.touch()
    kept = path.stat()
    with time_machine.travel(kept.st_ctime + 60):
        proof = proof_of(path)
        while path.stat().st_ctime_ns == kept.st_ctime_ns:  # as long as the file system's clock stands still
            path.write_bytes(b"")
        os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))
        assert path.stat().st_mtime_ns == kept.st_mtime_ns
        assert proof_of(path) != proof
