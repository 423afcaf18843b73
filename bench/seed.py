"""Puts jobs into the app database: `python -m bench.seed COUNT USERS`, run as a child of the bench.

They are finished, of the only admin and of the only datasource. With USERS over 0 they wait, belong to so many users
in turn, and are all the jobs that there are.
"""

import os
import sys
from datetime import timedelta
from uuid import uuid4

from sqlalchemy import Connection, create_engine, delete, insert, select

from exporter.model import JobStatus, Phase, Role, utc_now
from exporter.settings import load_settings
from exporter.storage.database import engine_options, prepare_engine
from exporter.storage.tables import AttemptRow, DatasourceRow, JobRow, UserRow
from exporter.storage.transitions import BLANK

BLOCK = 1000
STATUSES = (JobStatus.COMPLETED, JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)


def main() -> None:
    count, users = int(sys.argv[1]), int(sys.argv[2])
    settings = load_settings(os.environ)
    engine = create_engine(settings.database_url, **engine_options(settings.database_url))
    prepare_engine(engine)
    with engine.begin() as connection:
        datasource = connection.execute(select(DatasourceRow.id, DatasourceRow.name)).first()
        if datasource is None:
            raise SystemExit("no datasource to speak of")
        owners = (
            _only_waiting(connection, users)
            if users
            else list(connection.execute(select(UserRow.id)).scalars())
        )
        make = _waiting if users else _finished
        of = {"datasource_id": datasource.id, "datasource_name": datasource.name}
        for start in range(0, count, BLOCK):
            jobs = [make(number) for number in range(start, min(count, start + BLOCK))]
            connection.execute(
                insert(JobRow),
                [{**job, **of, "owner_id": owners[place % len(owners)]} for place, job in enumerate(jobs)],
            )


def _only_waiting(connection: Connection, users: int) -> list[str]:
    """Make room, and users; give their ids."""
    connection.execute(delete(AttemptRow))
    connection.execute(delete(JobRow))
    names = [f"user-{number}" for number in range(users)]
    there = set(connection.execute(select(UserRow.username)).scalars())
    blank = {
        "role": Role.MEMBER.value,
        "password_hash": "",
        "is_active": True,
        "session_key": "",
        "created_at": utc_now(),
    }
    fresh = [{"id": str(uuid4()), "username": name, **blank} for name in names if name not in there]
    if fresh:
        connection.execute(insert(UserRow), fresh)
    return list(connection.execute(select(UserRow.id).where(UserRow.username.in_(names))).scalars())


def _waiting(number: int) -> dict[str, object]:
    now = utc_now() - timedelta(days=1) + timedelta(milliseconds=number)
    return {
        **_named("csv"),
        "status": JobStatus.PENDING.value,
        "attempt": 0,
        "created_at": now,
        "queued_at": now,
    }


def _named(format_name: str) -> dict[str, object]:
    return {
        **BLANK,
        "id": str(uuid4()),
        "name": None,
        "format": format_name,
        "template_id": None,
        "template_name": None,
        "filters": {"table": "orders", "columns": ["id", "city"]},
        "options": {},
        "crashes": 0,
    }


def _finished(number: int) -> dict[str, object]:
    status = STATUSES[number % len(STATUSES)]
    now = utc_now() - timedelta(days=1, seconds=number)
    return {
        **_named("csv"),
        "status": status.value,
        "phase": Phase.DONE.value,
        "progress": 100,
        "error_message": "A table went away" if status is JobStatus.FAILED else None,
        "row_count": number,
        "attempt": 1,
        "created_at": now,
        "queued_at": now,
        "started_at": now,
        "completed_at": now,
        "stopped_at": now,
    }


if __name__ == "__main__":
    main()
