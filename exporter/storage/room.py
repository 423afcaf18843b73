"""How much may wait: on the server, and of one user."""

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, select

from exporter.errors import QueueFull, UserQueueFull
from exporter.model import JobStatus
from exporter.storage.tables import JobRow

RETRY_AFTER_SECONDS = 10
PENDING = select(func.count(), func.count().filter(JobRow.owner_id == bindparam("owner_id"))).where(
    JobRow.status == JobStatus.PENDING.value
)


@dataclass(frozen=True, kw_only=True)
class QueueLimits:
    """How many jobs may be pending: on the server, and of one user."""

    server: int
    user: int


def check_room(connection: Connection, owner_id: str, limits: QueueLimits, *, counted: int = 0) -> None:
    """Raise QueueFull or UserQueueFull; `counted` of the pending jobs are the ones that ask for room."""
    of_all, of_owner = connection.execute(PENDING, {"owner_id": owner_id}).one()
    if of_all - counted >= limits.server:
        raise QueueFull(retry_after=RETRY_AFTER_SECONDS)
    if of_owner - counted >= limits.user:
        raise UserQueueFull(retry_after=RETRY_AFTER_SECONDS, limit=limits.user)
