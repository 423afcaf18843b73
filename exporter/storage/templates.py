"""Export templates."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, Select, delete, func, insert, or_, select, update

from exporter.errors import NameTaken
from exporter.model import Page, Template, TemplateType
from exporter.storage.database import Database, IntegrityError, offset_of
from exporter.storage.tables import TemplateRow, UserRow

SHARED_TYPES = (TemplateType.SHARED, TemplateType.SYSTEM)


@dataclass(frozen=True, kw_only=True)
class TemplateQuery:
    """What a list of templates asks for. `visible_to` is a user's id; None sees everything."""

    visible_to: str | None = None
    template_type: str | None = None
    format: str | None = None
    search: str | None = None
    page: int = 1
    page_size: int = 20


class TemplateStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, values: Mapping[str, Any], *, now: datetime) -> Template:
        """Insert `values` (owner_id, name, description, template_type, configuration, is_active). Raises NameTaken."""
        template_id = str(uuid4())
        times = {"created_at": now, "updated_at": now}
        self._write(
            insert(TemplateRow).values(id=template_id, usage_count=0, **_columns(values), **times),
            name=values["name"],
        )
        return self._expect(template_id)

    def update(self, template_id: str, values: Mapping[str, Any], *, now: datetime) -> Template:
        """Raise NameTaken."""
        statement = update(TemplateRow).where(TemplateRow.id == template_id)
        self._write(statement.values(**_columns(values), updated_at=now), name=values.get("name", ""))
        return self._expect(template_id)

    def get(self, template_id: str) -> Template | None:
        with self._database.read() as connection:
            row = connection.execute(_templates().where(TemplateRow.id == template_id)).one_or_none()
            return _template(row) if row is not None else None

    def named(self, name: str, *, visible_to: str | None) -> list[Template]:
        """Give the visible templates of that name; the user's own comes first."""
        statement = _visible(_templates().where(TemplateRow.name == name), visible_to)
        with self._database.read() as connection:
            found = [_template(row) for row in connection.execute(statement)]
        return sorted(found, key=lambda template: template.owner_id != visible_to)

    def page(self, query: TemplateQuery) -> Page[Template]:
        ordered = _chosen(_templates(), query).order_by(TemplateRow.name, TemplateRow.id)
        window = ordered.limit(query.page_size).offset(offset_of(query.page, query.page_size))
        with self._database.read() as connection:
            total = connection.execute(
                _chosen(select(func.count()).select_from(TemplateRow), query)
            ).scalar_one()
            items = tuple(_template(row) for row in connection.execute(window))
        return Page(items=items, number=query.page, size=query.page_size, total=total)

    def delete(self, template_id: str) -> None:
        with self._database.write() as connection:
            connection.execute(delete(TemplateRow).where(TemplateRow.id == template_id))

    def count_use(self, template_id: str) -> None:
        statement = update(TemplateRow).where(TemplateRow.id == template_id)
        with self._database.write() as connection:
            connection.execute(statement.values(usage_count=TemplateRow.usage_count + 1))

    def _write(self, statement: Any, *, name: str) -> None:
        try:
            with self._database.write() as connection:
                connection.execute(statement)
        except IntegrityError:
            raise NameTaken(what="template", name=name) from None

    def _expect(self, template_id: str) -> Template:
        found = self.get(template_id)
        if found is None:
            raise LookupError(template_id)
        return found


def _columns(values: Mapping[str, Any]) -> dict[str, Any]:
    columns = dict(values)
    if "configuration" in columns:
        columns["format"] = columns["configuration"]["format"]
    return columns


def _templates() -> Select[Any]:
    owner = UserRow.username.label("owner")
    return select(TemplateRow.__table__, owner).outerjoin(UserRow, UserRow.id == TemplateRow.owner_id)


def _visible(statement: Select[Any], user_id: str | None) -> Select[Any]:
    if user_id is None:
        return statement
    return statement.where(or_(TemplateRow.owner_id == user_id, TemplateRow.template_type.in_(SHARED_TYPES)))


def _chosen(statement: Select[Any], query: TemplateQuery) -> Select[Any]:
    statement = _visible(statement, query.visible_to)
    if query.template_type is not None:
        statement = statement.where(TemplateRow.template_type == query.template_type)
    if query.format is not None:
        statement = statement.where(TemplateRow.format == query.format)
    if query.search:
        found = [
            column.icontains(query.search, autoescape=True)
            for column in (TemplateRow.name, TemplateRow.description)
        ]
        statement = statement.where(or_(*found))
    return statement


def _template(row: Row[Any]) -> Template:
    values = {name: row._mapping[name] for name in Template.__dataclass_fields__}  # noqa: SLF001 - SQLAlchemy's public name
    return Template(**{**values, "template_type": TemplateType(values["template_type"])})
