"""Days and microseconds agree with Python where Python can count, and with PostgreSQL everywhere else."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.sources.postgresql import calendar

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@given(st.dates())
def test_days_agree_with_python(day):
    assert calendar.days(day.isoformat()) == (day - date(1970, 1, 1)).days


@given(st.datetimes(timezones=st.just(UTC)))
def test_microseconds_agree_with_python(moment):
    expected = (moment - EPOCH) // timedelta(microseconds=1)
    spelled = moment.replace(tzinfo=None).isoformat(sep=" ")
    assert calendar.microseconds(spelled) == expected
    assert calendar.microseconds(f"{spelled}+00") == expected


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("0001-01-01 BC", -719528),
        ("0001-12-31 BC", -719163),
        ("4714-11-24 BC", -2440588),
        ("10000-01-01", 2932897),
        ("5874897-12-31", 2145042905),
    ],
)
def test_days_beyond_pythons_years_are_those_that_postgresql_counts(text, days):
    assert calendar.days(text) == days


@pytest.mark.parametrize(
    "text", ["infinity", "-infinity", "", "2024-1-1", "2024-01-01T00:00:00", "x2024-01-01"]
)
def test_what_is_no_date_has_no_number(text):
    assert calendar.days(text) is None
    assert calendar.microseconds(text) is None


def test_a_moment_beyond_64_bits_has_no_number():
    assert calendar.microseconds("294247-01-10 04:00:54.775807") == 2**63 - 1
    assert calendar.microseconds("294247-01-10 04:00:54.775808") is None
