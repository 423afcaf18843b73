"""A look before an export: its first rows, its SQL, and what to expect of its size.

Bounded by a short timeout of its own and by a small LIMIT; never a full scan that nobody asked for.
"""

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from exporter.configuration import Configuration
from exporter.datasources import DatasourceService, relation_of
from exporter.errors import PreviewTooSlow
from exporter.failures import QueryTimeout
from exporter.formats import registry
from exporter.formats.base import FormatEntry, WriterRequest
from exporter.formats.options import parse_options
from exporter.model import Datasource
from exporter.profile import profile
from exporter.query import CompiledQuery, QuerySpec, compile_query, expected_rows, parse_filters
from exporter.sources.base import Column, Relation, RowEstimate, Source
from exporter.sources.types import exported_type
from exporter.storage.jobs import JobStore

PREVIEW_ROWS = 50
SAMPLE_ROWS = 1000
TIMEOUT_SECONDS = 5.0
USUAL_ROWS_PER_SECOND = 150_000  # until this datasource and format have a history


@dataclass(frozen=True, kw_only=True)
class Preview:
    """The first rows as a JSON export would spell them; `columns` are {name, type, exported_type}.

    `profile` is that of the first SAMPLE_ROWS rows, see `exporter.profile`.
    """

    columns: tuple[Mapping[str, str], ...]
    rows: list[list[Any]]
    profile: list[Mapping[str, Any]]
    total: RowEstimate | None
    sql: str


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """What an export will probably be: bytes of its file and seconds of its run; None where nothing is known."""

    rows: int | None
    rows_kind: str | None
    bytes: int | None
    seconds: float | None


class PreviewService:
    def __init__(self, datasources: DatasourceService, jobs: JobStore, *, max_rows: int | None) -> None:
        self._datasources = datasources
        self._jobs = jobs
        self._max_rows = max_rows

    def preview(self, datasource: Datasource, filters: Mapping[str, Any]) -> Preview:
        """Raise Invalid for faulty filters, PreviewTooSlow, ExportFailed with the database's reason."""
        spec = parse_filters(filters)
        entry = registry.get("json")
        options = parse_options(entry, {"layout": "columns"}, defaults={})
        with self._open(datasource) as source:
            relation = relation_of(source, datasource, spec.table)
            whole = self._compiled(spec, source, relation, datasource)
            few = self._compiled(_at_most(spec, SAMPLE_ROWS), source, relation, datasource)
            columns, content, _ = _render(source, few, entry, options)
            rows = json.loads(content)["rows"]
            return Preview(
                columns=tuple(_described(column) for column in columns),
                rows=rows[:PREVIEW_ROWS],
                profile=profile([column.name for column in columns], rows),
                total=expected_rows(source, spec, relation, whole),
                sql=whole.statement.sql,
            )

    def estimate(self, datasource: Datasource, configuration: Configuration) -> Expectation:
        """Write a sample into memory and scale it up. Raises Invalid, PreviewTooSlow, ExportFailed."""
        spec = configuration.spec
        with self._open(datasource) as source:
            relation = relation_of(source, datasource, spec.table)
            whole = self._compiled(spec, source, relation, datasource)
            total = expected_rows(source, spec, relation, whole)
            few = self._compiled(_at_most(spec, SAMPLE_ROWS), source, relation, datasource)
            _, content, rows = _render(source, few, configuration.entry, configuration.options)
        if rows < SAMPLE_ROWS:
            total = RowEstimate(rows=rows, kind="exact")
        if total is None:
            return Expectation(rows=None, rows_kind=None, bytes=None, seconds=None)
        rate = self._jobs.usual_rate(datasource.id, configuration.entry.name) or USUAL_ROWS_PER_SECOND
        return Expectation(
            rows=total.rows,
            rows_kind=total.kind,
            bytes=len(content) * total.rows // max(rows, 1) if rows else len(content),
            seconds=round(total.rows / rate, 1),
        )

    @contextmanager
    def _open(self, datasource: Datasource) -> Iterator[Source]:
        try:
            with self._datasources.open(datasource, timeout=TIMEOUT_SECONDS) as source:
                yield source
        except QueryTimeout as exc:
            raise PreviewTooSlow(seconds=round(TIMEOUT_SECONDS)) from exc

    def _compiled(
        self, spec: QuerySpec, source: Source, relation: Relation, datasource: Datasource
    ) -> CompiledQuery:
        return compile_query(
            spec,
            relation,
            dialect=source.dialect,
            date_column=datasource.date_column,
            row_cap=self._max_rows,
        )


def _at_most(spec: QuerySpec, rows: int) -> QuerySpec:
    return replace(spec, limit=min(spec.limit, rows) if spec.limit is not None else rows)


def _render(
    source: Source, compiled: CompiledQuery, entry: FormatEntry, options: Mapping[str, Any]
) -> tuple[tuple[Column, ...], bytes, int]:
    """Write the rows up to the limit into memory; give the columns, the bytes and how many rows they hold."""
    stream = io.BytesIO()
    reader = source.read(compiled.statement, entry.form, careful=True)
    try:
        writer = entry.open_writer(WriterRequest(stream=stream, columns=reader.columns, options=options))
        written = 0
        for batch in reader.batches():
            kept = batch if compiled.limit is None else batch.slice(0, compiled.limit - written)
            if kept.num_rows:
                writer.write(kept)
                written += kept.num_rows
        writer.finish()
    finally:
        reader.close()
    return reader.columns, stream.getvalue(), written


def _described(column: Column) -> Mapping[str, str]:
    return {"name": column.name, "type": column.database_type, "exported_type": exported_type(column)}
