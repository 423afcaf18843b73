"""Puts finished jobs into the app database: `python -m bench.seed COUNT`, run as a child of the bench.

The jobs are those of the only admin, and of the only datasource.
"""

import os
import sys
from datetime import timedelta
from uuid import uuid4

from sqlalchemy import create_engine, insert, select

from exporter.model import JobStatus, Phase, utc_now
from exporter.settings import load_settings
from exporter.storage.database import engine_options, prepare_engine
from exporter.storage.tables import DatasourceRow, JobRow, UserRow
from exporter.storage.transitions import BLANK

BLOCK = 1000
STATUSES = (JobStatus.COMPLETED, JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)


def main() -> None:
    count = int(sys.argv[1])
    settings = load_settings(os.environ)
    engine = create_engine(settings.database_url, **engine_options(settings.database_url))
    prepare_engine(engine)
    with engine.begin() as connection:
        owner_id = connection.execute(select(UserRow.id)).scalars().first()
        datasource = connection.execute(select(DatasourceRow.id, DatasourceRow.name)).first()
        if datasource is None:
            raise SystemExit("no datasource to speak of")
        whose = {"owner_id": owner_id, "datasource_id": datasource.id, "datasource_name": datasource.name}
        for start in range(0, count, BLOCK):
            numbers = range(start, min(count, start + BLOCK))
            connection.execute(insert(JobRow), [_job(number, whose) for number in numbers])


def _job(number: int, whose: dict[str, object]) -> dict[str, object]:
    status = STATUSES[number % len(STATUSES)]
    now = utc_now() - timedelta(days=1, seconds=number)
    return {
        **BLANK,
        **whose,
        "id": str(uuid4()),
        "status": status.value,
        "phase": Phase.DONE.value,
        "progress": 100,
        "name": None,
        "format": "csv",
        "template_id": None,
        "template_name": None,
        "filters": {"table": "orders", "columns": ["id", "city"]},
        "options": {},
        "error_message": "A table went away" if status is JobStatus.FAILED else None,
        "row_count": number,
        "attempt": 1,
        "crashes": 0,
        "created_at": now,
        "queued_at": now,
        "started_at": now,
        "completed_at": now,
        "stopped_at": now,
    }


if __name__ == "__main__":
    main()
