"""Webhooks at rest. Address and secret are encrypted: many an address is itself a secret."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, Select, delete, func, insert, select, update

from exporter.errors import NameTaken
from exporter.model import Page
from exporter.outbox import Webhook
from exporter.storage.database import Database, IntegrityError, offset_of
from exporter.storage.secrets import Vault
from exporter.storage.tables import UserRow, WebhookRow

SEALED = ("url", "secret")


class WebhookStore:
    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def create(self, values: Mapping[str, Any], *, now: datetime) -> Webhook:
        """Insert `values` (the fields of a Webhook but for id, owner and times). Raises NameTaken."""
        webhook_id = str(uuid4())
        row = {**self._sealed(values), "id": webhook_id, "created_at": now, "updated_at": now}
        self._write(insert(WebhookRow).values(**row), name=values["name"])
        return self._expect(webhook_id)

    def update(self, webhook_id: str, values: Mapping[str, Any], *, now: datetime) -> Webhook:
        """Raise NameTaken."""
        statement = update(WebhookRow).where(WebhookRow.id == webhook_id)
        self._write(statement.values(**self._sealed(values), updated_at=now), name=values["name"])
        return self._expect(webhook_id)

    def get(self, webhook_id: str) -> Webhook | None:
        return self._one(_webhooks().where(WebhookRow.id == webhook_id))

    def named(self, name: str, owner_id: str) -> Webhook | None:
        return self._one(_webhooks().where(WebhookRow.name == name, WebhookRow.owner_id == owner_id))

    def count(self, owner_id: str) -> int:
        statement = select(func.count()).select_from(WebhookRow).where(WebhookRow.owner_id == owner_id)
        with self._database.read() as connection:
            return connection.execute(statement).scalar_one()

    def page(self, owner_id: str | None, *, number: int, size: int) -> Page[Webhook]:
        """List one owner's webhooks; None: everybody's."""
        mine = [WebhookRow.owner_id == owner_id] if owner_id is not None else []
        window = _webhooks().where(*mine).order_by(WebhookRow.name, WebhookRow.id)
        count = select(func.count()).select_from(WebhookRow).where(*mine)
        with self._database.read() as connection:
            rows = connection.execute(window.limit(size).offset(offset_of(number, size)))
            items = tuple(self._webhook(row) for row in rows)
            total = connection.execute(count).scalar_one()
        return Page(items=items, number=number, size=size, total=total)

    def delete(self, webhook_id: str) -> None:
        with self._database.write() as connection:
            connection.execute(delete(WebhookRow).where(WebhookRow.id == webhook_id))

    def reseal(self, vault: Vault) -> int:
        """Encrypt everything anew, all or none; give the number of webhooks. Raises SettingInvalid."""
        columns = [WebhookRow.__table__.c[f"{name}_encrypted"] for name in SEALED]
        with self._database.write() as connection:
            rows = connection.execute(select(WebhookRow.id, *columns)).all()
            for webhook_id, *sealed in rows:
                fresh = [vault.encrypt(self._vault.decrypt(each)) for each in sealed]
                values = {column.name: value for column, value in zip(columns, fresh, strict=True)}
                connection.execute(update(WebhookRow).where(WebhookRow.id == webhook_id).values(**values))
        return len(rows)

    def _write(self, statement: Any, *, name: str) -> None:
        try:
            with self._database.write() as connection:
                connection.execute(statement)
        except IntegrityError:
            raise NameTaken(what="webhook", name=name) from None

    def _one(self, statement: Select[Any]) -> Webhook | None:
        with self._database.read() as connection:
            row = connection.execute(statement).one_or_none()
            return self._webhook(row) if row is not None else None

    def _expect(self, webhook_id: str) -> Webhook:
        found = self.get(webhook_id)
        if found is None:
            raise LookupError(webhook_id)
        return found

    def _sealed(self, values: Mapping[str, Any]) -> dict[str, Any]:
        sealed = {f"{name}_encrypted": self._vault.encrypt(values[name]) for name in SEALED if name in values}
        return {**{name: value for name, value in values.items() if name not in SEALED}, **sealed}

    def _webhook(self, row: Row[Any]) -> Webhook:
        values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
        for name in SEALED:
            values[name] = self._vault.decrypt(values.pop(f"{name}_encrypted"))
        return Webhook(**{**values, "events": tuple(values["events"])})


def _webhooks() -> Select[Any]:
    owner = UserRow.username.label("owner")
    return select(WebhookRow.__table__, owner).join(UserRow, UserRow.id == WebhookRow.owner_id)
