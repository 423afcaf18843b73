"""The one place where a job's status changes: each transition is one guarded UPDATE.

A transition that ends a job also writes, in its own transaction, what is to be told to webhooks.

`attempt` is the fencing token: a worker that froze and wakes up after its job was taken over matches no row.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, case, insert, literal, select, update
from sqlalchemy.sql.elements import ColumnElement

from exporter.model import TRANSITIONS, JobStatus, Outcome, Phase
from exporter.storage.database import Database
from exporter.storage.outbox import tell
from exporter.storage.room import QueueLimits, check_room
from exporter.storage.tables import AttemptRow, JobRow

LOST = "What ran this attempt stopped in the middle of it"

# What a job has not got before it runs; retry clears it and leaves the past in its attempts.
BLANK: Mapping[str, Any] = {
    "phase": Phase.QUEUED,
    "progress": 0,
    "rows_total": None,
    "rows_total_kind": None,
    "row_count": None,
    "file_size": None,
    "file_name": None,
    "checksum": None,
    "artifact": None,
    "artifact_tag": None,
    "warnings": [],
    "receipt": None,
    "error_code": None,
    "error_message": None,
    "worker": None,
    "beat": 0,
    "started_at": None,
    "completed_at": None,
    "stopped_at": None,
    "expires_at": None,
}


def _move(job_id: str | BindParameter[str], to: JobStatus, **values: Any) -> Any:
    allowed = [old.value for old, news in TRANSITIONS.items() if to in news]
    guard: ColumnElement[bool] = JobRow.status.in_(allowed)
    return update(JobRow).where(JobRow.id == job_id, guard).values(status=to.value, **values)


# What every job goes through, built once; END and CLOSE set whatever columns they are given.
CLAIM = _move(
    bindparam("the_job"),
    JobStatus.PROCESSING,
    phase=Phase.READING,
    attempt=JobRow.attempt + 1,
    worker=bindparam("the_worker"),
    beat=0,
    started_at=bindparam("now"),
).returning(JobRow.attempt)
OPEN = insert(AttemptRow)
END = update(JobRow).where(
    JobRow.id == bindparam("the_job"),
    JobRow.attempt == bindparam("the_attempt"),
    JobRow.status == JobStatus.PROCESSING.value,
)
CLOSE = update(AttemptRow).where(
    AttemptRow.job_id == bindparam("the_job"),
    AttemptRow.number == bindparam("the_attempt"),
    AttemptRow.ended_at.is_(None),
)


class JobTransitions:
    """Moves jobs between statuses. A method that returns False or None changed nothing: another was first."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, job_id: str, *, worker: str, now: datetime) -> int | None:
        """Start the next attempt of a pending job; return its number."""
        asked = {"the_job": job_id, "the_worker": worker, "now": now}
        with self._database.write() as connection:
            number = connection.execute(CLAIM, asked).scalar_one_or_none()
            if number is not None:
                connection.execute(OPEN, {"job_id": job_id, "number": number, "started_at": now})
            return number

    def beat(self, job_id: str, attempt: int, **progress: Any) -> bool:
        """Renew the lease and note the progress; False means cancelled or taken over: stop and write nothing.

        A worker that has yet to let go of a cancelled job still renews its lease.
        """
        ours = update(JobRow).where(JobRow.id == job_id, JobRow.attempt == attempt)
        runs = ours.where(JobRow.status == JobStatus.PROCESSING.value)
        lets_go = ours.where(JobRow.status == JobStatus.CANCELLED.value, JobRow.stopped_at.is_(None))
        with self._database.write() as connection:
            if connection.execute(runs.values(beat=JobRow.beat + 1, **progress)).rowcount == 1:
                return True
            connection.execute(lets_go.values(beat=JobRow.beat + 1))
            return False

    def again(
        self,
        job_id: str,
        attempt: int,
        *,
        code: str,
        message: str,
        row_count: int,
        max_attempts: int,
        now: datetime,
    ) -> int | None:
        """End an attempt by a fault that may pass and start the next one in its place; return its number.

        None: there have been enough, or the job is another's by now. The budget is the one of lost workers.
        """
        fresh = {"phase": Phase.QUEUED, "progress": 0, "rows_total": None, "rows_total_kind": None}
        statement = (
            update(JobRow)
            .where(
                JobRow.id == job_id,
                JobRow.attempt == attempt,
                JobRow.status == JobStatus.PROCESSING.value,
                JobRow.crashes + 1 < max_attempts,
            )
            .values(
                attempt=JobRow.attempt + 1,
                crashes=JobRow.crashes + 1,
                row_count=None,
                started_at=now,
                **fresh,
            )
            .returning(JobRow.attempt)
        )
        ending = _Ending(
            outcome=JobStatus.FAILED.value, now=now, code=code, message=message, row_count=row_count
        )
        with self._database.write() as connection:
            number = connection.execute(statement).scalar_one_or_none()
            if number is not None:
                _close_attempt(connection, job_id, attempt, ending, rows=row_count)
                connection.execute(OPEN, {"job_id": job_id, "number": number, "started_at": now})
            return number

    def complete(self, job_id: str, attempt: int, outcome: Outcome, *, now: datetime) -> bool:
        values = {
            "phase": Phase.DONE,
            "progress": 100,
            "artifact": outcome.artifact,
            "artifact_tag": outcome.artifact_tag,
            "file_name": outcome.file_name,
            "file_size": outcome.file_size,
            "checksum": outcome.checksum,
            "row_count": outcome.row_count,
            "rows_total": outcome.row_count,
            "rows_total_kind": "exact",
            "warnings": list(outcome.warnings),
            "receipt": dict(outcome.receipt),
            "expires_at": outcome.expires_at,
            "completed_at": now,
            "stopped_at": now,
        }
        ending = _Ending(outcome=JobStatus.COMPLETED.value, now=now, row_count=outcome.row_count)
        return self._end(job_id, attempt, JobStatus.COMPLETED, values, ending)

    def fail(
        self, job_id: str, attempt: int, *, code: str, message: str, row_count: int, now: datetime
    ) -> bool:
        values = {
            "phase": Phase.DONE,
            "error_code": code,
            "error_message": message,
            "row_count": row_count,
            "completed_at": now,
            "stopped_at": now,
        }
        ending = _Ending(
            outcome=JobStatus.FAILED.value, now=now, code=code, message=message, row_count=row_count
        )
        return self._end(job_id, attempt, JobStatus.FAILED, values, ending)

    def release(self, job_id: str, attempt: int, *, now: datetime) -> bool:
        """Put a running job back in the queue: this server is stopping."""
        return self._end(job_id, attempt, JobStatus.PENDING, BLANK, _Ending(outcome="released", now=now))

    def cancel(self, job_id: str, *, now: datetime) -> bool:
        """Cancel at once; where nothing ran, it has also stopped."""
        stopped = case((JobRow.status == JobStatus.PENDING.value, now), else_=None)
        values = {"phase": Phase.DONE, "completed_at": now, "stopped_at": stopped}
        with self._database.write() as connection:
            statement = _move(job_id, JobStatus.CANCELLED, **values)
            row = connection.execute(statement.returning(JobRow.attempt, JobRow.row_count)).one_or_none()
            if row is not None:
                ending = _Ending(outcome=JobStatus.CANCELLED.value, now=now)
                _close_attempt(connection, job_id, row.attempt, ending, rows=row.row_count)
                tell(connection, job_id, JobStatus.CANCELLED, now=now)
            return row is not None

    def stopped(self, job_id: str, attempt: int, *, now: datetime) -> None:
        """Note that a cancelled job's worker has let go of the database and of its partial file."""
        statement = update(JobRow).where(
            JobRow.id == job_id,
            JobRow.attempt == attempt,
            JobRow.status == JobStatus.CANCELLED.value,
            JobRow.stopped_at.is_(None),
        )
        with self._database.write() as connection:
            connection.execute(statement.values(stopped_at=now))

    def retry(self, job_id: str, *, now: datetime, limits: QueueLimits) -> bool:
        """Raise QueueFull or UserQueueFull."""
        allowed = JobRow.status.in_((JobStatus.FAILED.value, JobStatus.CANCELLED.value))
        statement = _move(job_id, JobStatus.PENDING, **BLANK, crashes=0, queued_at=now).where(allowed)
        with self._database.write() as connection:
            owner_id = connection.execute(statement.returning(JobRow.owner_id)).scalar_one_or_none()
            if owner_id is not None:
                check_room(connection, owner_id, limits, counted=1)
            return owner_id is not None

    def take_over(
        self, job_id: str, attempt: int, *, beat: int, max_attempts: int, message: str, now: datetime
    ) -> JobStatus | None:
        """Take a job from a worker whose beat stood still: back to the queue, or `worker_lost` after enough tries."""
        again = JobRow.crashes + 1 < max_attempts
        lost = {
            "phase": case((again, Phase.QUEUED.value), else_=Phase.DONE.value),
            "status": case((again, JobStatus.PENDING.value), else_=JobStatus.FAILED.value),
            "crashes": JobRow.crashes + 1,
            "progress": case((again, 0), else_=JobRow.progress),
            "worker": None,
            "started_at": case((again, None), else_=JobRow.started_at),
            "row_count": case((again, None), else_=JobRow.row_count),
            "error_code": case((again, None), else_=literal("worker_lost")),
            "error_message": case((again, None), else_=literal(message)),
            "completed_at": case((again, None), else_=now),
            "stopped_at": case((again, None), else_=now),
        }
        statement = (
            update(JobRow)
            .where(
                JobRow.id == job_id,
                JobRow.attempt == attempt,
                JobRow.beat == beat,
                JobRow.status == JobStatus.PROCESSING.value,
            )
            .values(**lost)
            .returning(JobRow.status)
        )
        with self._database.write() as connection:
            rows = _rows_so_far(connection, job_id)
            status = connection.execute(statement).scalar_one_or_none()
            if status is None:
                return None
            ending = _Ending(outcome="worker_lost", now=now, code="worker_lost", message=LOST)
            _close_attempt(connection, job_id, attempt, ending, rows=rows)
            tell(connection, job_id, JobStatus(status), now=now)
            return JobStatus(status)

    def _end(
        self, job_id: str, attempt: int, to: JobStatus, values: Mapping[str, Any], ending: "_Ending"
    ) -> bool:
        changes = {**values, "status": to.value, "the_job": job_id, "the_attempt": attempt}
        with self._database.write() as connection:
            rows = _rows_so_far(connection, job_id) if ending.row_count is None else None
            moved = connection.execute(END, changes).rowcount == 1
            if moved:
                _close_attempt(connection, job_id, attempt, ending, rows=rows)
                tell(connection, job_id, to, now=ending.now)
            return moved


@dataclass(frozen=True, kw_only=True)
class _Ending:
    """How an attempt ended. Without a `row_count` of its own, the last one that was beaten stays."""

    outcome: str
    now: datetime
    code: str | None = None
    message: str | None = None
    row_count: int | None = None


def _rows_so_far(connection: Connection, job_id: str) -> int | None:
    return connection.execute(select(JobRow.row_count).where(JobRow.id == job_id)).scalar_one_or_none()


def _close_attempt(
    connection: Connection, job_id: str, attempt: int, ending: _Ending, *, rows: int | None
) -> None:
    """Write the end of an attempt whose last beat told `rows`."""
    connection.execute(
        CLOSE,
        {
            "the_job": job_id,
            "the_attempt": attempt,
            "outcome": ending.outcome,
            "ended_at": ending.now,
            "error_code": ending.code,
            "error_message": ending.message,
            "row_count": ending.row_count if ending.row_count is not None else rows,
        },
    )
