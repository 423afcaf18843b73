"""What other programs are told when a job ends: webhooks, and the deliveries that wait to be sent. Frozen."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from exporter.model import instant

DOWNLOAD_PATH = "/data-tools/api/v1/exports/{job_id}/download/"


class Event(StrEnum):
    COMPLETED = "job.completed"
    FAILED = "job.failed"
    CANCELLED = "job.cancelled"
    TEST = "webhook.test"  # somebody asked for it; nobody listens to it


JOB_EVENTS = (Event.COMPLETED, Event.FAILED, Event.CANCELLED)


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """Where to tell of the ends of its owner's jobs; of those of one schedule, template or datasource, if named.

    Its address may hold a secret of the receiver's, so it is shown to nobody else.
    """

    id: str
    owner_id: str
    owner: str
    name: str
    url: str = field(repr=False)
    secret: str = field(repr=False)
    events: tuple[str, ...]
    schedule_id: str | None
    template_id: str | None
    datasource_id: str | None
    is_active: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One event for one webhook. `body` is sent as it stands; `next_at` is None once it has ended.

    `attempt` counts every sending, `tries` those since it was last queued.
    """

    id: str
    webhook_id: str
    event: str
    job_id: str | None
    body: str
    status: DeliveryStatus
    attempt: int
    tries: int
    next_at: datetime | None
    created_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class DeliveryAttempt:
    """One sending; what is not known is None, as after a crash in its middle."""

    number: int
    started_at: datetime
    status_code: int | None
    error: str | None
    milliseconds: int | None


def body_of_job(job: Mapping[str, Any], event: Event, *, now: datetime) -> str:
    """Tell of a job's end by its row: facts about it, no value of a filter."""
    done = event is Event.COMPLETED
    facts = {
        "job_id": job["id"],
        "name": job["name"],
        "status": job["status"],
        "attempt": job["attempt"],
        "format": job["format"],
        "datasource": {"id": job["datasource_id"], "name": job["datasource_name"]},
        "template": _named(job["template_id"], job["template_name"]),
        "schedule_id": job["schedule_id"],
        "row_count": job["row_count"],
        "file_name": job["file_name"],
        "file_size": job["file_size"],
        "checksum": {"algorithm": "sha256", "value": job["checksum"]} if job["checksum"] else None,
        "error_code": job["error_code"],
        "error_message": job["error_message"],
        **{name: instant(job[name]) for name in ("created_at", "started_at", "completed_at", "expires_at")},
        "download_url": DOWNLOAD_PATH.format(job_id=job["id"]) if done else None,
    }
    return _body(event, facts, now)


def body_of_test(webhook: Webhook, *, now: datetime) -> str:
    return _body(Event.TEST, {"webhook_id": webhook.id, "name": webhook.name}, now)


def _body(event: Event, facts: Mapping[str, Any], now: datetime) -> str:
    told = {"type": event.value, "timestamp": instant(now), "data": facts}
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def _named(object_id: str | None, name: str | None) -> dict[str, Any] | None:
    return {"id": object_id, "name": name} if name is not None else None
