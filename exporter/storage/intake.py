"""Taking in a job: all that its insertion looks at and writes, inside one transaction."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Row, bindparam, delete, insert, select

from exporter.errors import KeyReused
from exporter.model import Job, JobStatus, NewJob
from exporter.storage.audit import add_line
from exporter.storage.jobrows import BY_ID, job_of
from exporter.storage.room import QueueLimits, check_room
from exporter.storage.tables import IdempotencyRow, JobRow
from exporter.storage.transitions import BLANK

ADD = insert(JobRow)
REMEMBER = insert(IdempotencyRow)
REMEMBERED = select(IdempotencyRow.__table__).where(
    IdempotencyRow.user_id == bindparam("owner_id"), IdempotencyRow.key == bindparam("key")
)
RECENT = REMEMBERED.where(IdempotencyRow.created_at >= bindparam("not_before"))
FORGET = delete(IdempotencyRow).where(
    IdempotencyRow.user_id == bindparam("owner_id"), IdempotencyRow.created_at < bindparam("not_before")
)

# From a job that was made to what the audit log says of it.
Line = Callable[[Job], Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class IdempotencyKey:
    """A client's key for one request; `digest` tells requests apart, keys older than `not_before` are forgotten."""

    key: str
    digest: str
    not_before: datetime


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A new job and what comes with it: a key that finds it again, or its id, and the audit log's `line`."""

    new: NewJob
    now: datetime
    limits: QueueLimits
    key: IdempotencyKey | None
    job_id: str | None
    line: Line | None


def take_in(connection: Connection, arrival: Arrival) -> tuple[Job, bool]:
    """Create a pending job, or find the one that was created before. Raises QueueFull, UserQueueFull or KeyReused."""
    earlier = _earlier(connection, arrival)
    if earlier is not None:
        return earlier, False
    check_room(connection, arrival.new.owner_id, arrival.limits)
    values = _values(arrival)
    connection.execute(ADD, values)
    job = job_of(connection.execute(BY_ID, {"job_id": values["id"]}).one())
    if (key := arrival.key) is not None:
        kept = {"key": key.key, "digest": key.digest, "job_id": job.id, "created_at": arrival.now}
        connection.execute(REMEMBER, {"user_id": job.owner_id, **kept})
    if arrival.line is not None:
        add_line(connection, arrival.line(job))
    return job, True


def remembered(connection: Connection, owner_id: str, key: IdempotencyKey) -> Job | None:
    """Find the job that `key` created before. Raises KeyReused."""
    asked = {"owner_id": owner_id, "key": key.key, "not_before": key.not_before}
    earlier = connection.execute(RECENT, asked).one_or_none()
    return _same_request(connection, earlier, key) if earlier is not None else None


def _earlier(connection: Connection, arrival: Arrival) -> Job | None:
    if arrival.job_id is not None:
        known = connection.execute(BY_ID, {"job_id": arrival.job_id}).one_or_none()
        if known is not None:
            return job_of(known)
    if (key := arrival.key) is None:
        return None
    owner_id = arrival.new.owner_id
    connection.execute(FORGET, {"owner_id": owner_id, "not_before": key.not_before})
    earlier = connection.execute(REMEMBERED, {"owner_id": owner_id, "key": key.key}).one_or_none()
    return _same_request(connection, earlier, key) if earlier is not None else None


def _same_request(connection: Connection, earlier: Row[Any], key: IdempotencyKey) -> Job:
    row = connection.execute(BY_ID, {"job_id": earlier.job_id}).one()
    if earlier.digest != key.digest:
        raise KeyReused
    return job_of(row)


def _values(arrival: Arrival) -> dict[str, Any]:
    new = arrival.new
    return {
        **BLANK,
        **asdict(new),
        "filters": dict(new.filters),
        "options": dict(new.options),
        "id": arrival.job_id or str(uuid4()),
        "status": JobStatus.PENDING.value,
        "attempt": 0,
        "crashes": 0,
        "created_at": arrival.now,
        "queued_at": arrival.now,
    }
