"""The jobs' rows: inserting, finding, listing and deleting them. Status changes live in `transitions`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from sqlalchemy import Select, bindparam, delete, func, null, select, update
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.elements import ColumnElement

from exporter.model import Attempt, Job, JobStatus, NewJob, Page
from exporter.storage.database import Database, IntegrityError, offset_of
from exporter.storage.intake import Arrival, IdempotencyKey, Line, remembered, take_in
from exporter.storage.jobrows import ATTEMPTS, BY_ID, job_of, jobs_of
from exporter.storage.room import QueueLimits
from exporter.storage.tables import JobRow, UserRow

NEWEST = 5  # jobs that tell how fast the next one will be
ORDERINGS: Mapping[str, InstrumentedAttribute[Any]] = MappingProxyType(
    {
        "created_at": JobRow.created_at,
        "completed_at": JobRow.completed_at,
        "status": JobRow.status,
        "format": JobRow.format,
        "row_count": JobRow.row_count,
        "file_size": JobRow.file_size,
    }
)
LISTED = tuple(
    null().label(column.name) if column.name == "receipt" else column for column in JobRow.__table__.columns
)


@dataclass(frozen=True, kw_only=True)
class JobQuery:
    """What a list of jobs asks for. `owner_id` None means everybody's; `search` is literal text."""

    owner_id: str | None = None
    status: str | None = None
    format: str | None = None
    datasource_id: str | None = None
    search: str | None = None
    ordering: str = "-created_at"
    page: int = 1
    page_size: int = 20


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """The oldest waiting job of one user."""

    job_id: str
    owner_id: str
    queued_at: datetime


@dataclass(frozen=True, kw_only=True)
class Lease:
    """What the reaper watches of a running job."""

    job_id: str
    attempt: int
    beat: int
    worker: str | None


@dataclass(frozen=True, kw_only=True)
class Tally:
    """How many jobs have one status, and when the oldest of them was queued."""

    jobs: int
    oldest: datetime


def _first_of_each(*chosen: ColumnElement[bool]) -> Select[Any]:
    """Choose the oldest pending job of each user, but for those that are left out."""
    oldest = (
        select(JobRow.id, JobRow.queued_at)
        .where(JobRow.owner_id == UserRow.id, JobRow.status == JobStatus.PENDING.value, NOT_LEFT_OUT, *chosen)
        .order_by(JobRow.queued_at, JobRow.id)
        .limit(1)
    )
    first_of = [oldest.with_only_columns(each).scalar_subquery() for each in (JobRow.id, JobRow.queued_at)]
    return select(UserRow.id, *first_of)


NOT_LEFT_OUT = JobRow.id.not_in(bindparam("left_out", expanding=True))
WAITING = _first_of_each()
RUNNING = (
    select(JobRow.owner_id, func.count())
    .where(JobRow.status == JobStatus.PROCESSING.value, NOT_LEFT_OUT)
    .group_by(JobRow.owner_id)
)


class JobStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    def insert(
        self,
        new: NewJob,
        *,
        now: datetime,
        limits: QueueLimits,
        key: IdempotencyKey | None = None,
        job_id: str | None = None,
        line: Line | None = None,
    ) -> tuple[Job, bool]:
        """Create a pending job, or find the one that `key` or `job_id` created before; say which (True: created).

        The audit log's `line` of a created one is written in its transaction. Raises QueueFull, UserQueueFull or
        KeyReused, and then leaves no trace.
        """
        arrival = Arrival(new=new, now=now, limits=limits, key=key, job_id=job_id, line=line)
        try:
            return self._take_in(arrival)
        except IntegrityError:
            if key is None and job_id is None:
                raise
            return self._take_in(arrival)  # an equal request was a moment earlier

    def _take_in(self, arrival: Arrival) -> tuple[Job, bool]:
        with self._database.write() as connection:
            return take_in(connection, arrival)

    def remembered(self, user_id: str, key: IdempotencyKey) -> Job | None:
        """Find the job that `key` created before. Raises KeyReused."""
        with self._database.read() as connection:
            return remembered(connection, user_id, key)

    def get(self, job_id: str) -> Job | None:
        with self._database.read() as connection:
            row = connection.execute(BY_ID, {"job_id": job_id}).one_or_none()
            return job_of(row) if row is not None else None

    def with_attempts(self, job_id: str) -> tuple[Job, tuple[Attempt, ...]] | None:
        with self._database.read() as connection:
            row = connection.execute(BY_ID, {"job_id": job_id}).one_or_none()
            if row is None:
                return None
            attempts = connection.execute(ATTEMPTS, {"job_id": job_id}).mappings()
            return job_of(row), tuple(
                Attempt(**{name: value for name, value in each.items() if name != "job_id"})
                for each in attempts
            )

    def page(self, query: JobQuery) -> Page[Job]:
        """List jobs, without their receipts: those may be long, and no list shows them."""
        chosen = _chosen(query)
        ordered = chosen.order_by(*_ordering(query.ordering))
        window = ordered.limit(query.page_size).offset(offset_of(query.page, query.page_size))
        with self._database.read() as connection:
            total = connection.execute(_chosen(query, select(func.count()))).scalar_one()
            items = jobs_of(connection, connection.execute(window))
        return Page(items=items, number=query.page, size=query.page_size, total=total)

    def delete(self, job_id: str) -> Job | None:
        """Delete a job that does not run; return what it was, or None if it ran or was gone."""
        with self._database.write() as connection:
            idle = JobRow.status != JobStatus.PROCESSING.value
            statement = delete(JobRow).where(JobRow.id == job_id, idle).returning(*JobRow.__table__.columns)
            row = connection.execute(statement).one_or_none()
            return job_of(row) if row is not None else None

    def waiting(
        self, *, leaving_out: Sequence[str] = (), only: frozenset[str] | None = None
    ) -> list[Waiting]:
        """Give each user's oldest pending job, among `only` if given.

        One look into the index for each user: what else waits, however many, is not read.
        """
        statement = WAITING if only is None else _first_of_each(JobRow.id.in_(sorted(only)))
        with self._database.read() as connection:
            rows = connection.execute(statement, {"left_out": leaving_out})
            return [
                Waiting(job_id=job, owner_id=owner, queued_at=queued)
                for owner, job, queued in rows
                if job is not None
            ]

    def running_per_owner(self, *, leaving_out: Sequence[str] = ()) -> dict[str, int]:
        with self._database.read() as connection:
            rows = connection.execute(RUNNING, {"left_out": leaving_out})
            return {row[0]: row[1] for row in rows}

    def leases(self) -> list[Lease]:
        """Give the running jobs' leases."""
        return self._leases(JobRow.status == JobStatus.PROCESSING.value)

    def letting_go(self) -> list[Lease]:
        """Give the leases of cancelled jobs whose worker has not let go yet."""
        return self._leases(JobRow.status == JobStatus.CANCELLED.value, JobRow.stopped_at.is_(None))

    def _leases(self, *chosen: ColumnElement[bool]) -> list[Lease]:
        statement = select(JobRow.id, JobRow.attempt, JobRow.beat, JobRow.worker).where(*chosen)
        with self._database.read() as connection:
            rows = connection.execute(statement)
            return [Lease(job_id=r.id, attempt=r.attempt, beat=r.beat, worker=r.worker) for r in rows]

    def tallies(self) -> dict[JobStatus, Tally]:
        """Count the jobs by status; a status without any is left out."""
        statement = select(JobRow.status, func.count(), func.min(JobRow.queued_at)).group_by(JobRow.status)
        with self._database.read() as connection:
            rows = connection.execute(statement)
            return {JobStatus(row[0]): Tally(jobs=row[1], oldest=row[2]) for row in rows}

    def usual_rate(self, datasource_id: str, format_name: str) -> int | None:
        """Give the rows per second of the datasource's newest completed jobs in that format; None without any."""
        statement = (
            select(JobRow.row_count, JobRow.started_at, JobRow.completed_at)
            .where(
                JobRow.datasource_id == datasource_id,
                JobRow.status == JobStatus.COMPLETED.value,
                JobRow.format == format_name,
            )
            .order_by(JobRow.created_at.desc())
            .limit(NEWEST)
        )
        with self._database.read() as connection:
            runs = connection.execute(statement).all()
        seconds = sum((run.completed_at - run.started_at).total_seconds() for run in runs)
        return round(sum(run.row_count for run in runs) / seconds) if seconds > 0 else None

    def busy_with(self, datasource_id: str) -> bool:
        busy = JobRow.status.in_((JobStatus.PENDING.value, JobStatus.PROCESSING.value))
        statement = select(JobRow.id).where(JobRow.datasource_id == datasource_id, busy).limit(1)
        with self._database.read() as connection:
            return connection.execute(statement).first() is not None

    def artifacts(self) -> set[str]:
        """Give the store's keys that rows refer to."""
        with self._database.read() as connection:
            keys = connection.execute(select(JobRow.artifact).where(JobRow.artifact.is_not(None))).scalars()
            return {key for key in keys if key is not None}

    def expired(self, now: datetime) -> list[Job]:
        """Give completed jobs whose file is due to be removed."""
        due = (JobRow.expires_at <= now, JobRow.artifact.is_not(None))
        with self._database.read() as connection:
            return [job_of(row) for row in connection.execute(select(JobRow.__table__).where(*due))]

    def artifact_gone(self, job_id: str, artifact: str, warning: Mapping[str, Any]) -> None:
        """Note, with a warning, that a completed job's file was lost outside of our hands."""
        with self._database.write() as connection:
            row = connection.execute(BY_ID, {"job_id": job_id}).one_or_none()
            if row is not None and row.artifact == artifact:
                values = {"artifact": None, "warnings": [*row.warnings, dict(warning)]}
                connection.execute(update(JobRow).where(JobRow.id == job_id).values(**values))

    def forget_artifact(self, job_id: str, artifact: str) -> None:
        """Note that a job's file is gone; the job itself stays completed."""
        statement = (
            update(JobRow).where(JobRow.id == job_id, JobRow.artifact == artifact).values(artifact=None)
        )
        with self._database.write() as connection:
            connection.execute(statement)

    def settle_stopped(self, *, now: datetime) -> None:
        """Note as stopped all cancelled jobs: no worker exists any more."""
        statement = update(JobRow).where(
            JobRow.status == JobStatus.CANCELLED.value, JobRow.stopped_at.is_(None)
        )
        with self._database.write() as connection:
            connection.execute(statement.values(stopped_at=now))


def _chosen(query: JobQuery, base: Select[Any] | None = None) -> Select[Any]:
    statement = select(*LISTED) if base is None else base.select_from(JobRow)
    pairs = {
        JobRow.owner_id: query.owner_id,
        JobRow.status: query.status,
        JobRow.format: query.format,
        JobRow.datasource_id: query.datasource_id,
    }
    for column, value in pairs.items():
        if value is not None:
            statement = statement.where(column == value)
    if query.search:
        columns = (JobRow.datasource_name, JobRow.error_message, JobRow.name)
        found = [column.icontains(query.search, autoescape=True) for column in columns]
        statement = statement.where(found[0] | found[1] | found[2])
    return statement


def _ordering(ordering: str) -> tuple[Any, ...]:
    """Jobs without the value come last. Where all have it, to say so would keep PostgreSQL from its index."""
    name = ordering.removeprefix("-")
    descending = ordering.startswith("-")
    column = ORDERINGS[name].desc() if descending else ORDERINGS[name].asc()
    if JobRow.__table__.c[name].nullable:
        column = column.nulls_last()
    return column, JobRow.id.desc() if descending else JobRow.id.asc()
