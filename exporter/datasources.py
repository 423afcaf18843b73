"""Registered databases: who may use which, and opening them."""

import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from exporter.errors import DatasourceInUse, DatasourceNotFound, Invalid
from exporter.failures import ExportFailed, NoSuchRelation, QueryFailed
from exporter.model import Datasource, User
from exporter.naming import check_name
from exporter.sources.base import Relation, RelationSummary, Scratch, Source
from exporter.sources.registry import (
    WRITERS_WAIT,
    SourceLimits,
    check_url,
    describe,
    open_portion,
    open_source,
    proof_of,
)
from exporter.sources.sharing import Helpers, Portion
from exporter.storage.datasources import DatasourceStore
from exporter.storage.jobs import JobStore
from exporter.storage.secrets import Vault

if TYPE_CHECKING:
    from exporter.sources.postgresql.source import PostgresqlSource


@dataclass(frozen=True, kw_only=True)
class Connection:
    """What a connection test saw."""

    server_version: str
    milliseconds: float
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class DatasourceValues:
    """What an admin says of a datasource; `url` None keeps the one there is."""

    name: str
    url: str | None
    table: str | None = None
    query: str | None = None
    date_column: str | None = None
    is_shared: bool = False
    snapshot_copy: bool = False


class DatasourceService:
    def __init__(
        self,
        store: DatasourceStore,
        jobs: JobStore,
        limits: SourceLimits,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._limits = limits
        self._clock = clock

    def reseal(self, secret_key: str) -> int:
        """Encrypt every stored URL with this key; give their number."""
        return self._store.reseal(Vault(secret_key))

    def all(self, user: User | None) -> list[Datasource]:
        """Give those that the user may export from (None: an admin's command)."""
        return [found for found in self._store.all() if _may_use(found, user)]

    def get(self, datasource_id: str, user: User | None) -> Datasource:
        """Raise DatasourceNotFound, also for one that the user may not use."""
        found = self._store.get(datasource_id)
        if found is None or not _may_use(found, user):
            raise DatasourceNotFound
        return found

    def named(self, name: str, user: User | None) -> Datasource:
        """Find by name or id. Raises DatasourceNotFound."""
        found = self._store.named(name) or self._store.get(name)
        if found is None or not _may_use(found, user):
            raise DatasourceNotFound(f"There is no datasource named {name!r}")
        return found

    def register(self, values: DatasourceValues) -> Datasource:
        """Try the connection, then keep it. Raises Invalid or NameTaken."""
        return self._store.create(self._checked(values, url=values.url or ""), now=self._clock())

    def update(self, datasource: Datasource, values: DatasourceValues) -> Datasource:
        """Replace everything but, where `values.url` is None, the URL. Raises Invalid or NameTaken."""
        return self._store.update(datasource.id, self._checked(values, url=values.url or datasource.url))

    def delete(self, datasource: Datasource) -> None:
        """Raise DatasourceInUse."""
        if self._jobs.busy_with(datasource.id):
            raise DatasourceInUse
        self._store.delete(datasource.id)

    def test(self, datasource: Datasource) -> Connection:
        """Connect and disconnect. Raises ExportFailed with the reason."""
        started = time.perf_counter()
        with self.open(datasource) as source:
            spent = (time.perf_counter() - started) * 1000
            warnings = _warnings(source, snapshot_copy=datasource.snapshot_copy)
            return Connection(server_version=source.server_version, milliseconds=spent, warnings=warnings)

    def tables(self, datasource: Datasource) -> list[RelationSummary]:
        """List what the datasource offers: everything, or the one table that it is bound to."""
        if datasource.query is not None:
            return []
        with self.open(datasource) as source:
            found = source.relations()
            if datasource.table is None:
                return found
            pinned = source.relation(datasource.table)
            return [each for each in found if (each.schema, each.name) == (pinned.schema, pinned.name)]

    def relation(self, datasource: Datasource, table: str | None) -> Relation:
        """Reflect the pinned relation, or `table`. Raises Invalid on `table`."""
        with self.open(datasource) as source:
            return relation_of(source, datasource, table)

    @contextmanager
    def open(
        self,
        datasource: Datasource,
        *,
        timeout: float | None = None,
        scratch: Scratch | None = None,
        helpers: Helpers | None = None,
    ) -> Iterator[Source]:
        """Open one read-only snapshot, its queries bounded by `timeout` seconds if given. Raises ExportFailed.

        `scratch` is where a copy may be made, if the datasource is to be read from one; `helpers` may read parts.
        """
        limits = self._limits if timeout is None else replace(self._limits, statement_timeout=timeout)
        source = open_source(datasource.url, limits, scratch if datasource.snapshot_copy else None, helpers)
        try:
            yield source
        except ExportFailed:
            source.confirm()  # it may be the reason of what looks like damage
            raise
        finally:
            source.close()

    def proof(self, datasource: Datasource) -> Hashable | None:
        """Give what changes whenever the database does; None where only asking it tells. Raises SourceRefused."""
        return proof_of(datasource.url, self._limits)

    @contextmanager
    def open_portion(self, datasource: Datasource, portion: Portion) -> "Iterator[PostgresqlSource]":
        """Open what another process exports, for a part of it. Raises ExportFailed."""
        source = open_portion(datasource.url, self._limits, portion)
        try:
            yield source
        finally:
            source.close()

    def _checked(self, values: DatasourceValues, *, url: str) -> dict[str, Any]:
        check_name("name", values.name)
        warnings = self._try(values, url)
        return {
            "name": values.name,
            "kind": describe(url),
            "url": url,
            "table": values.table,
            "query": values.query,
            "date_column": values.date_column,
            "is_shared": values.is_shared,
            "snapshot_copy": values.snapshot_copy,
            "warnings": warnings,
        }

    def _try(self, values: DatasourceValues, url: str) -> tuple[str, ...]:
        try:
            if values.snapshot_copy and describe(url) != "sqlite":
                raise Invalid({"snapshot_copy": "Only a SQLite file is copied"})
            check_url(url, self._limits)
            source = open_source(url, self._limits)
        except ExportFailed as exc:
            raise Invalid({"url": exc.message}) from exc
        try:
            _check_pinned(source, values)
            return _warnings(source, snapshot_copy=values.snapshot_copy)
        finally:
            source.close()


def relation_of(source: Source, datasource: Datasource, table: str | None) -> Relation:
    """Reflect what a request reads: the pinned relation, else `table`. Raises Invalid on `table`."""
    if datasource.query is not None:
        relation = source.relation_of_query(datasource.query)
    elif datasource.table is not None:
        relation = source.relation(datasource.table)
    elif table is None:
        raise Invalid({"table": "Required, for this datasource has no table of its own"})
    else:
        relation = _named(source, table)
        table = None
    if table is not None and table not in {relation.name, relation.label, datasource.table}:
        raise Invalid(
            {"table": f"This datasource is bound to {datasource.table or 'its query'}; leave it out"}
        )
    if not relation.columns:
        raise Invalid({"table": f"{relation.label} has no columns"})
    return relation


def _named(source: Source, table: str) -> Relation:
    try:
        return source.relation(table)
    except (NoSuchRelation, QueryFailed) as exc:
        raise Invalid({"table": exc.message}) from exc


def _warnings(source: Source, *, snapshot_copy: bool) -> tuple[str, ...]:
    """Leave out what a copy cures."""
    return tuple(each for each in source.warnings if not (snapshot_copy and each == WRITERS_WAIT))


def _check_pinned(source: Source, values: DatasourceValues) -> None:
    if values.table is not None and values.query is not None:
        raise Invalid({"query": "Give either a table or a query, not both"})
    field = "table" if values.table is not None else "query"
    try:
        if values.table is not None:
            relation = source.relation(values.table)
        elif values.query is not None:
            relation = source.relation_of_query(values.query)
        else:
            return
    except ExportFailed as exc:
        raise Invalid({field: exc.message}) from exc
    names = [column.name for column in relation.columns]
    if values.date_column is not None and values.date_column not in names:
        raise Invalid(
            {"date_column": f"Unknown column {values.date_column!r}; there is {', '.join(names[:20])}"}
        )


def _may_use(datasource: Datasource, user: User | None) -> bool:
    return user is None or user.is_admin or datasource.is_shared
