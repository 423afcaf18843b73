"""The audit log's rows: added, listed, and removed when they are too old. Nothing here changes one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, insert, select

from exporter.model import Action, AuditEntry, AuditOutcome, Page
from exporter.storage.database import Database, offset_of
from exporter.storage.tables import AuditRow

ADD = insert(AuditRow)


@dataclass(frozen=True, kw_only=True)
class AuditQuery:
    """What a list of deeds asks for: from `since` on, before `until`."""

    user: str | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    page: int = 1
    page_size: int = 20


class AuditStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, *, patiently: bool = True, **line: Any) -> None:
        """Write a row; `patiently` says whether to wait for another writer. Raises DatabaseAway."""
        opened = self._database.write() if patiently else self._database.write_if_free()
        with opened as connection:
            add_line(connection, line)

    def page(self, query: AuditQuery) -> Page[AuditEntry]:
        """List the newest first."""
        ordered = _chosen(select(AuditRow.__table__), query).order_by(AuditRow.id.desc())
        window = ordered.limit(query.page_size).offset(offset_of(query.page, query.page_size))
        with self._database.read() as connection:
            counted = _chosen(select(func.count()).select_from(AuditRow), query)
            total = connection.execute(counted).scalar_one()
            items = tuple(_entry(row) for row in connection.execute(window))
        return Page(items=items, number=query.page, size=query.page_size, total=total)

    def remove_before(self, moment: datetime) -> int:
        """Say how many rows were too old."""
        with self._database.write() as connection:
            return connection.execute(delete(AuditRow).where(AuditRow.at < moment)).rowcount


def add_line(connection: Connection, line: Mapping[str, Any]) -> None:
    """Write a row in a transaction that may do something else as well."""
    connection.execute(ADD, dict(line))


def _chosen(statement: Select[Any], query: AuditQuery) -> Select[Any]:
    if query.user is not None:
        statement = statement.where(AuditRow.username == query.user)
    if query.action is not None:
        statement = statement.where(AuditRow.action == query.action)
    if query.since is not None:
        statement = statement.where(AuditRow.at >= query.since)
    if query.until is not None:
        statement = statement.where(AuditRow.at < query.until)
    return statement


def _entry(row: Row[Any]) -> AuditEntry:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
    values |= {"action": Action(values["action"]), "outcome": AuditOutcome(values["outcome"])}
    return AuditEntry(**values)
