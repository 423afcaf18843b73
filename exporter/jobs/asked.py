"""From a job's row to the query that it stands for: the same wherever and whenever it is made."""

from exporter.configuration import Configuration, RawConfiguration, parse_configuration
from exporter.datasources import relation_of
from exporter.model import Datasource, Job
from exporter.query import CompiledQuery, compile_query
from exporter.sources.base import Relation, Source


def configuration_of(job: Job) -> Configuration:
    """Raise Invalid."""
    raw = RawConfiguration(format=job.format, filters=job.filters, options=job.options)
    return parse_configuration(raw, defaults={})


def query_of(
    configuration: Configuration, datasource: Datasource, source: Source, *, max_rows: int | None
) -> tuple[Relation, CompiledQuery]:
    """Compile the query against the columns as they are now. Raises Invalid."""
    relation = relation_of(source, datasource, configuration.spec.table)
    compiled = compile_query(
        configuration.spec,
        relation,
        dialect=source.dialect,
        date_column=datasource.date_column,
        row_cap=max_rows,
    )
    return relation, compiled
