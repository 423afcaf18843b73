"""A few figures about all jobs at once."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select

from exporter.model import JobStatus
from exporter.storage.database import Database
from exporter.storage.tables import JobRow


@dataclass(frozen=True, kw_only=True)
class Overview:
    """`file_bytes` are those of all finished files that are still kept."""

    running: int
    queued: int
    failed: int
    file_bytes: int


def overview(database: Database, *, failed_since: datetime) -> Overview:
    """Count what runs, what waits, and what failed since a moment."""
    live = (
        select(JobRow.status, func.count())
        .where(JobRow.status.in_((JobStatus.PENDING.value, JobStatus.PROCESSING.value)))
        .group_by(JobRow.status)
    )
    failed = select(func.count()).where(
        JobRow.status == JobStatus.FAILED.value, JobRow.completed_at >= failed_since
    )
    kept = select(func.sum(JobRow.file_size)).where(JobRow.artifact.is_not(None))
    with database.read() as connection:
        jobs = {row[0]: row[1] for row in connection.execute(live)}
        return Overview(
            running=jobs.get(JobStatus.PROCESSING.value, 0),
            queued=jobs.get(JobStatus.PENDING.value, 0),
            failed=connection.execute(failed).scalar_one(),
            file_bytes=int(connection.execute(kept).scalar_one() or 0),
        )
