"""A job's row as a value, and the statements that find it.

What every request or job asks is built once, with named values: to build a statement costs more than to run it.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, bindparam, case, func, select
from sqlalchemy.orm import aliased

from exporter.model import Job, JobStatus, Phase
from exporter.storage.tables import AttemptRow, JobRow

POSITION = "queue_position"
FIELDS = tuple(name for name in Job.__dataclass_fields__ if name != POSITION)

_other = aliased(JobRow)
_place = (
    select(func.count())
    .where(_other.status == JobStatus.PENDING.value, _other.queued_at <= JobRow.queued_at)
    .correlate(JobRow)
    .scalar_subquery()
)
BY_ID = select(
    JobRow.__table__, case((JobRow.status == JobStatus.PENDING.value, _place), else_=None).label(POSITION)
).where(JobRow.id == bindparam("job_id"))
PLACES = select(JobRow.id, _place.label("place")).where(JobRow.id.in_(bindparam("job_ids", expanding=True)))
ATTEMPTS = (
    select(AttemptRow.__table__).where(AttemptRow.job_id == bindparam("job_id")).order_by(AttemptRow.number)
)


def job_of(row: Row[Any], *, position: int | None = None) -> Job:
    """Read a row; `position` is its place in the queue, where the row does not tell it."""
    known = row._mapping  # noqa: SLF001 - SQLAlchemy's public name
    values = {name: known[name] for name in FIELDS}
    values["status"] = JobStatus(values["status"])
    values["phase"] = Phase(values["phase"])
    values["warnings"] = tuple(values["warnings"])
    return Job(**values, queue_position=known.get(POSITION, position))


def jobs_of(connection: Connection, rows: Iterable[Row[Any]]) -> tuple[Job, ...]:
    """Read several rows; of all that wait the place is looked up at once."""
    found = tuple(rows)
    waiting = [row.id for row in found if row.status == JobStatus.PENDING.value]
    counted = connection.execute(PLACES, {"job_ids": waiting}) if waiting else ()
    places = {row.id: row.place for row in counted}
    return tuple(job_of(row, position=places.get(row.id)) for row in found)
