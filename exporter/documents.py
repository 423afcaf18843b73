"""Datasources, templates and deeds as the API and the command line show them; jobs have `exporter.jobs.documents`."""

import json
from collections.abc import Iterable
from typing import Any

from exporter.model import AuditEntry, Datasource, Schedule, ScheduleRun, Template, instant
from exporter.outbox import Delivery, DeliveryAttempt, DeliveryStatus, Webhook
from exporter.sources.base import Column, RelationSummary
from exporter.sources.types import exported_type


def datasource_document(datasource: Datasource, *, for_admin: bool) -> dict[str, Any]:
    """Give what somebody who may use the datasource may see of it: never its URL."""
    told: dict[str, Any] = {
        "id": datasource.id,
        "name": datasource.name,
        "kind": datasource.kind,
        "table": datasource.table,
        "date_column": datasource.date_column,
        "is_shared": datasource.is_shared,
        "snapshot_copy": datasource.snapshot_copy,
        "created_at": instant(datasource.created_at),
    }
    if for_admin:
        told |= {"query": datasource.query, "warnings": list(datasource.warnings)}
    return told


def table_document(table: RelationSummary) -> dict[str, Any]:
    return {"name": table.label, "schema": table.schema, "kind": table.kind, "estimated_rows": table.rows}


def column_document(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "database_type": column.database_type,
        "nullable": column.nullable,
        "exported_type": exported_type(column),
    }


def template_document(template: Template) -> dict[str, Any]:
    return {
        "id": template.id,
        "name": template.name,
        "description": template.description,
        "template_type": template.template_type.value,
        "format": template.configuration["format"],
        "usage_count": template.usage_count,
        "has_filters": bool(template.configuration.get("filters")),
        "is_active": template.is_active,
        "owner": template.owner,
        "created_at": instant(template.created_at),
        "updated_at": instant(template.updated_at),
    }


def template_detail(template: Template) -> dict[str, Any]:
    return {**template_document(template), "configuration": dict(template.configuration)}


def audit_document(entry: AuditEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "time": instant(entry.at),
        "user": {"id": entry.user_id, "username": entry.username} if entry.user_id else None,
        "address": entry.address,
        "action": entry.action.value,
        "outcome": entry.outcome.value,
        "reason": entry.reason,
        "object": {"kind": entry.object_kind, "id": entry.object_id, "name": entry.object_name},
        "request_id": entry.request_id,
    }


def schedule_document(schedule: Schedule) -> dict[str, Any]:
    following = schedule.next_run_at if schedule.is_active else None
    return {
        "id": schedule.id,
        "name": schedule.name,
        "cron": schedule.cron,
        "timezone": schedule.timezone,
        "catch_up": schedule.catch_up,
        "is_active": schedule.is_active,
        "export": dict(schedule.export),
        "owner": schedule.owner,
        "next_run_at": instant(following) if following is not None else None,
        "created_at": instant(schedule.created_at),
        "updated_at": instant(schedule.updated_at),
    }


def schedule_run_document(run: ScheduleRun) -> dict[str, Any]:
    return {
        "due_at": instant(run.due_at),
        "started_at": instant(run.started_at),
        "outcome": run.outcome,
        "job": {"id": run.job_id, "status": run.job_status} if run.job_id is not None else None,
        "error": run.error,
    }


def webhook_document(webhook: Webhook) -> dict[str, Any]:
    """Give all but the secret."""
    return {
        "id": webhook.id,
        "name": webhook.name,
        "url": webhook.url,
        "events": list(webhook.events),
        "schedule": webhook.schedule_id,
        "template": webhook.template_id,
        "datasource": webhook.datasource_id,
        "is_active": webhook.is_active,
        "owner": webhook.owner,
        "created_at": instant(webhook.created_at),
        "updated_at": instant(webhook.updated_at),
    }


def delivery_document(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "event": delivery.event,
        "job": delivery.job_id,
        "status": delivery.status.value,
        "attempt": delivery.attempt,
        "next_at": instant(delivery.next_at) if delivery.status is DeliveryStatus.PENDING else None,
        "created_at": instant(delivery.created_at),
        "ended_at": instant(delivery.ended_at),
    }


def delivery_detail(delivery: Delivery, attempts: Iterable[DeliveryAttempt]) -> dict[str, Any]:
    """Add what was sent, and what came of each sending."""
    told = [
        {
            "number": each.number,
            "started_at": instant(each.started_at),
            "status_code": each.status_code,
            "error": each.error,
            "milliseconds": each.milliseconds,
        }
        for each in attempts
    ]
    return {**delivery_document(delivery), "body": json.loads(delivery.body), "attempts": told}
