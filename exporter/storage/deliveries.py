"""The deliveries: taken by one sender at a time, and what came of each sending.

A claim moves `next_at` to the end of a lease and counts `attempt` up. A sender that dies is thereby found, and one that
froze and wakes up after another took its place matches no row.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from exporter.model import Page
from exporter.outbox import Delivery, DeliveryAttempt, DeliveryStatus, Event
from exporter.storage.database import Database, offset_of
from exporter.storage.outbox import new_delivery
from exporter.storage.tables import DeliveryAttemptRow, DeliveryRow, UserRow, WebhookRow

WAITING = (DeliveryStatus.PENDING.value, DeliveryStatus.SENDING.value)


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What came of one sending. `next_at` None: there is no further one."""

    status: DeliveryStatus
    status_code: int | None
    error: str | None
    milliseconds: int
    next_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class DeliveryTally:
    """How many deliveries there are of each status, and when the oldest was made that somebody is to be told of."""

    counts: Mapping[DeliveryStatus, int]
    oldest: datetime | None


class DeliveryStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, webhook_id: str, event: Event, body: str, *, now: datetime, until: datetime) -> Delivery:
        """Make one that no job is the cause of, and claim it at once."""
        row = new_delivery(webhook_id, event, body, job_id=None, now=now)
        taken = {"status": DeliveryStatus.SENDING.value, "attempt": 1, "tries": 1, "next_at": until}
        with self._database.write() as connection:
            connection.execute(insert(DeliveryRow).values(**{**row, **taken}))
            return _begun(connection, row["id"], now)

    def get(self, delivery_id: str) -> Delivery | None:
        with self._database.read() as connection:
            row = connection.execute(_by_id(delivery_id)).one_or_none()
            return _delivery(row) if row is not None else None

    def page(self, webhook_id: str, *, status: str | None, number: int, size: int) -> Page[Delivery]:
        """List the newest first."""
        chosen = [DeliveryRow.webhook_id == webhook_id]
        if status is not None:
            chosen.append(DeliveryRow.status == status)
        ordered = select(DeliveryRow.__table__).where(*chosen)
        ordered = ordered.order_by(DeliveryRow.created_at.desc(), DeliveryRow.id.desc())
        with self._database.read() as connection:
            rows = connection.execute(ordered.limit(size).offset(offset_of(number, size)))
            items = tuple(_delivery(row) for row in rows)
            total = connection.execute(select(func.count()).select_from(DeliveryRow).where(*chosen))
            return Page(items=items, number=number, size=size, total=total.scalar_one())

    def attempts(self, delivery_id: str) -> tuple[DeliveryAttempt, ...]:
        columns = [getattr(DeliveryAttemptRow, name) for name in DeliveryAttempt.__dataclass_fields__]
        statement = select(*columns).where(DeliveryAttemptRow.delivery_id == delivery_id)
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(DeliveryAttemptRow.number)).mappings()
            return tuple(DeliveryAttempt(**row) for row in rows)

    def due(self, now: datetime, *, leaving_out: Collection[str] = ()) -> Delivery | None:
        """Give what has waited longest, but for the webhooks to be left out."""
        statement = (
            _awake(select(DeliveryRow.__table__))
            .where(
                DeliveryRow.status.in_(WAITING),
                DeliveryRow.next_at <= now,
                DeliveryRow.webhook_id.not_in(sorted(leaving_out)),
            )
            .order_by(DeliveryRow.next_at, DeliveryRow.created_at, DeliveryRow.id)
        )
        with self._database.read() as connection:
            row = connection.execute(statement.limit(1)).one_or_none()
            return _delivery(row) if row is not None else None

    def tally(self) -> DeliveryTally:
        """Leave out of the oldest what waits for a webhook that rests."""
        counted = select(DeliveryRow.status, func.count()).group_by(DeliveryRow.status)
        oldest = _awake(select(func.min(DeliveryRow.created_at))).where(DeliveryRow.status.in_(WAITING))
        with self._database.read() as connection:
            counts = {DeliveryStatus(row[0]): row[1] for row in connection.execute(counted)}
            return DeliveryTally(counts=counts, oldest=connection.execute(oldest).scalar_one())

    def claim(self, seen: Delivery, *, now: datetime, until: datetime) -> Delivery | None:
        """Take it for one sending, which is lost after `until`; None if it is another's by now."""
        statement = (
            update(DeliveryRow)
            .where(
                DeliveryRow.id == seen.id,
                DeliveryRow.attempt == seen.attempt,
                DeliveryRow.status.in_(WAITING),
                DeliveryRow.next_at <= now,
            )
            .values(
                status=DeliveryStatus.SENDING.value,
                attempt=DeliveryRow.attempt + 1,
                tries=DeliveryRow.tries + 1,
                next_at=until,
            )
        )
        with self._database.write() as connection:
            if connection.execute(statement).rowcount != 1:
                return None
            return _begun(connection, seen.id, now)

    def record(self, taken: Delivery, sent: Sent, *, now: datetime) -> bool:
        """Write down what came of a sending; False if the delivery is another's by now, or gone."""
        own = (DeliveryRow.id == taken.id, DeliveryRow.attempt == taken.attempt)
        statement = update(DeliveryRow).where(*own, DeliveryRow.status == DeliveryStatus.SENDING.value)
        attempt = update(DeliveryAttemptRow).where(
            DeliveryAttemptRow.delivery_id == taken.id, DeliveryAttemptRow.number == taken.attempt
        )
        told = {"status_code": sent.status_code, "error": sent.error, "milliseconds": sent.milliseconds}
        ended = now if sent.next_at is None else None
        with self._database.write() as connection:
            connection.execute(attempt.values(**told))
            values = {"status": sent.status.value, "next_at": sent.next_at, "ended_at": ended}
            return connection.execute(statement.values(**values)).rowcount == 1

    def queue_again(self, delivery_id: str, *, now: datetime) -> bool:
        """Let it be sent now, with all its tries again; False while it is being sent."""
        idle = DeliveryRow.status != DeliveryStatus.SENDING.value
        statement = update(DeliveryRow).where(DeliveryRow.id == delivery_id, idle)
        values = {"status": DeliveryStatus.PENDING.value, "tries": 0, "next_at": now, "ended_at": None}
        with self._database.write() as connection:
            return connection.execute(statement.values(**values)).rowcount == 1

    def remove_before(self, moment: datetime) -> int:
        """Remove those that ended before; say how many."""
        with self._database.write() as connection:
            return connection.execute(delete(DeliveryRow).where(DeliveryRow.ended_at < moment)).rowcount


def _begun(connection: Connection, delivery_id: str, now: datetime) -> Delivery:
    """Note that a claimed delivery's next sending begins."""
    taken = _delivery(connection.execute(_by_id(delivery_id)).one())
    attempt = {"delivery_id": taken.id, "number": taken.attempt, "started_at": now}
    connection.execute(insert(DeliveryAttemptRow).values(**attempt))
    return taken


def _by_id(delivery_id: str) -> Select[Any]:
    return select(DeliveryRow.__table__).where(DeliveryRow.id == delivery_id)


def _awake(statement: Select[Any]) -> Select[Any]:
    """Choose the deliveries of webhooks that are to be told, now or later."""
    return (
        statement.select_from(DeliveryRow)
        .join(WebhookRow, WebhookRow.id == DeliveryRow.webhook_id)
        .join(UserRow, UserRow.id == WebhookRow.owner_id)
        .where(WebhookRow.is_active, UserRow.is_active)
    )


def _delivery(row: Row[Any]) -> Delivery:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    return Delivery(**{**values, "status": DeliveryStatus(values["status"])})
