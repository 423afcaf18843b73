"""Several connections see one snapshot, end together and leave nothing behind."""

import threading
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from exporter.failures import ExportFailed, QueryFailed, QueryTimeout, SourceBusy
from exporter.sources.sqlite import parts
from exporter.sources.sqlite.session import Session
from exporter.sources.sqlite.snapshot import Snapshot
from tests.sources.reading import fill, limits, make_file, open_file
from tests.sources.test_sqlite_text import by_text, options_of, row_text, table_statement

DEADLINE = 30


@pytest.fixture(params=["wal", "delete"])
def counted(tmp_path, request):
    """A table of 20,000 rows that all hold 0."""
    path = make_file(tmp_path / "a.db", f"PRAGMA journal_mode = {request.param}")
    fill(path, "n INTEGER", [(0,)] * 20_000)
    return path


def csv(asked):
    return row_text(asked.columns, "csv", options_of("csv"))


def values_seen(source):
    asked = table_statement(source)
    return set(by_text(source, asked, csv(asked))[0].split(b"\n"))


def open_files(path):
    """Count descriptors. SQLite keeps one until no connection of the process holds a lock, and uses it again."""
    return sum(str(link.resolve()).startswith(str(path)) for link in Path("/proc/self/fd").iterdir())


def readers():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("exporter-read")]


def test_a_committing_writer_never_shows_in_a_part_of_the_rows(counted):
    done = threading.Event()

    def write():
        with closing(apsw.Connection(str(counted))) as connection:
            while not done.is_set():
                try:
                    connection.execute("UPDATE t SET n = n + 1")
                except apsw.BusyError:
                    continue

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    try:
        while len(seen) < 30:
            try:
                source = open_file(counted, parallel_reads=3)
            except SourceBusy:
                continue
            with closing(source):
                seen.append(values_seen(source))
    finally:
        done.set()
        writer.join(DEADLINE)
    assert all(len(values) == 1 for values in seen)


def test_a_file_that_changed_since_the_snapshot_is_read_by_one_connection(tmp_path):
    path = make_file(tmp_path / "a.db", "PRAGMA journal_mode = wal")
    fill(path, "n INTEGER", [(0,)] * 5000)
    with closing(open_file(path, parallel_reads=2)) as source:
        make_file(path, "UPDATE t SET n = 1")
        assert values_seen(source) == {b"0"}


def test_companions_are_had_only_while_the_file_is_the_same(tmp_path):
    path = make_file(tmp_path / "a.db", "PRAGMA journal_mode = wal", "CREATE TABLE t(n)")
    with closing(Snapshot(path, limits(tmp_path, parallel_reads=2))) as snapshot:
        assert len(snapshot.companions()) == 2
        make_file(path, "INSERT INTO t VALUES (1)")
        assert snapshot.companions() == []
    with closing(Snapshot(path, limits(tmp_path, parallel_reads=2))) as snapshot:
        make_file(tmp_path / "b.db", "CREATE TABLE t(n)")
        (tmp_path / "b.db").replace(path)
        assert snapshot.companions() == []
    with closing(Snapshot(path, limits(tmp_path, parallel_reads=1))) as snapshot:
        assert snapshot.companions() == []


def test_a_writer_in_waiting_leaves_one_connection_that_reads(tmp_path):
    path = make_file(tmp_path / "a.db", "PRAGMA journal_mode = delete")
    fill(path, "n INTEGER", [(0,)] * 5000)
    with closing(open_file(path, parallel_reads=2)) as source, closing(apsw.Connection(str(path))) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE t SET n = 1")
        with pytest.raises(apsw.BusyError):
            writer.execute("COMMIT")
        assert values_seen(source) == {b"0"}


@pytest.mark.parametrize("connections", [1, 2, 3])
def test_an_interrupt_ends_all_connections(counted, monkeypatch, connections):
    monkeypatch.setattr(parts, "MOST_ROWS", 50)
    source = open_file(counted, parallel_reads=connections)
    asked = table_statement(source)
    reader = source.read_text(asked, csv(asked))
    chunks = reader.chunks()
    next(chunks)
    source.interrupt()
    with pytest.raises(QueryFailed, match="interrupted"):
        list(chunks)
    reader.close()
    assert readers() == []
    with pytest.raises(QueryFailed, match="interrupted"):
        by_text(source, asked, csv(asked))
    source.close()
    assert open_files(counted) == 0


def test_an_interrupt_from_elsewhere_ends_a_part_half_way(tmp_path):
    make_file(
        tmp_path / "a.db",
        "CREATE TABLE t(n INTEGER)",
        "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT i FROM n",
    )
    source = open_file(tmp_path / "a.db", parallel_reads=2)
    asked = table_statement(source)
    reader = source.read_text(asked, csv(asked))
    begun, ended = threading.Event(), threading.Event()

    def read():
        try:
            for _ in reader.chunks():
                begun.set()
        except ExportFailed:
            ended.set()

    thread = threading.Thread(target=read)
    thread.start()
    assert begun.wait(DEADLINE)
    source.interrupt()
    thread.join(DEADLINE)
    reader.close()
    source.close()
    assert ended.is_set()
    assert readers() == []


@pytest.mark.parametrize("taken", [0, 1, 3])
def test_a_reader_that_is_left_early_leaves_no_thread_and_no_connection(counted, monkeypatch, taken):
    monkeypatch.setattr(parts, "MOST_ROWS", 50)
    source = open_file(counted, parallel_reads=3)
    asked = table_statement(source)
    for _ in range(2):
        reader = source.read_text(asked, csv(asked))
        chunks = reader.chunks()
        assert len([next(chunks) for _ in range(taken)]) == taken
        reader.close()
        reader.close()
        assert readers() == []
    assert open_files(counted) <= 3 * (1 + 1 + 3)
    assert values_seen(source) == {b"0"}
    source.close()
    assert open_files(counted) == 0


def test_a_deadline_holds_for_all_connections(counted, monkeypatch):
    monkeypatch.setattr(parts, "MOST_ROWS", 50)
    source = open_file(counted, parallel_reads=2, statement_timeout=0.0)
    asked = table_statement(source)
    with pytest.raises(QueryTimeout):
        by_text(source, asked, csv(asked))
    source.close()
    assert readers() == []


def test_a_session_with_another_ones_watch_ends_with_it(counted):
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    with closing(Session(counted, limits(counted.parent))) as first:
        second = Session(counted, limits(counted.parent), watch=first.watch)
        first.interrupt()
        with closing(second), pytest.raises(QueryFailed, match="interrupted"):
            second.rows(endless)
