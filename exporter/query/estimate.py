"""How many rows a query will probably give."""

from dataclasses import replace

from exporter.query.compile import CompiledQuery
from exporter.query.spec import QuerySpec
from exporter.sources.base import Relation, RowEstimate, Source


def expected_rows(
    source: Source, spec: QuerySpec, relation: Relation, compiled: CompiledQuery
) -> RowEstimate | None:
    """Ask the source for a cheap estimate and hold it under the limit; None where nothing cheap is known."""
    found = source.estimate(compiled.statement, whole=relation if _every_row(spec) else None)
    if found is None or compiled.limit is None:
        return found
    return replace(found, rows=min(found.rows, compiled.limit))


def _every_row(spec: QuerySpec) -> bool:
    return not (spec.where or spec.group_by or spec.aggregates or spec.date_range)
