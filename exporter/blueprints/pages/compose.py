"""From choices to the body of `POST exports/`, remembering which field of the form each part came from."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from exporter.blueprints.pages.choices import Choices, Condition, Group
from exporter.blueprints.pages.conditions import known, value_of
from exporter.query.spec import NULL_TESTS
from exporter.sources.base import Column, Relation

PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
WORDS = frozenset({"asc", "desc", "nulls", "first", "last"})
FILTERS = (
    *("table", "columns", "where_conditions", "group_by", "aggregates", "order_by", "limit", "date_range"),
    "include_headers",
)
Path = tuple[str, ...]
FIELDS: Mapping[Path, str] = {
    ("datasource",): "datasource",
    ("format",): "format",
    ("name",): "name",
    ("filters", "table"): "table",
    ("filters", "columns"): "columns",
    ("filters", "where_conditions"): "conditions",
    ("filters", "group_by"): "by",
    ("filters", "aggregates"): "figures",
    ("filters", "order_by"): "sorts",
    ("filters", "limit"): "limit",
    ("filters", "date_range"): "range_column",
    ("filters", "date_range", "start"): "range_start",
    ("filters", "date_range", "end"): "range_end",
    ("filters", "include_headers"): "headers",
}


@dataclass(frozen=True, kw_only=True)
class Composed:
    """`places` leads from a path in the body to the field of the form."""

    format: str
    filters: dict[str, Any]
    options: dict[str, Any]
    places: dict[Path, str] = field(default_factory=dict)

    @property
    def configuration(self) -> dict[str, Any]:
        parts = {"format": self.format, "filters": self.filters, "options": self.options}
        return {name: part for name, part in parts.items() if part}


def compose(choices: Choices, relation: Relation | None, dialect: str, *, pinned: bool) -> Composed:
    places = dict(FIELDS)
    columns = {column.name: column for column in relation.columns} if relation else {}
    figures = _figures(choices, places)
    filters = {
        "table": None if pinned else choices.table or None,
        "columns": None if choices.grouped or choices.columns is None else list(choices.columns),
        "where_conditions": _where(choices.groups, columns, dialect, places),
        "group_by": [name for name in choices.by if name],
        "aggregates": figures,
        "order_by": _order(choices, places),
        "limit": int(choices.limit) if choices.limit.isdecimal() else choices.limit or None,
        "date_range": _date_range(choices),
        "include_headers": None if choices.headers else False,
    }
    given = {name: value for name, value in filters.items() if value is not None and value not in ([], {})}
    if filters["columns"] == []:
        given["columns"] = []
    return Composed(format=choices.format, filters=given, options=_options(choices, places), places=places)


def overriding(filters: Mapping[str, Any]) -> dict[str, Any]:
    """Say what is left out as null, so that no field of a template comes back."""
    return {name: filters.get(name) for name in FILTERS}


def _options(choices: Choices, places: dict[Path, str]) -> dict[str, Any]:
    for name in choices.options:
        places["options", name] = f"opt.{name}"
    words = {"true": True, "false": False}
    return {name: words.get(value, value) for name, value in choices.options.items()}


def _where(
    groups: tuple[Group, ...], columns: Mapping[str, Column], dialect: str, places: dict[Path, str]
) -> list[Any]:
    """Join the groups with AND; the rows of one of which all must hold need no group of their own."""
    found: list[Any] = []
    for number, group in enumerate(groups):
        if group.kept:
            places["filters", "where_conditions", str(len(found))] = f"group.{number}"
            found.append(json.loads(group.kept))
            continue
        rows = [(place, row) for place, row in enumerate(group.conditions) if row.column or row.value]
        if group.kind == "all":
            for place, row in rows:
                _note(places, (str(len(found)),), f"where.{number}.{place}")
                found.append(_condition(row, columns, dialect))
        elif rows:
            for index, (place, _) in enumerate(rows):
                _note(places, (str(len(found)), "any", str(index)), f"where.{number}.{place}")
            found.append({"any": [_condition(row, columns, dialect) for _, row in rows]})
    return found


def _note(places: dict[Path, str], path: Path, name: str) -> None:
    for part in ("column", "operator", "value"):
        places["filters", "where_conditions", *path, part] = f"{name}.{part}"
    places["filters", "where_conditions", *path] = f"{name}.value"


def _condition(row: Condition, columns: Mapping[str, Column], dialect: str) -> dict[str, Any]:
    found: dict[str, Any] = {"column": row.column, "operator": row.operator}
    if known(row.operator) not in NULL_TESTS:
        found["value"] = value_of(row, columns.get(row.column), dialect)
    return found


def _figures(choices: Choices, places: dict[Path, str]) -> list[dict[str, Any]]:
    found = []
    for place, figure in enumerate(choices.figures):
        parts = {"function": figure.function, "column": figure.column, "alias": figure.alias.strip()}
        for part in parts:
            places["filters", "aggregates", str(place), part] = f"figure.{place}.{part}"
        found.append({name: value for name, value in parts.items() if value})
    return found


def _order(choices: Choices, places: dict[Path, str]) -> list[str]:
    found: list[str] = []
    for place, sort in enumerate(choices.sorts):
        if sort.column:
            places["filters", "order_by", str(len(found))] = f"sort.{place}.column"
            direction = sort.direction.upper().removeprefix("ASC").strip()
            found.append(f"{quoted(sort.column)} {direction}".strip())
    return found


def quoted(name: str) -> str:
    """Spell a name for a list in text."""
    plain = PLAIN_NAME.fullmatch(name) and name.lower() not in WORDS
    return name if plain else '"' + name.replace('"', '""') + '"'


def _date_range(choices: Choices) -> dict[str, str]:
    ends = {"start": choices.range_start.strip(), "end": choices.range_end.strip()}
    if not any(ends.values()):
        return {}
    parts = {**ends, "column": choices.range_column}
    return {name: value for name, value in parts.items() if value}


def placed(errors: Mapping[str, Any], places: Mapping[Path, str]) -> dict[str, str]:
    """Bring every fault to its field; what belongs to none is under the empty name."""
    found: dict[str, str] = {}
    for path, sentence in _flat(errors, ()):
        near = next((places[path[:end]] for end in range(len(path), 0, -1) if path[:end] in places), "")
        said = found.get(near)
        found[near] = f"{said} {sentence}" if said else sentence
    return found


def _flat(errors: Any, path: Path) -> list[tuple[Path, str]]:
    if isinstance(errors, Mapping):
        return [pair for key, each in errors.items() for pair in _flat(each, (*path, str(key)))]
    return [(path, str(errors))]
