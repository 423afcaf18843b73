"""How much may wait: on the server, and of one user."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from exporter.errors import QueueFull, UserQueueFull
from exporter.model import JobStatus
from exporter.storage.tables import JobRow

RETRY_AFTER_SECONDS = 10


@dataclass(frozen=True, kw_only=True)
class QueueLimits:
    """How many jobs may be pending: on the server, and of one user."""

    server: int
    user: int


def check_room(connection: Connection, owner_id: str, limits: QueueLimits, *, counted: int = 0) -> None:
    """Raise QueueFull or UserQueueFull; `counted` of the pending jobs are the ones that ask for room."""
    own = func.count().filter(JobRow.owner_id == owner_id)
    pending = select(func.count(), own).where(JobRow.status == JobStatus.PENDING.value)
    of_all, of_owner = connection.execute(pending).one()
    if of_all - counted >= limits.server:
        raise QueueFull(retry_after=RETRY_AFTER_SECONDS)
    if of_owner - counted >= limits.user:
        raise UserQueueFull(retry_after=RETRY_AFTER_SECONDS, limit=limits.user)
