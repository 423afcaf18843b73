"""A copy is read in a file's place: whole, private, of one moment, and its owner waits for one step of it at most."""

from contextlib import closing
from datetime import UTC, datetime

import apsw
import pytest

from exporter.failures import DiskFull, SourceBusy, SourceCorrupt, StoreFailed
from exporter.sources.base import Scratch
from exporter.sources.registry import open_source
from exporter.sources.sqlite import copying
from tests.sources.reading import fill, limits, make_file, open_file, read_table, values


@pytest.fixture(autouse=True)
def _small_steps(monkeypatch):
    monkeypatch.setattr(copying, "STEP_BYTES", 16_384)


@pytest.fixture
def written(tmp_path):
    """A file with a rollback journal, of some dozen steps."""
    path = make_file(tmp_path / "a.db")
    fill(path, "n INTEGER, c TEXT", [(n, "x" * 100) for n in range(5000)])
    return path


class Steps:
    """Counts the steps, and does something at each of the first ones."""

    def __init__(self, act=lambda: None, times=0):
        self.act, self.times, self.left = act, times, []

    def __call__(self, more):
        self.left.append(more)
        if self.times > 0:
            self.times -= 1
            self.act()


def copied(path, steps, name="copy"):
    scratch = Scratch(path=path.parent / name, check=steps)
    return open_source(f"sqlite:///{path}", limits(path.parent), scratch)


def numbers(source):
    return [row[0] for row in values(read_table(source, "t")[1])]


def owner_of(path):
    """The connection of a program that waits for nobody."""
    return closing(apsw.Connection(str(path)))


def test_a_copy_holds_every_row_and_only_its_maker_may_read_it(written):
    before, steps = datetime.now(UTC), Steps()
    with closing(copied(written, steps)) as source:
        assert numbers(source) == list(range(5000))
        assert (source.snapshot.copied, source.warnings) == (True, ())
        assert before <= source.snapshot.time <= datetime.now(UTC)
    assert written.with_name("copy").stat().st_mode & 0o777 == 0o600
    assert steps.left[0] == written.stat().st_size
    assert sorted(steps.left, reverse=True) == steps.left
    assert len(steps.left) > 20
    assert {each.name for each in written.parent.iterdir()} == {"a.db", "copy"}


def test_the_owner_commits_while_the_copy_is_read(written):
    with closing(copied(written, Steps())) as source, owner_of(written) as owner:
        owner.execute("DELETE FROM t")
        assert numbers(source) == list(range(5000))
    with closing(open_file(written)), owner_of(written) as owner, pytest.raises(apsw.BusyError):
        owner.execute("INSERT INTO t VALUES (1, '')")


def test_the_owner_commits_between_two_steps_and_the_copy_begins_anew(written):
    with owner_of(written) as owner:
        steps = Steps(lambda: owner.execute("UPDATE t SET n = n + 1"), times=3)
        with closing(copied(written, steps)) as source:
            assert numbers(source) == list(range(3, 5003))


def test_a_file_that_is_always_written_is_given_up_as_busy(written):
    with owner_of(written) as owner:
        steps = Steps(lambda: owner.execute("UPDATE t SET n = n + 1"), times=10**6)
        with pytest.raises(SourceBusy, match="more often than a copy"):
            copied(written, steps)


def test_a_file_that_grows_and_shrinks_between_steps_is_copied_as_it_is_in_the_end(written):
    acts = iter(["DELETE FROM t WHERE n > 10", "VACUUM", "INSERT INTO t SELECT n + 100, c FROM t"])
    with owner_of(written) as owner:
        steps = Steps(lambda: owner.execute(next(acts)), times=3)
        with closing(copied(written, steps)) as source:
            assert numbers(source) == [*range(11), *range(100, 111)]


def test_a_file_in_wal_mode_needs_no_copy_and_gets_none(tmp_path):
    path = make_file(tmp_path / "a.db", "PRAGMA journal_mode = wal", "CREATE TABLE t(n)")
    steps = Steps()
    with closing(copied(path, steps)) as source:
        assert source.snapshot.copied is False
    assert steps.left == []
    assert not path.with_name("copy").exists()


def test_what_a_check_raises_ends_the_copy_at_once(written):
    def full():
        raise DiskFull

    steps = Steps(full, times=1)
    with pytest.raises(DiskFull):
        copied(written, steps)
    assert len(steps.left) == 1


def test_a_copy_that_cannot_be_made_is_a_fault_of_the_store(written):
    with pytest.raises(StoreFailed, match="No such file"):
        copied(written, Steps(), name="nowhere/copy")


def test_a_locked_file_is_busy_and_a_damaged_one_is_found_in_the_copy(written):
    with owner_of(written) as owner:
        owner.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SourceBusy):
            copied(written, Steps())
    with written.open("r+b") as file:
        file.seek(written.stat().st_size // 2 // 4096 * 4096)
        file.write(b"\xff" * 4096)
    with closing(copied(written, Steps())) as source, pytest.raises(SourceCorrupt):
        numbers(source)
