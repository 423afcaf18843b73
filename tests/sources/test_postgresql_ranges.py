"""A table is cut without overlap or gap, and every part is read by exactly one of those who take them."""

import threading
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.failures import QueryFailed, QueryTimeout
from exporter.sources.postgresql.pages import Part, cut
from exporter.sources.postgresql.ranges import LEAST_PATIENCE, PATIENCE, Ranges, overdue
from exporter.sources.watch import Watch

DEADLINE_SECONDS = 60


@given(pages=st.integers(1, 10**10), beside=st.integers(0, 10**13), part=st.integers(1, 10**12))
def test_parts_follow_each_other_from_the_first_page_and_the_last_has_no_end(pages, beside, part):
    size = pages * 8192 + beside
    parts = cut(b"SELECT 1", pages=pages, size=size, part=max(part, size // 1000))
    assert parts[0].start == 0
    assert all(before.end == after.start for before, after in pairwise(parts))
    assert [one.end is None for one in parts] == [False] * (len(parts) - 1) + [True]


def test_a_part_says_where_its_rows_are():
    first, last = cut(b"SELECT 1", pages=2, size=1 << 14, part=8192)
    assert first.sql == b"SELECT 1\nWHERE ctid >= '(0,0)' AND ctid < '(1,0)'"
    assert last.sql == b"SELECT 1\nWHERE ctid >= '(1,0)'"
    assert Part(select=b"SELECT 1").sql == b"SELECT 1"


@pytest.mark.parametrize(
    ("out", "slowest", "expected"),
    [
        ({}, 0.0, None),
        ({"a": 99.9}, 0.0, None),
        ({"a": 100 - LEAST_PATIENCE - 0.1}, 0.0, "a"),
        ({"a": 90, "b": 95}, 1.0, "b"),
        ({"a": 90, "b": 95}, 2.0, "a"),
        ({"a": 100 - 2 * PATIENCE}, 2.0, None),
    ],
)
def test_of_the_late_parts_the_last_one_handed_out_is_read_here(out, slowest, expected):
    assert overdue(out, now=100, slowest=slowest) == expected


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def ranges(count, clock, seconds=3600.0):
    parts = cut(b"SELECT 1", pages=count, size=count * 8192, part=8192)
    return parts, Ranges(parts, Watch(seconds), clock)


def test_what_is_taken_here_is_taken_once_and_ends(clock):
    parts, shared = ranges(3, clock)
    assert [shared.take() for _ in range(4)] == [*parts, None]


def test_what_has_arrived_is_waited_for_no_longer(clock):
    parts, shared = ranges(2, clock)
    assert shared.hand_out() == parts[0]
    assert shared.take() == parts[1]
    assert shared.is_wanted(parts[0])
    assert shared.arrived(parts[0])
    assert not shared.is_wanted(parts[0])
    assert (shared.take(), shared.hand_out()) == (None, None)


def test_what_comes_back_unread_is_read_here(clock):
    parts, shared = ranges(1, clock)
    out = shared.hand_out()
    taken = []
    waiting = threading.Thread(target=lambda: taken.append(shared.take()))
    waiting.start()
    shared.give_back(out)
    waiting.join(DEADLINE_SECONDS)
    assert taken == parts
    assert not shared.arrived(out)


def test_what_stays_out_for_long_is_read_here_and_not_taken_later(clock):
    parts, shared = ranges(2, clock)
    late = shared.hand_out()
    assert shared.take() == parts[1]
    shared.took(2.0)
    clock.now = 2.0 * PATIENCE + 0.1
    assert shared.take() == late
    assert not shared.is_wanted(late)
    assert not shared.arrived(late)
    shared.give_back(late)
    assert shared.take() is None


def test_who_waits_is_let_go_at_the_end(clock):
    _, shared = ranges(1, clock)
    out = shared.hand_out()
    taken = []
    waiting = threading.Thread(target=lambda: taken.append(shared.take()))
    waiting.start()
    shared.stop()
    waiting.join(DEADLINE_SECONDS)
    assert taken == [None]
    assert not shared.is_wanted(out)
    assert not shared.arrived(out)
    assert shared.hand_out() is None


def test_who_waits_hears_of_an_interrupt_and_of_the_time_limit(clock):
    _, shared = ranges(1, clock)
    out = shared.hand_out()
    shared._watch.interrupt()
    with pytest.raises(QueryFailed, match="interrupted"):
        shared.take()
    assert not shared.is_wanted(out)
    _, shared = ranges(1, clock, seconds=0.0)
    shared.hand_out()
    with pytest.raises(QueryTimeout):
        shared.take()
