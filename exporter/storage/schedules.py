"""Schedules and their runs."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, Select, delete, func, insert, select, update

from exporter.errors import NameTaken
from exporter.model import Page, Schedule, ScheduleRun
from exporter.storage.database import Database, IntegrityError, offset_of
from exporter.storage.tables import JobRow, ScheduleRow, ScheduleRunRow, UserRow

DUE_AT_ONCE = 100
RUNS_KEPT = 100


class ScheduleStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, values: Mapping[str, Any], *, now: datetime) -> Schedule:
        """Insert `values` (the fields of a Schedule but for id, owner and times). Raises NameTaken."""
        schedule_id = str(uuid4())
        row = {**values, "id": schedule_id, "created_at": now, "updated_at": now}
        self._write(insert(ScheduleRow).values(**row), name=values["name"])
        return self._expect(schedule_id)

    def update(self, schedule_id: str, values: Mapping[str, Any], *, now: datetime) -> Schedule:
        """Raise NameTaken."""
        statement = update(ScheduleRow).where(ScheduleRow.id == schedule_id)
        self._write(statement.values(**values, updated_at=now), name=values.get("name", ""))
        return self._expect(schedule_id)

    def get(self, schedule_id: str) -> Schedule | None:
        return self._one(_schedules().where(ScheduleRow.id == schedule_id))

    def named(self, name: str, owner_id: str) -> Schedule | None:
        return self._one(_schedules().where(ScheduleRow.name == name, ScheduleRow.owner_id == owner_id))

    def page(self, owner_id: str | None, *, number: int, size: int) -> Page[Schedule]:
        """List one owner's schedules; None: everybody's."""
        mine = [ScheduleRow.owner_id == owner_id] if owner_id is not None else []
        window = _schedules().where(*mine).order_by(ScheduleRow.name, ScheduleRow.id)
        count = select(func.count()).select_from(ScheduleRow).where(*mine)
        with self._database.read() as connection:
            rows = connection.execute(window.limit(size).offset(offset_of(number, size)))
            items = tuple(_schedule(row) for row in rows)
            total = connection.execute(count).scalar_one()
        return Page(items=items, number=number, size=size, total=total)

    def delete(self, schedule_id: str) -> None:
        with self._database.write() as connection:
            connection.execute(delete(ScheduleRow).where(ScheduleRow.id == schedule_id))

    def due(self, now: datetime) -> list[Schedule]:
        """Give active schedules whose time has come, the longest waiting first."""
        statement = _schedules().where(ScheduleRow.is_active, ScheduleRow.next_run_at <= now)
        with self._database.read() as connection:
            rows = connection.execute(statement.order_by(ScheduleRow.next_run_at).limit(DUE_AT_ONCE))
            return [_schedule(row) for row in rows]

    def advance(self, run: ScheduleRun, *, due_at: datetime | None, next_at: datetime | None) -> bool:
        """Record a run and move its schedule on from `due_at`; False if another server did, or a change came between.

        A run out of turn has no `due_at` and moves nothing.
        """
        with self._database.write() as connection:
            if due_at is not None:
                moved = connection.execute(
                    update(ScheduleRow)
                    .where(ScheduleRow.id == run.schedule_id, ScheduleRow.next_run_at == due_at)
                    .values(next_run_at=next_at)
                )
                if moved.rowcount != 1:
                    return False
            values = {name: getattr(run, name) for name in _RUN_COLUMNS}
            connection.execute(insert(ScheduleRunRow).values(**values))
            connection.execute(_too_old(run.schedule_id))
        return True

    def runs(self, schedule_id: str, *, limit: int = RUNS_KEPT) -> list[ScheduleRun]:
        """Give the last runs, newest first, with what became of their jobs."""
        statement = (
            select(ScheduleRunRow.__table__, JobRow.status.label("job_status"))
            .outerjoin(JobRow, JobRow.id == ScheduleRunRow.job_id)
            .where(ScheduleRunRow.schedule_id == schedule_id)
            .order_by(ScheduleRunRow.due_at.desc())
        )
        with self._database.read() as connection:
            return [ScheduleRun(**row) for row in connection.execute(statement.limit(limit)).mappings()]

    def _write(self, statement: Any, *, name: str) -> None:
        try:
            with self._database.write() as connection:
                connection.execute(statement)
        except IntegrityError:
            raise NameTaken(what="schedule", name=name) from None

    def _one(self, statement: Select[Any]) -> Schedule | None:
        with self._database.read() as connection:
            row = connection.execute(statement).one_or_none()
            return _schedule(row) if row is not None else None

    def _expect(self, schedule_id: str) -> Schedule:
        found = self.get(schedule_id)
        if found is None:
            raise LookupError(schedule_id)
        return found


_RUN_COLUMNS = tuple(column.name for column in ScheduleRunRow.__table__.columns)


def _schedules() -> Select[Any]:
    owner = UserRow.username.label("owner")
    return select(ScheduleRow.__table__, owner).join(UserRow, UserRow.id == ScheduleRow.owner_id)


def _schedule(row: Row[Any]) -> Schedule:
    return Schedule(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name


def _too_old(schedule_id: str) -> Any:
    kept = (
        select(ScheduleRunRow.due_at)
        .where(ScheduleRunRow.schedule_id == schedule_id)
        .order_by(ScheduleRunRow.due_at.desc())
        .limit(RUNS_KEPT)
    )
    return delete(ScheduleRunRow).where(
        ScheduleRunRow.schedule_id == schedule_id, ScheduleRunRow.due_at.not_in(kept.scalar_subquery())
    )
