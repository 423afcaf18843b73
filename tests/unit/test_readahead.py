"""One thread reads, another writes: order, bounds, and an end to both wherever one of them ends."""

import threading

import pytest

from exporter.jobs import readahead
from exporter.jobs.readahead import MAX_BYTES, MAX_PIECES, reading_ahead

DEADLINE = 10


class Fetches:
    """Pieces that are counted as they are fetched; `reached(n)` waits until so many were."""

    def __init__(self, count, *, failure=None, halt_at=None):
        self.count, self.failure, self.halt_at = count, failure, halt_at
        self.fetched, self.threads = 0, set()
        self._changed = threading.Condition()
        self.halted, self.go = threading.Event(), threading.Event()

    def __iter__(self):
        for number in range(self.count):
            with self._changed:
                self.fetched += 1
                self.threads.add(threading.current_thread().name)
                self._changed.notify_all()
            if number == self.halt_at:
                self.halted.set()
                assert self.go.wait(DEADLINE)
                raise OSError("interrupted")
            yield number
        if self.failure:
            raise self.failure

    def reached(self, count):
        with self._changed:
            return self._changed.wait_for(lambda: self.fetched >= count, DEADLINE)


def never():
    pytest.fail("the source was interrupted")


def readers():
    return [thread for thread in threading.enumerate() if thread.name == readahead.THREAD]


def test_pieces_come_in_order_and_from_another_thread():
    source = Fetches(100)
    with reading_ahead(source, size=lambda _: 1, interrupt=never) as pieces:
        assert list(pieces) == list(range(100))
    assert source.threads == {readahead.THREAD}
    assert not readers()


def test_nothing_is_fetched_that_there_is_no_room_for():
    for size, held in ((1, MAX_PIECES), (MAX_BYTES, 1), (MAX_BYTES // 2, 2), (MAX_BYTES - 1, 2)):
        source = Fetches(50)
        with reading_ahead(source, size=lambda _, size=size: size, interrupt=never) as pieces:
            assert source.reached(held)
            assert next(pieces) == 0
            assert source.reached(held + 1)
            for piece in pieces:
                assert source.fetched <= piece + 1 + held
        assert source.fetched == 50


def test_a_failure_of_the_source_comes_behind_the_pieces_before_it():
    taken = []
    source = Fetches(3, failure=ValueError("broken"))
    with (
        pytest.raises(ValueError, match="broken"),
        reading_ahead(source, size=lambda _: 1, interrupt=never) as pieces,
    ):
        taken.extend(pieces)
    assert not taken or taken == [0, 1, 2]
    assert not readers()


def fail(source, failure, *, when, size=1, interrupt=lambda: None, again=()):
    """Take one piece, wait for the source to be so far, and fail."""
    with reading_ahead(source, size=lambda _: size, interrupt=interrupt, again=again) as pieces:
        next(pieces)
        assert when()
        raise failure


def test_a_failure_of_the_writer_interrupts_a_source_that_is_stuck():
    source = Fetches(9, halt_at=2)
    with pytest.raises(RuntimeError, match="disk"):
        fail(source, RuntimeError("disk"), when=lambda: source.halted.wait(DEADLINE), interrupt=source.go.set)
    assert not readers()


def test_a_source_that_waits_for_room_ends_with_its_writer():
    source = Fetches(50)
    with pytest.raises(RuntimeError, match="disk"):
        fail(source, RuntimeError("disk"), when=lambda: source.reached(2), size=MAX_BYTES)
    assert source.fetched <= 3
    assert not readers()


def test_a_block_that_has_enough_ends_the_reading_without_an_interrupt():
    source = Fetches(50)
    with reading_ahead(source, size=lambda _: MAX_BYTES, interrupt=never) as pieces:
        assert next(pieces) == 0
    assert source.fetched <= 3
    assert not readers()


def test_a_source_that_is_read_once_more_is_not_interrupted():
    source = Fetches(50)
    with pytest.raises(LookupError):
        fail(
            source,
            LookupError(),
            when=lambda: source.reached(2),
            size=MAX_BYTES,
            interrupt=never,
            again=(LookupError,),
        )
    assert not readers()


def test_nothing_to_read_is_no_piece():
    with reading_ahead(Fetches(0), size=lambda _: 1, interrupt=never) as pieces:
        assert list(pieces) == []
