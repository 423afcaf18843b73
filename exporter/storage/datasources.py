"""Registered databases. The URL is encrypted before it comes here to rest."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, Select, bindparam, delete, insert, select, update

from exporter.errors import NameTaken
from exporter.model import Datasource
from exporter.storage.database import Database, IntegrityError
from exporter.storage.secrets import Vault
from exporter.storage.tables import DatasourceRow

BY_ID = select(DatasourceRow.__table__).where(DatasourceRow.id == bindparam("datasource_id"))


class DatasourceStore:
    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    def create(self, values: Mapping[str, Any], *, now: datetime) -> Datasource:
        """Insert `values` (the fields of a Datasource but for id and created_at). Raises NameTaken."""
        datasource_id = str(uuid4())
        row = {**self._sealed(values), "id": datasource_id, "created_at": now}
        self._write(insert(DatasourceRow).values(**row), name=values["name"])
        return self._expect(datasource_id)

    def update(self, datasource_id: str, values: Mapping[str, Any]) -> Datasource:
        """Raise NameTaken."""
        statement = update(DatasourceRow).where(DatasourceRow.id == datasource_id)
        self._write(statement.values(**self._sealed(values)), name=values["name"])
        return self._expect(datasource_id)

    def get(self, datasource_id: str) -> Datasource | None:
        return self._one(BY_ID, datasource_id=datasource_id)

    def named(self, name: str) -> Datasource | None:
        return self._one(select(DatasourceRow.__table__).where(DatasourceRow.name == name))

    def all(self) -> list[Datasource]:
        statement = select(DatasourceRow.__table__).order_by(DatasourceRow.name)
        with self._database.read() as connection:
            return [self._datasource(row) for row in connection.execute(statement)]

    def delete(self, datasource_id: str) -> None:
        with self._database.write() as connection:
            connection.execute(delete(DatasourceRow).where(DatasourceRow.id == datasource_id))

    def reseal(self, vault: Vault) -> int:
        """Encrypt every URL anew, all or none; give their number. Raises SettingInvalid for one that cannot be read."""
        with self._database.write() as connection:
            rows = connection.execute(select(DatasourceRow.id, DatasourceRow.url_encrypted)).all()
            for datasource_id, sealed in rows:
                fresh = vault.encrypt(self._vault.decrypt(sealed))
                statement = update(DatasourceRow).where(DatasourceRow.id == datasource_id)
                connection.execute(statement.values(url_encrypted=fresh))
        return len(rows)

    def _expect(self, datasource_id: str) -> Datasource:
        found = self.get(datasource_id)
        if found is None:
            raise LookupError(datasource_id)
        return found

    def _write(self, statement: Any, *, name: str) -> None:
        try:
            with self._database.write() as connection:
                connection.execute(statement)
        except IntegrityError:
            raise NameTaken(what="datasource", name=name) from None

    def _one(self, statement: Select[Any], **values: Any) -> Datasource | None:
        with self._database.read() as connection:
            row = connection.execute(statement, values).one_or_none()
            return self._datasource(row) if row is not None else None

    def _sealed(self, values: Mapping[str, Any]) -> dict[str, Any]:
        plain = {**values, "warnings": list(values["warnings"])}
        sealed = self._vault.encrypt(plain.pop("url"))
        return {**plain, "url_encrypted": sealed}

    def _datasource(self, row: Row[Any]) -> Datasource:
        values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name
        values["url"] = self._vault.decrypt(values.pop("url_encrypted"))
        values["table"] = values.pop("table_name")
        return Datasource(**{**values, "warnings": tuple(values["warnings"])})
