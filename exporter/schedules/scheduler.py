"""Turns what is due into jobs, once each, whoever else is looking and wherever a crash falls.

The job's id is made of the schedule and the time it was due at: a second try, of this server or another, finds the
row there already. Only then does the schedule move on.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from uuid import NAMESPACE_URL, UUID, uuid5
from zoneinfo import ZoneInfo

from exporter.errors import DatabaseAway, DiskLow, ExporterError, Later, OwnerDisabled
from exporter.jobs.requests import JobRequest
from exporter.jobs.service import JobService
from exporter.model import Job, RunOutcome, Schedule, ScheduleRun, User
from exporter.schedules.timetable import Due, Timetable, decide
from exporter.storage.schedules import ScheduleStore

log = logging.getLogger(__name__)

MISSED = "The server did not run at that time"


class Scheduler:
    def __init__(
        self,
        store: ScheduleStore,
        jobs: JobService,
        user_of: Callable[[str], User | None],
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._user_of = user_of
        self._clock = clock

    def tick(self) -> None:
        """Do what has come due. What fails for want of room stays due. Raises DatabaseAway."""
        now = self._clock()
        for schedule in self._store.due(now):
            timetable = Timetable(cron=schedule.cron, zone=ZoneInfo(schedule.timezone))
            if schedule.next_run_at is not None:
                due = decide(timetable, schedule.next_run_at, catch_up=schedule.catch_up, now=now)
                self._meet(schedule, due, now)

    def run_now(self, schedule: Schedule) -> Job:
        """Run out of turn. Raises what a request for the export would."""
        now = self._clock()
        job = self._submit(schedule, now)
        self._store.advance(_run(schedule, now, now, job=job), due_at=None, next_at=None)
        return job

    def _meet(self, schedule: Schedule, due: Due, now: datetime) -> None:
        run = _run(schedule, due.at, now, outcome=RunOutcome.MISSED, error=MISSED)
        if due.run:
            try:
                run = _run(schedule, due.at, now, job=self._submit(schedule, due.at))
            except DatabaseAway:
                raise
            except (Later, DiskLow) as exc:
                log.warning("schedule %s is due but has to wait: %s", schedule.id, exc.message)
                return
            except ExporterError as exc:
                run = _run(schedule, due.at, now, outcome=RunOutcome.REFUSED, error=exc.line)
        if self._store.advance(run, due_at=due.at, next_at=due.next_at):
            log.info("schedule %s %s: job=%s %s", schedule.id, run.outcome, run.job_id, run.error or "")

    def _submit(self, schedule: Schedule, due_at: datetime) -> Job:
        owner = self._user_of(schedule.owner_id)
        if owner is None or not owner.is_active:
            raise OwnerDisabled
        request = JobRequest(**{"name": schedule.name, **schedule.export})
        job_id = str(_job_id(schedule, due_at))
        return self._jobs.submit(request, owner, job_id=job_id, schedule_id=schedule.id)[0]


def _job_id(schedule: Schedule, due_at: datetime) -> UUID:
    return uuid5(NAMESPACE_URL, f"exporter:schedule:{schedule.id}:{due_at.isoformat()}")


def _run(
    schedule: Schedule,
    due_at: datetime,
    now: datetime,
    *,
    job: Job | None = None,
    outcome: RunOutcome = RunOutcome.SUBMITTED,
    error: str | None = None,
) -> ScheduleRun:
    run = ScheduleRun(
        schedule_id=schedule.id, due_at=due_at, started_at=now, outcome=outcome, job_id=None, error=error
    )
    return replace(run, job_id=job.id) if job is not None else run
