"""A file that is overwritten in place, past SQLite's locks, is found out; what keeps to the locks is not."""

import shutil
from contextlib import closing

import apsw
import pytest

from exporter.failures import SourceOverwritten
from tests.sources.reading import fill, make_file, open_file, read_table, values


def table(path, mode, number):
    make_file(path, f"PRAGMA journal_mode = {mode}")
    fill(path, "n INTEGER", [(number,)] * 20_000)
    with closing(apsw.Connection(str(path))) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@pytest.mark.parametrize("mode", ["delete", "truncate", "persist", "wal"])
def test_a_file_overwritten_under_its_reader_is_found_out(tmp_path, mode):
    path, other = table(tmp_path / "a.db", mode, 1), table(tmp_path / "b.db", mode, 2)
    with closing(open_file(path)) as source:
        source.confirm()
        shutil.copyfile(other, path)
        with pytest.raises(SourceOverwritten):
            source.confirm()
    with closing(open_file(path)) as source:
        assert set(values(read_table(source, "t")[1])) == {(2,)}
        source.confirm()


def test_a_writer_in_wal_mode_and_its_checkpoints_are_no_fault(tmp_path):
    """Also where the log was not empty at the start, so that a checkpoint may write to the file meanwhile."""
    path = table(tmp_path / "a.db", "wal", 1)
    with closing(apsw.Connection(str(path))) as owner:
        for _ in range(2):  # with an empty log, then with a full one
            with closing(open_file(path)) as source:
                owner.execute("UPDATE t SET n = n + 1")
                for kind in ("PASSIVE", "FULL"):
                    owner.execute(f"PRAGMA wal_checkpoint({kind})").fetchall()
                assert len(set(values(read_table(source, "t")[1]))) == 1
                source.confirm()


def test_a_checkpoint_of_older_changes_during_the_reading_is_no_fault(tmp_path):
    path = table(tmp_path / "a.db", "wal", 1)
    with closing(apsw.Connection(str(path))) as owner:
        owner.execute("UPDATE t SET n = 2")
        with closing(open_file(path)) as source:
            before = path.stat().st_mtime_ns
            owner.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            assert path.stat().st_mtime_ns != before
            assert set(values(read_table(source, "t")[1])) == {(2,)}
            source.confirm()


def test_a_writer_that_waits_for_the_reader_is_no_fault(tmp_path):
    path = table(tmp_path / "a.db", "delete", 1)
    with closing(open_file(path)) as source, closing(apsw.Connection(str(path))) as owner:
        owner.execute("BEGIN; UPDATE t SET n = 2")
        with pytest.raises(apsw.BusyError):
            owner.execute("COMMIT")
        source.confirm()
    assert set(path.parent.iterdir()) == {path}


def test_a_file_that_is_replaced_or_removed_is_no_fault(tmp_path):
    path, other = table(tmp_path / "a.db", "delete", 1), table(tmp_path / "b.db", "delete", 2)
    with closing(open_file(path)) as source:
        other.replace(path)
        source.confirm()
        path.unlink()
        source.confirm()
        assert set(values(read_table(source, "t")[1])) == {(1,)}
