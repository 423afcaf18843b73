"""What is to be told of a job's end, written in the transaction that ends it: never lost, and never of what was not."""

from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, bindparam, insert, or_, select

from exporter.model import JobStatus
from exporter.outbox import JOB_EVENTS, DeliveryStatus, Event, body_of_job
from exporter.storage.tables import DeliveryRow, JobRow, UserRow, WebhookRow

EVENT_OF = {event.value.removeprefix("job."): event for event in JOB_EVENTS}

# The webhooks of the job's owner that are awake and not narrowed to something else.
LISTENING = (
    select(WebhookRow.id, WebhookRow.events)
    .join(JobRow, JobRow.owner_id == WebhookRow.owner_id)
    .join(UserRow, UserRow.id == WebhookRow.owner_id)
    .where(
        JobRow.id == bindparam("the_job"),
        WebhookRow.is_active,
        UserRow.is_active,
        or_(WebhookRow.schedule_id.is_(None), WebhookRow.schedule_id == JobRow.schedule_id),
        or_(WebhookRow.template_id.is_(None), WebhookRow.template_id == JobRow.template_id),
        or_(WebhookRow.datasource_id.is_(None), WebhookRow.datasource_id == JobRow.datasource_id),
    )
)


def tell(connection: Connection, job_id: str, status: JobStatus, *, now: datetime) -> None:
    """Queue a delivery for each webhook that listens, where this status is an end."""
    event = EVENT_OF.get(status.value)
    if event is None:
        return
    listening = [
        row.id for row in connection.execute(LISTENING, {"the_job": job_id}) if event.value in row.events
    ]
    if listening:
        job = connection.execute(select(JobRow.__table__).where(JobRow.id == job_id)).mappings().one()
        body = body_of_job(dict(job), event, now=now)
        rows = [new_delivery(webhook_id, event, body, job_id=job_id, now=now) for webhook_id in listening]
        connection.execute(insert(DeliveryRow), rows)


def new_delivery(
    webhook_id: str, event: Event, body: str, *, job_id: str | None, now: datetime
) -> dict[str, Any]:
    """Give the row of a delivery that is due at once."""
    return {
        "id": str(uuid4()),
        "webhook_id": webhook_id,
        "event": event.value,
        "job_id": job_id,
        "body": body,
        "status": DeliveryStatus.PENDING.value,
        "attempt": 0,
        "tries": 0,
        "next_at": now,
        "created_at": now,
        "ended_at": None,
    }
