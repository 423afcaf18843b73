"""The receipt: what was asked, what was read, what was written."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from exporter.jobs.pipeline import Work, Written
from exporter.model import Job, instant
from exporter.sources.base import Notice
from exporter.sources.types import exported_type
from exporter.storage.staging import Finished


def make_receipt(
    job: Job,
    attempt: int,
    work: Work,
    written: Written,
    finished: Finished,
    *,
    started_at: datetime,
    now: datetime,
) -> dict[str, Any]:
    statement = work.compiled.statement
    return {
        "job_id": job.id,
        "attempt": attempt,
        "datasource": {"id": job.datasource_id, "name": job.datasource_name},
        "format": job.format,
        "options": dict(work.options),
        "include_headers": work.include_headers,
        "sql": statement.sql,
        "sql_parameters": {name: _plain(value) for name, value in statement.parameters.items()},
        "row_count": written.row_count,
        "rows_in_file": written.rows_in_file,
        "limit_applied": written.limit_applied,
        "columns": [
            {
                "name": column.name,
                "database_type": column.database_type,
                "exported_type": exported_type(column),
                "nulls": written.nulls[column.name],
            }
            for column in written.columns
        ],
        "file_size": finished.size,
        "checksum": {"algorithm": "sha256", "value": finished.sha256},
        "snapshot": {
            "kind": "one transaction",
            "time": written.snapshot.time.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "id": written.snapshot.id,
            "copied": written.snapshot.copied,
        },
        "started_at": instant(started_at),
        "completed_at": instant(now),
        "server_version": work.source.server_version,
    }


def warnings_of(notices: tuple[Notice, ...]) -> tuple[Mapping[str, Any], ...]:
    return tuple({"code": n.code, "count": n.count, "message": n.message} for n in notices if n.count != 0)


def _plain(value: object) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
