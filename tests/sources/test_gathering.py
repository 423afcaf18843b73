"""Iterators in threads of their own become one, in bounded memory, and end together."""

import threading

import pytest

from exporter.sources.gathering import HELD, Gathering


def counting(name, count):
    def make():
        for number in range(count):
            yield name, number

    return make


def test_all_items_come_and_each_iterators_stay_in_order():
    items = list(Gathering([counting("a", 500), counting("b", 300), counting("c", 0)]).items())
    for name, count in (("a", 500), ("b", 300)):
        assert [number for which, number in items if which == name] == list(range(count))
    assert len(items) == 800


def test_what_an_iterator_raises_comes_after_what_it_gave():
    def failing():
        yield 1
        raise KeyError("broken")

    items = Gathering([failing]).items()
    assert next(items) == 1
    with pytest.raises(KeyError, match="broken"):
        next(items)


def test_no_more_items_are_made_than_may_wait():
    made = []
    stuck = threading.Event()

    def endless():
        while True:
            made.append(None)
            if len(made) == HELD + 2:
                stuck.set()
            yield len(made)

    gathering = Gathering([endless])
    items = gathering.items()
    assert next(items) == 1
    assert stuck.wait(60)
    gathering.close()
    assert len(made) <= HELD + 2
    assert list(items) == []


def test_iterators_are_closed_in_their_own_threads_when_the_reader_leaves():
    closed = []

    def watched():
        try:
            while True:
                yield threading.current_thread().name
        finally:
            closed.append(threading.current_thread().name)

    gathering = Gathering([watched, watched])
    items = gathering.items()
    next(items)
    gathering.close()
    gathering.close()
    assert sorted(closed) == ["exporter-read_0", "exporter-read_1"]


def test_nothing_is_started_before_the_first_item_is_asked_for():
    gathering = Gathering([counting("a", 1)])
    gathering.close()
    assert gathering.items() is not None
