"""When a schedule is due: arithmetic on cron lines and time zones, with nothing else in it."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from croniter import croniter
from croniter.croniter import CroniterBadDateError, CroniterError

LATE = timedelta(minutes=10)  # past this a run counts as missed: the server was not there
HOUR = 1  # the field of a cron line
FIELDS = 5
REPEATS = 3  # more than the times a clock that is put back can strike the same minute again


@dataclass(frozen=True, kw_only=True)
class Timetable:
    """A cron line of five fields (or `@daily` and its like) on the clock of a time zone."""

    cron: str
    zone: ZoneInfo

    def after(self, moment: datetime) -> datetime | None:
        """Give the next time, in UTC; None where there is none within 50 years (31 February).

        A time that the clock leaps over in spring comes at the end of the leap. Of a time that it strikes twice in
        autumn only the first counts, unless the line names no hour.
        """
        times = croniter(self.cron, moment.astimezone(self.zone))
        try:
            for _ in range(REPEATS):
                found = times.get_next(datetime)
                if not (found.fold and self._names_hours()):
                    return _utc(found)
        except CroniterBadDateError:
            return None
        return _utc(found)

    def _names_hours(self) -> bool:
        fields = self.cron.split()
        return len(fields) != FIELDS or "*" not in fields[HOUR]


@dataclass(frozen=True, kw_only=True)
class Due:
    """What is to be done about a schedule whose time has come; `at` names the run, `next_at` is None for never."""

    run: bool
    at: datetime
    next_at: datetime | None


def decide(timetable: Timetable, due_at: datetime, *, catch_up: bool, now: datetime) -> Due:
    """Run what is due. What was missed runs once if it is to be caught up with, and not once for each time."""
    return Due(run=catch_up or now - due_at <= LATE, at=due_at, next_at=timetable.after(max(now, due_at)))


def is_cron(line: str) -> bool:
    """Tell whether a line has five valid fields or is one of cron's words; seconds and years are not taken."""
    if len(line.split()) != FIELDS and not line.startswith("@"):
        return False
    try:
        croniter(line)
    except (CroniterError, ValueError):
        return False
    return True


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)
