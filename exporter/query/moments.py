"""Days and instants: read from ISO 8601 text, and turned into the bounds of a comparison."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from exporter.query.spec import DateRange, Moment

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CLOCK = r"[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?"
_ZONE = r"(?:[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)"
_INSTANT = re.compile(rf"({_DAY.pattern})[Tt ]({_CLOCK})({_ZONE})?")
_TIME = re.compile(_CLOCK)
SECONDS_TO_10000 = 253_402_300_800
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

EXPECTED = "a date such as 2024-12-31, or a time such as 2024-12-31T10:00:00Z (at most 6 digits of a second)"
EXPECTED_TIME = "a time of day such as 10:30 or 10:30:00.5 (at most 6 digits of a second), with no zone"


@dataclass(frozen=True, kw_only=True)
class Bound:
    """One end of a range of instants. `at` is None where it lies past the year 9999."""

    at: datetime | None
    inclusive: bool


def parse_moment(text: str) -> Moment:
    """Read a day or an instant; one with no zone is in UTC. Raises ValueError."""
    if _DAY.fullmatch(text):
        return date.fromisoformat(text)
    match = _INSTANT.fullmatch(text)
    if match is None:
        raise ValueError(text)
    day, clock, zone = match.groups()
    return _in_utc(datetime.fromisoformat(f"{day}T{clock}{_zone(zone)}"))


def parse_time(text: str) -> time:
    """Read a time of day, which has no zone. Raises ValueError."""
    if not _TIME.fullmatch(text):
        raise ValueError(text)
    return time.fromisoformat(text)


def instant(moment: Moment) -> datetime:
    """Give the first instant of a day, or the instant itself."""
    if isinstance(moment, datetime):
        return moment
    return datetime.combine(moment, time(), UTC)


def lower(moment: Moment) -> Bound:
    return Bound(at=instant(moment), inclusive=True)


def upper(moment: Moment) -> Bound:
    """Give the end of a whole day, excluded, or the instant itself, included."""
    if isinstance(moment, datetime):
        return Bound(at=moment, inclusive=True)
    if moment == date.max:
        return Bound(at=None, inclusive=False)
    return Bound(at=instant(moment + timedelta(days=1)), inclusive=False)


def runs_backwards(span: DateRange) -> bool:
    if span.start is None or span.end is None:
        return False
    end = upper(span.end)
    if end.at is None:
        return False
    start = instant(span.start)
    return start > end.at or (start == end.at and not end.inclusive)


def seconds(at: datetime | None) -> int | float:
    """Count seconds since 1970-01-01 UTC: whole ones as an integer; None is the first moment past the year 9999."""
    if at is None:
        return SECONDS_TO_10000
    whole, part = divmod(at - _EPOCH, timedelta(seconds=1))
    return whole + part.microseconds / 1_000_000 if part else whole


def _zone(text: str | None) -> str:
    return (text or "").upper()


def _in_utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        return at.replace(tzinfo=UTC)
    try:
        return at.astimezone(UTC)
    except OverflowError as exc:
        raise ValueError(at) from exc
