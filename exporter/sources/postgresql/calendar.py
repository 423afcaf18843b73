"""Dates and timestamps as PostgreSQL spells them, over its whole range, as counts from 1970-01-01.

Python's and Arrow's own parsers end at the years 1 and 9999; PostgreSQL goes from 4713 BC to 5874897.
"""

import re

MICROSECONDS_PER_DAY = 86_400_000_000
DAYS_PER_ERA = 146_097  # 400 Gregorian years
EPOCH_DAY = 719_468  # days from 0000-03-01 to 1970-01-01
INT64_MAX = (1 << 63) - 1

_SPELLING = re.compile(
    r"(?P<year>\d{4,})-(?P<month>\d\d)-(?P<day>\d\d)"
    r"(?: (?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:\.(?P<fraction>\d{1,6}))?(?:\+00)?)?"
    r"(?P<bc> BC)?"
)


def days(text: str) -> int | None:
    """Count the days of a date; None for what is none, as `infinity`."""
    found = _SPELLING.fullmatch(text)
    return _days(found) if found else None


def microseconds(text: str) -> int | None:
    """Count the microseconds of a timestamp in UTC; None for what is none or is out of 64 bits' range."""
    found = _SPELLING.fullmatch(text)
    if not found:
        return None
    hour, minute, second = (int(found[part] or 0) for part in ("hour", "minute", "second"))
    fraction = int((found["fraction"] or "").ljust(6, "0"))
    seconds = (hour * 60 + minute) * 60 + second
    total = _days(found) * MICROSECONDS_PER_DAY + seconds * 1_000_000 + fraction
    return total if total <= INT64_MAX else None


def _days(found: re.Match[str]) -> int:
    year = 1 - int(found["year"]) if found["bc"] else int(found["year"])
    return days_from_civil(year, int(found["month"]), int(found["day"]))


def days_from_civil(year: int, month: int, day: int) -> int:
    """Count days in the proleptic Gregorian calendar with a year 0 (Howard Hinnant's algorithm of that name)."""
    year -= month <= 2  # noqa: PLR2004 - the count's years begin in March
    era, year_of_era = divmod(year, 400)
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    day_of_era = year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year
    return era * DAYS_PER_ERA + day_of_era - EPOCH_DAY
