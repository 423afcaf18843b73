"""The options of a format as fields of a form, made of the schema that checks them."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from marshmallow import missing

from exporter.blueprints.pages.choices import Choices
from exporter.blueprints.pages.decompose import option_text
from exporter.formats import registry
from exporter.formats.options import Choice, Switch
from exporter.formats.presets import PRESETS

PRESET_WORDS = MappingProxyType(
    {
        "spreadsheet": "Excel",
        "spreadsheet-eu": "Excel, Europe (semicolons)",
        "postgres-copy": "loading back into PostgreSQL",
        "pandas": "pandas",
        "bigquery": "BigQuery and other loaders: one object a line",
    }
)
LABELS = MappingProxyType(
    {
        "file_name": "File name",
        "compression": "Compression",
        "delimiter": "Between values",
        "quoting": "Quotes around",
        "encoding": "Encoding",
        "encoding_errors": "A character the encoding lacks",
        "line_terminator": "Line ends",
        "null_value": "A missing value is written as",
        "escape_formulas": "Disarm texts that look like formulas",
        "booleans": "True and false",
        "layout": "Layout",
        "indent": "Indent by",
        "row_group_size": "Rows in a group",
        "sheet_name": "Name of the sheet",
    }
)
VALUES = MappingProxyType(
    {
        ("quoting", "text"): "texts",
        ("quoting", "minimal"): "only where needed",
        ("quoting", "all"): "everything",
        ("delimiter", ","): "comma ,",
        ("delimiter", ";"): "semicolon ;",
        ("delimiter", "tab"): "tab",
        ("delimiter", "|"): "bar |",
        ("encoding_errors", "strict"): "stops the export",
        ("encoding_errors", "replace"): "becomes ?",
        ("encoding", "utf-8-sig"): "utf-8 with a mark, for Excel",
        ("line_terminator", "lf"): "LF (Linux, macOS)",
        ("line_terminator", "crlf"): "CRLF (Windows)",
        ("layout", "array"): "one array of objects",
        ("layout", "lines"): "one object a line",
        ("layout", "columns"): "columns, then rows",
        ("escape_formulas", "true"): "yes",
        ("escape_formulas", "false"): "no",
    }
)
COMMON = MappingProxyType({"delimiter": (",", ";", "tab", "|")})


@dataclass(frozen=True, kw_only=True)
class OptionField:
    """`choices` are (value, words); without any it is a text field. `default` is what leaving it empty means."""

    name: str
    label: str
    value: str
    default: str
    choices: tuple[tuple[str, str], ...]


def option_fields(choices: Choices, defaults: Mapping[str, Any]) -> list[OptionField]:
    """List the fields; `defaults` are the installation's own."""
    entry = registry.FORMATS.get(choices.format)
    if entry is None:
        return []
    fields = entry.options().fields
    known = [
        _field(name, fields[name], choices, defaults)
        for name in sorted(fields, key=_rank)
        if name != "preset"
    ]
    lost = [name for name in choices.options if name not in fields]
    return [*known, *(_unknown(name, choices) for name in lost)]


def preset_choices(format_name: str) -> list[tuple[str, str]]:
    return [(name, PRESET_WORDS.get(name, name)) for name in PRESETS.get(format_name, {})]


def _rank(name: str) -> int:
    order = list(LABELS)
    return order.index(name) if name in order else len(order)


def _field(name: str, schema: Any, choices: Choices, defaults: Mapping[str, Any]) -> OptionField:
    value = choices.options.get(name, "")
    words = [(each, VALUES.get((name, each), each)) for each in _words(name, schema)]
    if words and value and value not in dict(words):
        words.append((value, value))
    return OptionField(
        name=name,
        label=_label(name),
        value=value,
        default=_default(name, schema, choices, defaults),
        choices=tuple(words),
    )


def _label(name: str) -> str:
    return LABELS.get(name, name.replace("_", " ").capitalize())


def _words(name: str, schema: Any) -> tuple[str, ...]:
    if isinstance(schema, Switch):
        return ("true", "false")
    if isinstance(schema, Choice):
        one_of: Any = schema.validators[0]
        return tuple(option_text(each) for each in one_of.choices)
    return COMMON.get(name, ())


def _default(name: str, schema: Any, choices: Choices, defaults: Mapping[str, Any]) -> str:
    preset = PRESETS.get(choices.format, {}).get(choices.options.get("preset", ""), {})
    found = preset.get(name, defaults.get(name, schema.load_default))
    if found is missing or found in (None, ""):
        return "nothing" if name in {"null_value", "indent"} else ""
    text = option_text(found)
    return VALUES.get((name, text), text)


def _unknown(name: str, choices: Choices) -> OptionField:
    """Show an option that this format does not know, so that its fault has a place."""
    return OptionField(name=name, label=_label(name), value=choices.options[name], default="", choices=())
