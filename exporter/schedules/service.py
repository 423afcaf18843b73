"""What people do with schedules: make, change, look, run out of turn."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from exporter.errors import Invalid, ScheduleNotFound
from exporter.jobs.requests import JobRequest, RequestChecker
from exporter.model import Page, Schedule, ScheduleRun, User
from exporter.naming import NAME_RULE, is_name
from exporter.schedules.timetable import Timetable, is_cron
from exporter.storage.schedules import RUNS_KEPT, ScheduleStore

CRON_RULE = "Must be a cron line of five fields (minute hour day month weekday), such as 0 6 * * 1-5"
ZONE_RULE = "Must be a time zone such as Europe/Berlin or UTC"
NEVER = "This line never comes true"


@dataclass(frozen=True, kw_only=True)
class ScheduleValues:
    """What its owner says of a schedule. `export` is a request for an export, as it was sent."""

    name: str
    cron: str
    timezone: str
    catch_up: bool = False
    is_active: bool = True
    export: Mapping[str, Any] = field(default_factory=dict)


class ScheduleService:
    def __init__(self, store: ScheduleStore, checker: RequestChecker, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._checker = checker
        self._clock = clock

    def create(
        self, values: ScheduleValues, user: User, *, faults: Mapping[str, Any] | None = None
    ) -> Schedule:
        """`faults` are those of the request's shape: all are raised at once. Raises Invalid, NameTaken."""
        return self._store.create(
            {**self._checked(values, user, faults), "owner_id": user.id}, now=self._clock()
        )

    def change(
        self,
        schedule: Schedule,
        values: ScheduleValues,
        user: User,
        *,
        faults: Mapping[str, Any] | None = None,
    ) -> Schedule:
        """Replace everything; the next time is reckoned from now. Raises Invalid, NameTaken.

        A request that no longer fits may rest: nobody makes it then.
        """
        rests = not values.is_active and dict(values.export) == dict(schedule.export)
        checked = self._checked(values, user, faults, export_too=not rests)
        return self._store.update(schedule.id, checked, now=self._clock())

    def get(self, schedule_id: str, user: User) -> Schedule:
        """Raise ScheduleNotFound, also for somebody else's."""
        found = self._store.get(schedule_id)
        if found is None or not (user.is_admin or found.owner_id == user.id):
            raise ScheduleNotFound
        return found

    def named(self, name: str, user: User) -> Schedule:
        """Find one of the user's own by name, or by id. Raises ScheduleNotFound."""
        found = self._store.named(name, user.id)
        return found if found is not None else self.get(name, user)

    def page(self, user: User, *, number: int, size: int) -> Page[Schedule]:
        return self._store.page(None if user.is_admin else user.id, number=number, size=size)

    def runs(self, schedule: Schedule, *, limit: int = RUNS_KEPT) -> list[ScheduleRun]:
        """Give the last ones, newest first."""
        return self._store.runs(schedule.id, limit=limit)

    def upcoming(self, cron: str, timezone: str, *, count: int) -> list[datetime]:
        """Give the next times of a line on a zone's clock; fewer where there are no more. Raises Invalid."""
        faults = _timing_faults(cron, timezone)
        if faults:
            raise Invalid(faults)
        timetable = Timetable(cron=cron, zone=ZoneInfo(timezone))
        found: list[datetime] = []
        following = timetable.after(self._clock())
        while following is not None and len(found) < count:
            found.append(following)
            following = timetable.after(following)
        return found

    def delete(self, schedule: Schedule) -> None:
        """Delete it with its list of runs; its jobs stay."""
        self._store.delete(schedule.id)

    def _checked(
        self,
        values: ScheduleValues,
        user: User,
        faults: Mapping[str, Any] | None,
        *,
        export_too: bool = True,
    ) -> dict[str, Any]:
        found = dict(faults or {})
        if export_too or "export" in found:
            self._check_export(values, user, found)
        if not is_name(values.name):
            found.setdefault("name", NAME_RULE)
        found = {**_timing_faults(values.cron, values.timezone), **found}
        next_at = None
        if not {"cron", "timezone"} & found.keys():
            next_at = self._next(values)
            if next_at is None:
                found["cron"] = NEVER
        if found:
            raise Invalid(found)
        return {
            "name": values.name,
            "cron": values.cron,
            "timezone": values.timezone,
            "catch_up": values.catch_up,
            "is_active": values.is_active,
            "export": dict(values.export),
            "next_run_at": next_at,
        }

    def _check_export(self, values: ScheduleValues, user: User, faults: dict[str, Any]) -> None:
        shape = faults.pop("export", None)
        try:
            self._checker.check(JobRequest(**values.export), user, faults=shape)
        except Invalid as exc:
            faults["export"] = exc.errors

    def _next(self, values: ScheduleValues) -> datetime | None:
        return Timetable(cron=values.cron, zone=ZoneInfo(values.timezone)).after(self._clock())


def _timing_faults(cron: str, timezone: str) -> dict[str, Any]:
    faults = {} if is_cron(cron) else {"cron": CRON_RULE}
    return faults if timezone in available_timezones() else {**faults, "timezone": ZONE_RULE}
