"""A job in the words of its row on the page."""

from datetime import datetime
from types import MappingProxyType
from typing import Any

from exporter.blueprints.pages import words
from exporter.jobs.documents import job_document
from exporter.model import Job, JobStatus

LIVE = frozenset({JobStatus.PENDING, JobStatus.PROCESSING})
ADVICE = MappingProxyType(
    {
        "source_unavailable": "Check that the database runs and can be reached, then retry.",
        "source_busy": "Retry when the other program has let go of the database.",
        "source_overwritten": "Retry when nobody copies over the database's file.",
        "source_refused": "Ask an admin to look at the datasource.",
        "source_corrupt": "Ask whoever looks after the database to check the file.",
        "query_failed": "Look at the conditions; the table may also have changed since. Then retry.",
        "no_such_relation": "The table was renamed or removed. Start a new export from one that is there.",
        "receipt_mismatch": "Retry. If it happens again, tell an admin: nothing wrong was handed out.",
    }
)


def job_view(job: Job, *, now: datetime, download_url: str, owner: str, own: bool) -> dict[str, Any]:
    """Give the API's document of a job, and what a reader is told of it."""
    told = job_document(job, owner=owner, now=now, download_url=download_url)
    table = job.filters.get("table")
    return {
        **told,
        "title": job.name or table or job.datasource_name,
        "table": table,
        "own": own,
        "live": job.status in LIVE or (job.status is JobStatus.CANCELLED and job.stopped_at is None),
        "headline": _headline(told),
        "advice": ADVICE.get(job.error_code or ""),
        "known_total": bool(job.rows_total) and job.rows_total_kind is not None,
        "facts": _facts(told),
    }


def _headline(told: dict[str, Any]) -> str:
    match told["status"]:
        case "pending":
            place = told["queue_position"]
            return f"Waiting · number {place} in the queue" if place else "Waiting"
        case "processing":
            return "Checking and publishing" if told["phase"] == "publishing" else "Exporting"
        case "completed":
            return f"Complete · {_rows(told['row_count'])}"
        case "failed":
            return "Failed"
        case _:
            return "Cancelled"


def _facts(told: dict[str, Any]) -> list[str]:
    """Say how far a running export is, or how large and quick a finished one was."""
    if told["status"] == "processing":
        return [*_so_far(told), *_rate(told), *_left(told)]
    if told["status"] == "completed":
        size = [words.size(told["file_size"])] if told["file_size"] is not None else []
        return [*size, *_rate(told)]
    return []


def _so_far(told: dict[str, Any]) -> list[str]:
    done, total = told["row_count"] or 0, told["rows_total"]
    if not total or done > total:
        return [_rows(done)]
    about = "about " if told["rows_total_kind"] == "estimate" else ""
    return [f"{words.number(done)} of {about}{_rows(total)}"]


def _rate(told: dict[str, Any]) -> list[str]:
    rate = told["rows_per_second"]
    return [f"{words.number(rate)} rows/s"] if rate else []


def _left(told: dict[str, Any]) -> list[str]:
    seconds = told["eta_seconds"]
    return [f"about {words.span(seconds)} left"] if seconds else []


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{words.number(count)} rows"
