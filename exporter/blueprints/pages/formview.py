"""What the templates of the form and of its preview are given."""

from collections.abc import Iterable, Mapping
from typing import Any

from flask import url_for

from exporter.blueprints.context import services
from exporter.blueprints.pages import commands, conditions
from exporter.blueprints.pages.choices import Choices, Condition
from exporter.blueprints.pages.compose import Composed
from exporter.blueprints.pages.frame import Frame
from exporter.blueprints.pages.optionfields import option_fields, preset_choices
from exporter.blueprints.schemas import FORMAT_NAMES, MAX_PAGE_SIZE
from exporter.jobs.requests import JobRequest
from exporter.model import Template, User
from exporter.query.families import Family, family
from exporter.query.spec import Function
from exporter.storage.templates import TemplateQuery

SHOWN_ROWS = 12
SHOWN_COLUMNS = 40
FEW_VALUES = 12  # so many different texts in the first rows are worth suggesting
DIRECTIONS = (
    ("asc", "smallest first"),
    ("desc", "largest first"),
    ("asc nulls first", "smallest first, missing at the top"),
    ("asc nulls last", "smallest first, missing at the end"),
    ("desc nulls first", "largest first, missing at the top"),
    ("desc nulls last", "largest first, missing at the end"),
)
FUNCTIONS = {
    Function.COUNT: "count of rows or values",
    Function.COUNT_DISTINCT: "count of different values",
    Function.SUM: "sum",
    Function.AVG: "average",
    Function.MIN: "smallest",
    Function.MAX: "largest",
}


def form(choices: Choices, frame: Frame, faults: Mapping[str, str], user: User) -> dict[str, Any]:
    return {
        "choices": choices,
        "frame": frame,
        "faults": dict(faults),
        "checklist": checklist(choices, frame),
        "moved": _moved(choices, frame),
        "formats": FORMAT_NAMES,
        "presets": preset_choices(choices.format),
        "options": option_fields(choices, option_defaults()),
        "templates": usable_templates(user),
        "editing": services().templates.get(choices.editing, user) if choices.editing else None,
        "directions": DIRECTIONS,
        "functions": [(str(name), word) for name, word in FUNCTIONS.items()],
        "operators_of": lambda row: conditions.operators(
            frame.columns.get(row.column), frame.dialect, row.operator
        ),
        "widget_of": lambda row: _widget(row, frame),
    }


def option_defaults() -> dict[str, Any]:
    return {"escape_formulas": services().settings.escape_formulas}


def _widget(row: Condition, frame: Frame) -> str:
    return conditions.widget(frame.columns.get(row.column), frame.dialect, row)


def checklist(choices: Choices, frame: Frame) -> list[dict[str, Any]]:
    """List the columns to tick: the chosen ones keep their order, the others stand where the table has them."""
    known = frame.columns
    chosen = known.keys() if choices.columns is None else dict.fromkeys(choices.columns)
    names = known if choices.columns is None else _merged(list(chosen), list(known))
    return [
        {
            "name": name,
            "type": known[name].database_type or "any" if name in known else "",
            "chosen": name in chosen,
            "unknown": bool(known) and name not in known,
        }
        for name in names
    ]


def _merged(chosen: list[str], known: list[str]) -> list[str]:
    """Put each column that is not chosen behind the one that it follows in the table."""
    merged, taken = list(chosen), set(chosen)
    before: str | None = None
    for name in known:
        if name not in taken:
            merged.insert(merged.index(before) + 1 if before is not None else 0, name)
        before = name
    return merged


def _moved(choices: Choices, frame: Frame) -> bool:
    """Say whether all columns ticked would still be a choice: of their order, or as a template spells them."""
    if choices.columns is None:
        return False
    known = list(frame.columns)
    inside = [name for name in known if name in set(choices.columns)]
    return list(choices.columns) != inside or len(inside) == len(known)


def usable_templates(user: User) -> list[Template]:
    query = TemplateQuery(visible_to=None if user.is_admin else user.id, page_size=MAX_PAGE_SIZE)
    return [template for template in services().templates.page(query).items if template.is_active]


def preview(choices: Choices, composed: Composed, frame: Frame, user: User) -> dict[str, Any]:
    """Look at the first rows and guess the size. Raises Invalid with every fault, and what a database refuses."""
    body = {"datasource": choices.datasource, **composed.configuration, "filters": composed.filters}
    if choices.name.strip():
        body["name"] = choices.name.strip()
    checked = services().checker.check(JobRequest(**body), user)
    seen = services().previews.preview(checked.datasource, checked.filters)
    address = url_for("exports.create", _external=True)
    return {
        "columns": [dict(column) for column in seen.columns[:SHOWN_COLUMNS]],
        "more_columns": max(0, len(seen.columns) - SHOWN_COLUMNS),
        "rows": [row[:SHOWN_COLUMNS] for row in seen.rows[:SHOWN_ROWS]],
        "more_rows": len(seen.rows) > SHOWN_ROWS,
        "expected": services().previews.estimate(checked.datasource, checked.configuration),
        "sql": seen.sql,
        "suggestions": {} if choices.grouped else _suggestions(seen.columns, seen.rows, frame),
        "commands": {
            "curl": commands.curl(body, address),
            "Python": commands.python(body, address),
            "Command line": commands.command_line(body, checked.datasource.name),
        },
    }


def _suggestions(
    columns: Iterable[Mapping[str, str]], rows: list[list[Any]], frame: Frame
) -> dict[str, list[str]]:
    """Give the values of columns of text that hold only a few different ones, as enumerations do."""
    found = {}
    for place, column in enumerate(columns):
        known = frame.columns.get(column["name"])
        if known is None or family(known, frame.dialect) not in {Family.TEXT, Family.OTHER}:
            continue
        values = {row[place] for row in rows if isinstance(row[place], str)}
        if 1 < len(values) <= FEW_VALUES:
            found[column["name"]] = sorted(values)
    return found
