"""Examples of the main calls, for the API's description. A test holds each against its schema."""

from typing import Any

JOB_ID = "456e7890-e89b-12d3-a456-426614174001"
DATASOURCE_ID = "123e4567-e89b-12d3-a456-426614174000"
USER_ID = "0b8f2c1e-5d7a-4c3b-9e6f-1a2b3c4d5e6f"
TEMPLATE_ID = "789e0123-e89b-12d3-a456-426614174002"
CREATED = "2024-01-01T10:00:00Z"

LOGIN = {"username": "ada", "password": "correct horse battery staple"}
TOKEN_REQUEST = {"name": "nightly script", "expires_in_days": 90}
DATASOURCE_REQUEST = {
    "name": "My Data Source",
    "url": "postgresql://reader:secret@db.example:5432/shop",
    "table": "public.orders",
    "date_column": "created_at",
    "is_shared": True,
}
FILTERS: dict[str, Any] = {
    "columns": ["col1", "col2", "col3"],
    "limit": 1000,
    "where_conditions": [{"column": "col1", "operator": ">", "value": 100}],
}
EXPORT_REQUEST = {"datasource": DATASOURCE_ID, "format": "csv", "filters": FILTERS}
CONFIGURATION = {
    "format": "csv",
    "filters": {"include_headers": True, "columns": ["*"]},
    "options": {"delimiter": ",", "encoding": "utf-8"},
}
TEMPLATE_REQUEST = {
    "name": "CSV Full Export Template",
    "description": "Template for full CSV exports with headers",
    "configuration": CONFIGURATION,
}
TEMPLATE_REPLACEMENT = {
    "name": "Updated CSV Template",
    "description": "Updated description",
    "configuration": {"format": "csv", "filters": {"columns": ["col1", "col2"], "limit": 5000}},
}
TEMPLATE_CHANGE = {"description": "Updated description"}

_OPTIONS = {
    "booleans": "t/f",
    "compression": "none",
    "delimiter": ",",
    "encoding": "utf-8",
    "encoding_errors": "strict",
    "escape_formulas": False,
    "file_name": "{datasource}-{date}",
    "line_terminator": "\n",
    "null_value": "",
    "quoting": "text",
}
_PENDING: dict[str, Any] = {
    "id": JOB_ID,
    "name": None,
    "owner": {"id": USER_ID, "username": "ada"},
    "status": "pending",
    "phase": "queued",
    "format": "csv",
    "progress": 0,
    "rows_total": None,
    "rows_total_kind": None,
    "row_count": None,
    "rows_per_second": None,
    "eta_seconds": None,
    "queue_position": 1,
    "file_size": None,
    "file_name": None,
    "checksum": None,
    "warnings": [],
    "error_code": None,
    "error_message": None,
    "attempt": 0,
    "allowed_actions": ["cancel", "delete"],
    "datasource": {"id": DATASOURCE_ID, "name": "My Data Source"},
    "template": None,
    "filters": FILTERS,
    "options": _OPTIONS,
    "created_at": CREATED,
    "started_at": None,
    "completed_at": None,
    "stopped_at": None,
    "expires_at": None,
    "download_url": None,
}
_COMPLETED = {
    **_PENDING,
    "status": "completed",
    "phase": "done",
    "progress": 100,
    "rows_total": 5000,
    "rows_total_kind": "exact",
    "row_count": 5000,
    "rows_per_second": 15,
    "queue_position": None,
    "file_size": 1024000,
    "file_name": "My Data Source-2024-01-01.csv",
    "checksum": {
        "algorithm": "sha256",
        "value": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    },
    "attempt": 1,
    "allowed_actions": ["download", "delete"],
    "started_at": CREATED,
    "completed_at": "2024-01-01T10:05:30Z",
    "stopped_at": "2024-01-01T10:05:30Z",
    "expires_at": "2024-01-08T10:05:30Z",
    "download_url": f"/data-tools/api/v1/exports/{JOB_ID}/download/",
}
_CANCELLED = {
    **_PENDING,
    "status": "cancelled",
    "phase": "done",
    "queue_position": None,
    "allowed_actions": ["retry", "delete"],
    "completed_at": "2024-01-01T10:03:00Z",
    "stopped_at": "2024-01-01T10:03:00Z",
}
_ATTEMPT = {
    "number": 1,
    "started_at": CREATED,
    "ended_at": "2024-01-01T10:05:30Z",
    "outcome": "completed",
    "error_code": None,
    "error_message": None,
    "row_count": 5000,
}
_TEMPLATE = {
    "id": TEMPLATE_ID,
    "name": "CSV Full Export Template",
    "description": "Template for full CSV exports with headers",
    "template_type": "user",
    "format": "csv",
    "usage_count": 0,
    "has_filters": True,
    "is_active": True,
    "owner": "ada",
    "created_at": CREATED,
    "updated_at": CREATED,
}


def _pagination(total: int) -> dict[str, Any]:
    return {
        "total_count": total,
        "page_count": 1,
        "current_page": 1,
        "has_next": False,
        "has_previous": False,
        "page_size": 20,
    }


def _told(message: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"success": True, "message": message, "data": data}


JOB_CREATED = _told("Export job created successfully", _PENDING)
JOB_SHOWN = _told("Export job retrieved successfully", {**_COMPLETED, "attempts": [_ATTEMPT]})
JOB_LIST = _told(
    "Export jobs retrieved successfully", {"export_jobs": [_COMPLETED], "pagination": _pagination(1)}
)
JOB_CANCELLED = _told("Export job cancelled successfully", _CANCELLED)
TEMPLATE_CREATED = _told(
    "Export template created successfully", {**_TEMPLATE, "configuration": CONFIGURATION}
)
TEMPLATE_LIST = _told(
    "Export templates retrieved successfully",
    {"templates": [{**_TEMPLATE, "usage_count": 5}], "total_count": 1, "pagination": _pagination(1)},
)
SCHEDULE_REQUEST = {
    "name": "orders every morning",
    "cron": "0 6 * * 1-5",
    "timezone": "Europe/Berlin",
    "export": EXPORT_REQUEST,
}
WEBHOOK_REQUEST = {
    "name": "warehouse",
    "url": "https://hooks.example/exports",
    "events": ["job.completed", "job.failed"],
    "datasource": DATASOURCE_ID,
}
