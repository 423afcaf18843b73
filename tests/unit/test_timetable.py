"""When a cron line comes true on the clock of a time zone."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.schedules.timetable import LATE, Due, Timetable, decide, is_cron

BERLIN = ZoneInfo("Europe/Berlin")


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def times(cron, start, count, zone=BERLIN):
    table, found = Timetable(cron=cron, zone=zone), [utc(start)]
    for _ in range(count):
        found.append(table.after(found[-1]))
    return [moment.isoformat(" ", "minutes")[:16] for moment in found[1:]]


def test_a_line_is_read_on_the_zones_clock_in_summer_and_winter():
    assert times("0 6 * * *", "2026-03-27 12:00", 3) == [
        "2026-03-28 05:00",
        "2026-03-29 04:00",
        "2026-03-30 04:00",
    ]


def test_a_time_that_the_clock_leaps_over_comes_after_the_leap():
    assert times("30 2 * * *", "2026-03-28 12:00", 2) == ["2026-03-29 01:00", "2026-03-30 00:30"]


def test_a_time_that_the_clock_strikes_twice_counts_once():
    assert times("30 2 * * *", "2026-10-24 12:00", 2) == ["2026-10-25 00:30", "2026-10-26 01:30"]


def test_every_hour_is_every_hour_also_when_the_clock_is_put_back():
    found = times("0 * * * *", "2026-10-24 23:30", 3)
    assert found == ["2026-10-25 00:00", "2026-10-25 01:00", "2026-10-25 02:00"]


def test_a_day_that_never_comes_is_never():
    assert Timetable(cron="0 0 31 2 *", zone=BERLIN).after(utc("2026-01-01")) is None


@pytest.mark.parametrize("line", ["0 6 * * 1-5", "*/15 * * * *", "@daily", "0 0 1,15 * *", "0 6 * * mon"])
def test_lines_that_are_taken(line):
    assert is_cron(line)


@pytest.mark.parametrize(
    "line", ["", "6", "0 6 * *", "* * * * * *", "61 * * * *", "@never", "0 6 * * x", "a b c d e"]
)
def test_lines_that_are_refused(line):
    assert not is_cron(line)


def test_what_is_due_runs_and_the_next_time_lies_ahead():
    table = Timetable(cron="0 6 * * *", zone=ZoneInfo("UTC"))
    at, now = utc("2026-01-01 06:00"), utc("2026-01-01 06:00:04")
    assert decide(table, at, catch_up=False, now=now) == Due(run=True, at=at, next_at=utc("2026-01-02 06:00"))


@pytest.mark.parametrize("catch_up", [True, False])
def test_what_was_missed_for_days_runs_once_or_not_at_all(catch_up):
    table = Timetable(cron="0 6 * * *", zone=ZoneInfo("UTC"))
    due = decide(table, utc("2026-01-01 06:00"), catch_up=catch_up, now=utc("2026-01-09 12:00"))
    assert due == Due(run=catch_up, at=utc("2026-01-01 06:00"), next_at=utc("2026-01-10 06:00"))


def test_a_moment_late_is_not_missed():
    table = Timetable(cron="0 6 * * *", zone=ZoneInfo("UTC"))
    at = utc("2026-01-01 06:00")
    assert decide(table, at, catch_up=False, now=at + LATE).run
    assert not decide(table, at, catch_up=False, now=at + LATE + timedelta(seconds=1)).run


@given(
    st.sampled_from(["*/7 * * * *", "0 * * * *", "30 2 * * *", "15 1,2,3 * * *", "0 0 29 2 *", "@weekly"]),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]),
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)),
)
def test_times_always_go_forward(cron, zone, start):
    table, found = Timetable(cron=cron, zone=ZoneInfo(zone)), [start.replace(tzinfo=UTC)]
    for _ in range(5):
        found.append(table.after(found[-1]))
    assert all(one < other for one, other in pairwise(found))
