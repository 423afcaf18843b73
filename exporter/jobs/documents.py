"""A job as the API and the command line show it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from exporter.model import Attempt, Job, JobStatus, instant

ACTIONS: Mapping[JobStatus, tuple[str, ...]] = {
    JobStatus.PENDING: ("cancel", "delete"),
    JobStatus.PROCESSING: ("cancel",),
    JobStatus.COMPLETED: ("download", "delete"),
    JobStatus.FAILED: ("retry", "delete"),
    JobStatus.CANCELLED: ("retry", "delete"),
}


def job_document(job: Job, *, owner: str, now: datetime, download_url: str | None) -> dict[str, Any]:
    """Give every field of the contract; what is not known yet is None. `owner` is the owner's username."""
    rate = _rate(job, now)
    return {
        "id": job.id,
        "name": job.name,
        "owner": {"id": job.owner_id, "username": owner},
        "status": job.status.value,
        "phase": job.phase.value,
        "format": job.format,
        "progress": job.progress,
        "rows_total": job.rows_total,
        "rows_total_kind": job.rows_total_kind,
        "row_count": job.row_count,
        "rows_per_second": rate,
        "eta_seconds": _eta(job, rate),
        "queue_position": job.queue_position,
        "file_size": job.file_size,
        "file_name": job.file_name,
        "checksum": {"algorithm": "sha256", "value": job.checksum} if job.checksum else None,
        "warnings": [dict(warning) for warning in job.warnings],
        "error_code": job.error_code,
        "error_message": job.error_message,
        "attempt": job.attempt,
        "allowed_actions": allowed_actions(job),
        "datasource": {"id": job.datasource_id, "name": job.datasource_name},
        "template": {"id": job.template_id, "name": job.template_name} if job.template_name else None,
        "filters": dict(job.filters),
        "options": dict(job.options),
        "created_at": instant(job.created_at),
        "started_at": instant(job.started_at),
        "completed_at": instant(job.completed_at),
        "stopped_at": instant(job.stopped_at),
        "expires_at": instant(job.expires_at),
        "download_url": download_url if job.artifact is not None else None,
    }


def attempt_document(attempt: Attempt) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "started_at": instant(attempt.started_at),
        "ended_at": instant(attempt.ended_at),
        "outcome": attempt.outcome,
        "error_code": attempt.error_code,
        "error_message": attempt.error_message,
        "row_count": attempt.row_count,
    }


def allowed_actions(job: Job) -> list[str]:
    gone = job.status is JobStatus.COMPLETED and job.artifact is None
    return [action for action in ACTIONS[job.status] if not (gone and action == "download")]


def _rate(job: Job, now: datetime) -> int | None:
    if job.started_at is None or not job.row_count:
        return None
    seconds = ((job.completed_at or now) - job.started_at).total_seconds()
    return round(job.row_count / seconds) if seconds > 0 else None


def _eta(job: Job, rate: int | None) -> int | None:
    if job.status is not JobStatus.PROCESSING or not rate or job.rows_total is None:
        return None
    return max(0, round((job.rows_total - (job.row_count or 0)) / rate))
