"""From the configuration of a template or a job back to choices, so that the form shows it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from exporter.blueprints.pages.choices import Choices, Figure, Group, Sort, compact
from exporter.blueprints.pages.conditions import shown
from exporter.errors import Invalid
from exporter.formats import registry
from exporter.formats.options import parse_options
from exporter.query import parse_filters
from exporter.query.spec import OrderTerm, QuerySpec

LINE_ENDS = {"\n": "lf", "\r\n": "crlf", "\t": "tab"}  # characters that a form would not carry


def of_configuration(configuration: Mapping[str, Any], base: Choices) -> Choices:
    """Lay a configuration over `base`: what it does not speak of stays."""
    filters, options = configuration.get("filters") or {}, configuration.get("options") or {}
    chosen = replace(
        base,
        format=configuration.get("format") or base.format,
        options={name: option_text(value) for name, value in options.items()},
    )
    if not filters:
        return chosen
    spec = parse_filters(filters)
    dates = filters.get("date_range") or {}
    return replace(
        chosen,
        table=spec.table or base.table,
        of="",
        columns=spec.columns,
        groups=_groups(filters.get("where_conditions") or []),
        by=tuple(term.column for term in spec.group_by),
        figures=_figures(spec),
        sorts=tuple(Sort(column=term.column, direction=_direction(term)) for term in spec.order_by),
        limit="" if spec.limit is None else str(spec.limit),
        headers=spec.include_headers,
        range_start=dates.get("start") or "",
        range_end=dates.get("end") or "",
        range_column=dates.get("column") or "",
    )


def given_options(
    format_name: str, complete: Mapping[str, Any], defaults: Mapping[str, Any]
) -> dict[str, Any]:
    """Reduce a job's complete options to those that say something beside its preset and the defaults."""
    preset = {"preset": complete["preset"]} if complete.get("preset") else {}
    try:
        plain = parse_options(registry.get(format_name), preset, defaults=defaults)
    except Invalid:  # the preset has gone since
        return dict(complete)
    return {name: value for name, value in complete.items() if name in preset or plain.get(name) != value}


def option_text(value: Any) -> str:
    if isinstance(value, str):
        return LINE_ENDS.get(value, value)
    return "none" if value is None else json.dumps(value)


def _groups(items: list[Any]) -> tuple[Group, ...]:
    """Gather the plain conditions, then one group for each OR; deeper nesting is kept as it is."""
    plain = tuple(shown(item) for item in items if "column" in item)
    groups = [Group(conditions=plain)] if plain else []
    for item in items:
        if "column" not in item:
            inner = item.get("any", [])
            flat = bool(inner) and all("column" in each for each in inner)
            groups.append(
                Group(kind="any", conditions=tuple(shown(each) for each in inner))
                if flat
                else Group(kept=compact(item))
            )
    return tuple(groups)


def _figures(spec: QuerySpec) -> tuple[Figure, ...]:
    return tuple(
        Figure(function=str(each.function), column=each.column or "", alias=each.alias or "")
        for each in spec.aggregates
    )


def _direction(term: OrderTerm) -> str:
    nulls = f" nulls {term.nulls}" if term.nulls else ""
    return ("desc" if term.descending else "asc") + nulls
