"""From a request to a job that will not fail for a wrong name: every fault is found before a row exists."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from exporter.configuration import Configuration, RawConfiguration, merge, parse_configuration
from exporter.datasources import DatasourceService, relation_of
from exporter.errors import DatasourceNotFound, Invalid, TemplateNotFound
from exporter.failures import ExportFailed, QueryFailed
from exporter.jobs.reflections import Reflections
from exporter.model import Datasource, Template, User
from exporter.naming import NAME_RULE, is_name
from exporter.query import check_filters, compile_query
from exporter.sources.base import Relation, Source
from exporter.templates import TemplateService, raw_configuration


@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """A request for an export, its shape checked; names and values are checked by `RequestChecker`."""

    datasource: str | None = None
    format: str | None = None
    filters: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    template: str | None = None
    name: str | None = None

    @property
    def raw(self) -> RawConfiguration:
        return RawConfiguration(format=self.format, filters=self.filters, options=self.options)


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A request whose every name and value is known to be good."""

    datasource: Datasource
    configuration: Configuration
    filters: Mapping[str, Any]
    template: Template | None


class RequestChecker:
    def __init__(
        self,
        datasources: DatasourceService,
        templates: TemplateService,
        option_defaults: Mapping[str, Any],
    ) -> None:
        self._datasources = datasources
        self._templates = templates
        self._option_defaults = option_defaults
        self._reflections = Reflections()

    def check(self, request: JobRequest, user: User, *, faults: Mapping[str, Any] | None = None) -> Checked:
        """Lay the request over its template and check everything.

        `faults` are those of the request's shape that were found already: all are raised at once. Raises Invalid,
        TemplateInactive.
        """
        found = dict(faults or {})
        if request.name is not None and not is_name(request.name):
            found.setdefault("name", NAME_RULE)
        template = self._template(request, user, found)
        raw = merge(raw_configuration(template.configuration), request.raw) if template else request.raw
        datasource = self._datasource(request, user, found)
        configuration = self._configuration(raw, found)
        if datasource is not None:
            self._check_names(datasource, raw.filters, found)
        if found or datasource is None or configuration is None:
            raise Invalid(found)
        return Checked(
            datasource=datasource, configuration=configuration, filters=raw.filters, template=template
        )

    def _template(self, request: JobRequest, user: User, faults: dict[str, Any]) -> Template | None:
        if request.template is None or "template" in faults:
            return None
        try:
            return self._templates.usable(request.template, user)
        except TemplateNotFound as exc:
            faults["template"] = exc.message
            return None

    def _datasource(self, request: JobRequest, user: User, faults: dict[str, Any]) -> Datasource | None:
        if request.datasource is None or "datasource" in faults:
            faults.setdefault("datasource", "Required: the id of a datasource")
            return None
        try:
            return self._datasources.get(request.datasource, user)
        except DatasourceNotFound as exc:
            faults["datasource"] = exc.message
            return None

    def _configuration(self, raw: RawConfiguration, faults: dict[str, Any]) -> Configuration | None:
        """A format that the missing template would have given is no second fault."""
        try:
            return parse_configuration(raw, defaults=self._option_defaults)
        except Invalid as exc:
            for name, fault in exc.errors.items():
                if name != "format" or raw.format is not None or "template" not in faults:
                    faults.setdefault(name, fault)
            return None

    def _check_names(
        self, datasource: Datasource, filters: Mapping[str, Any], faults: dict[str, Any]
    ) -> None:
        """Hold every name against the real columns; faults of shape are told along with them."""
        try:
            self._check_filters(datasource, filters)
        except Invalid as exc:
            shape = faults.get("filters")
            faults["filters"] = {**(shape if isinstance(shape, Mapping) else {}), **exc.errors}
        except ExportFailed as exc:
            faults["datasource"] = exc.message

    def _check_filters(self, datasource: Datasource, filters: Mapping[str, Any]) -> None:
        """Open the datasource, unless its columns are known to be as they were. Raises Invalid or ExportFailed."""
        table = filters.get("table")
        table = table if isinstance(table, str) else None
        asked = (datasource.url, datasource.table, datasource.query, table)
        proof = self._datasources.proof(datasource)
        known = self._reflections.known(asked, proof)
        if known is not None:
            check_filters(filters, known, dialect=datasource.kind, date_column=datasource.date_column)
            return
        with self._datasources.open(datasource) as source:
            relation = relation_of(source, datasource, table)
            self._reflections.keep(asked, proof, relation)
            _plan(source, relation, datasource, filters)


def _plan(source: Source, relation: Relation, datasource: Datasource, filters: Mapping[str, Any]) -> None:
    """Also let the planner read the values: only the server itself knows an enum's labels. Raises Invalid."""
    date_column = datasource.date_column
    spec = check_filters(filters, relation, dialect=source.dialect, date_column=date_column)
    compiled = compile_query(spec, relation, dialect=source.dialect, date_column=date_column)
    try:
        source.estimate(compiled.statement)
    except QueryFailed as exc:
        raise Invalid({"where_conditions": exc.message}) from exc
