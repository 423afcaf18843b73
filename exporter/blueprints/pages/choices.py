"""What somebody has chosen in the form of a new export, as text, before anything of it is checked.

A form is read into `Choices`, edited by its buttons, and shown again from them: nothing that was typed is lost.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from werkzeug.datastructures import MultiDict

OPTION = "opt."
EDITS: dict[str, Callable[["Choices", str], "Choices"]] = {}
Edit = Callable[["Choices", str], "Choices"]


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One row of conditions. `was` is the JSON of the value that a template gave, for a text that nobody changed."""

    column: str = ""
    operator: str = "="
    value: str = ""
    to: str = ""
    was: str = ""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Rows of which all or any must hold; or, with `kept`, JSON that a template nests deeper than the form shows."""

    kind: str = "all"
    conditions: tuple[Condition, ...] = ()
    kept: str = ""


@dataclass(frozen=True, kw_only=True)
class Sort:
    """`direction` is asc or desc, perhaps followed by `nulls first` or `nulls last`."""

    column: str = ""
    direction: str = "asc"


@dataclass(frozen=True, kw_only=True)
class Figure:
    function: str = "count"
    column: str = ""
    alias: str = ""


@dataclass(frozen=True, kw_only=True)
class Choices:
    """`columns` is None for all of them; `of` names the table that the columns were shown of."""

    datasource: str = ""
    table: str = ""
    of: str = ""
    template: str = ""
    editing: str = ""
    name: str = ""
    format: str = "csv"
    options: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[str, ...] | None = None
    groups: tuple[Group, ...] = ()
    by: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    sorts: tuple[Sort, ...] = ()
    limit: str = ""
    range_column: str = ""
    range_start: str = ""
    range_end: str = ""
    headers: bool = True
    save_name: str = ""
    save_description: str = ""
    save_type: str = "user"

    @property
    def grouped(self) -> bool:
        return bool(self.by or self.figures)

    @property
    def narrowed(self) -> bool:
        """Say whether anything leaves out rows or columns, so that the form shows it opened."""
        ends = (self.limit, self.range_start, self.range_end)
        return bool(self.groups or self.sorts or self.grouped or any(ends) or self.columns is not None)


SIMPLE = (
    *("datasource", "table", "of", "template", "editing", "name", "format", "limit"),
    *("range_column", "range_start", "range_end", "save_name", "save_description", "save_type"),
)


def from_form(form: MultiDict[str, str]) -> Choices:
    plain = {name: form[name] for name in SIMPLE if name in form}
    shown = "columns.shown" in form
    choices = Choices(
        **plain,
        options={
            name.removeprefix(OPTION): value
            for name, value in form.items()
            if name.startswith(OPTION) and value != ""
        },
        columns=_columns(form) if shown else None,
        groups=_groups(form),
        by=tuple(form.getlist("by")),
        figures=tuple(_row(Figure, form, "figure", place) for place in form.getlist("figure")),
        sorts=tuple(_row(Sort, form, "sort", place) for place in form.getlist("sort")),
        headers="headers" in form or "headers.shown" not in form,
    )
    return _of_another_table(choices)


def _columns(form: MultiDict[str, str]) -> tuple[str, ...] | None:
    """Give the chosen columns in their order; all of them, unmoved, is the same as no choice."""
    chosen = tuple(form.getlist("columns"))
    return None if form["columns.shown"] == f"{len(chosen)}" and "columns.moved" not in form else chosen


def _of_another_table(choices: Choices) -> Choices:
    """Choose all columns again once another table is chosen; the rest is kept as it was typed."""
    moved = bool(choices.of) and choices.of != place_of(choices)
    return replace(choices, columns=None) if moved else choices


def place_of(choices: Choices) -> str:
    return f"{choices.datasource} {choices.table}"


def _groups(form: MultiDict[str, str]) -> tuple[Group, ...]:
    rows = [(form.get(f"where.{place}.group"), place) for place in form.getlist("where")]
    return tuple(
        Group(
            kind=form.get(f"group.{number}.kind", "all"),
            kept=form.get(f"group.{number}.kept", ""),
            conditions=tuple(
                _row(Condition, form, "where", place) for group, place in rows if group == number
            ),
        )
        for number in form.getlist("group")
    )


def _row(kind: type[Any], form: MultiDict[str, str], name: str, place: str) -> Any:
    """Read one row of several fields that share a number."""
    values = {each: form.get(f"{name}.{place}.{each}") for each in kind.__dataclass_fields__}
    return kind(**{each: value for each, value in values.items() if value is not None})


def edited(choices: Choices, what: str) -> Choices:
    """Do what a button of the form says, such as `drop-sort:2`; anything unknown changes nothing."""
    name, _, place = what.partition(":")
    edit = EDITS.get(name)
    try:
        return edit(choices, place) if edit else choices
    except (ValueError, IndexError):
        return choices


def _edit(name: str) -> Callable[[Edit], Edit]:
    def keep(edit: Edit) -> Edit:
        EDITS[name] = edit
        return edit

    return keep


def _without(items: tuple[Any, ...], place: str) -> tuple[Any, ...]:
    index = int(place)
    return items[:index] + items[index + 1 :]


@_edit("add-condition")
def _add_condition(choices: Choices, place: str) -> Choices:
    if not choices.groups:
        return replace(choices, groups=(Group(conditions=(Condition(),)),))
    index = int(place or 0)
    group = choices.groups[index]
    grown = replace(group, conditions=(*group.conditions, Condition()))
    return replace(choices, groups=(*choices.groups[:index], grown, *choices.groups[index + 1 :]))


@_edit("add-group")
def _add_group(choices: Choices, _: str) -> Choices:
    return replace(choices, groups=(*choices.groups, Group(kind="any", conditions=(Condition(),))))


@_edit("drop-group")
def _drop_group(choices: Choices, place: str) -> Choices:
    return replace(choices, groups=_without(choices.groups, place))


@_edit("drop-condition")
def _drop_condition(choices: Choices, place: str) -> Choices:
    """Drop a row, and with its last row the group."""
    number, row = (int(part) for part in place.split("."))
    group = choices.groups[number]
    left = replace(group, conditions=_without(group.conditions, str(row)))
    groups = (*choices.groups[:number], left, *choices.groups[number + 1 :])
    return replace(choices, groups=tuple(each for each in groups if each.conditions or each.kept))


@_edit("add-sort")
def _add_sort(choices: Choices, _: str) -> Choices:
    return replace(choices, sorts=(*choices.sorts, Sort()))


@_edit("drop-sort")
def _drop_sort(choices: Choices, place: str) -> Choices:
    return replace(choices, sorts=_without(choices.sorts, place))


@_edit("add-by")
def _add_by(choices: Choices, _: str) -> Choices:
    return replace(choices, by=(*choices.by, ""))


@_edit("drop-by")
def _drop_by(choices: Choices, place: str) -> Choices:
    return replace(choices, by=_without(choices.by, place))


@_edit("add-figure")
def _add_figure(choices: Choices, _: str) -> Choices:
    return replace(choices, figures=(*choices.figures, Figure()))


@_edit("drop-figure")
def _drop_figure(choices: Choices, place: str) -> Choices:
    return replace(choices, figures=_without(choices.figures, place))


def compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
