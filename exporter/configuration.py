"""A configuration = {format, filters, options}: what a job and a template have in common."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exporter.errors import Invalid
from exporter.formats import registry
from exporter.formats.base import FormatEntry
from exporter.formats.options import parse_options
from exporter.query import QuerySpec, parse_filters

INVALID_FORMAT = "Invalid format. Must be one of: csv, json, parquet, excel"


@dataclass(frozen=True, kw_only=True)
class RawConfiguration:
    """A configuration as a request or a template spells it, not yet checked."""

    format: str | None
    filters: Mapping[str, Any]
    options: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """A checked configuration; `options` are complete, with presets expanded and defaults filled in."""

    entry: FormatEntry
    spec: QuerySpec
    options: Mapping[str, Any]


def parse_configuration(raw: RawConfiguration, *, defaults: Mapping[str, Any]) -> Configuration:
    """Check the three parts; `defaults` are the installation's option defaults. Raises Invalid with every fault."""
    faults: dict[str, Any] = {}
    entry = registry.FORMATS.get(raw.format) if isinstance(raw.format, str) else None
    options: Mapping[str, Any] = {}
    spec = None
    if entry is None:
        faults["format"] = INVALID_FORMAT
    else:
        try:
            options = parse_options(entry, raw.options, defaults=defaults)
        except Invalid as exc:
            faults["options"] = exc.errors
    try:
        spec = parse_filters(raw.filters)
    except Invalid as exc:
        faults["filters"] = exc.errors
    if faults or entry is None or spec is None:
        raise Invalid(faults)
    return Configuration(entry=entry, spec=spec, options=options)


def merge(base: RawConfiguration, over: RawConfiguration) -> RawConfiguration:
    """Lay a request over a template: its own keys win, lists are replaced.

    Where the request asks for another format, the template's options that this format lacks are left out.
    """
    name = over.format if over.format is not None else base.format
    base_options = dict(base.options)
    entry = registry.FORMATS.get(name) if isinstance(name, str) else None
    if entry is not None and name != base.format:
        known = entry.options().fields
        base_options = {key: value for key, value in base_options.items() if key in known}
    return RawConfiguration(
        format=name, filters={**base.filters, **over.filters}, options={**base_options, **over.options}
    )
