"""The flags that say what to export, and the body of `POST exports/` that they make."""

import csv
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from exporter.cli.backend import Backend, Document
from exporter.errors import Invalid

F = TypeVar("F", bound=Callable[..., Any])

FORMATS = click.Choice(["csv", "json", "parquet", "excel"])
OPTIONS = (
    click.option("--table", help="Needed unless the datasource is bound to a table or a query."),
    click.option("--format", "format_name", type=FORMATS, help="csv, if left out."),
    click.option("--columns", metavar="A,B", help="All, if left out."),
    click.option(
        "--where", multiple=True, metavar="CONDITION", help="e.g. 'price >= 10'. Repeat: all must hold."
    ),
    click.option("--order-by", metavar="A,B", help="e.g. 'created_at DESC, id'"),
    click.option("--group-by", metavar="A,B", help="e.g. 'city, year'; the rows are the groups."),
    click.option("--limit", type=int, metavar="N", help="At most so many rows."),
    click.option("--date-from", metavar="DATE", help="From this day or moment on, in the date column."),
    click.option("--date-to", metavar="DATE", help="To the end of this day, or to this moment."),
    click.option("--template", metavar="NAME", help="Start from this template."),
    click.option(
        "--option", "options", multiple=True, metavar="NAME=VALUE", help="e.g. delimiter=tab. Repeat."
    ),
)


def export_options(function: F) -> F:
    """Give a command the flags that `export_request` takes."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function


def export_request(
    backend: Backend, datasource: str, template: str | None, asked: Mapping[str, Any]
) -> Document:
    """Give the body. Raises Invalid; names and values are checked by whoever takes it."""
    body = _request(asked)
    body["datasource"] = backend.datasource(datasource)["id"]
    if template is not None:
        body["template"] = backend.template(template)["id"]
    else:
        body.setdefault("format", "csv")
    return body


def _request(asked: Mapping[str, Any]) -> Document:
    faults: dict[str, Any] = {}
    filters = {
        "table": asked["table"],
        "columns": _names(asked["columns"]),
        "where_conditions": _conditions(asked["where"], faults),
        "order_by": asked["order_by"],
        "group_by": asked["group_by"],
        "limit": asked["limit"],
        "date_range": _given({"start": asked["date_from"], "end": asked["date_to"]}),
    }
    options = _options(asked["options"], faults)
    if faults:
        raise Invalid(faults)
    body = {"filters": _given(filters), "options": options}
    return body | _given({"format": asked["format_name"], "name": asked.get("name")})


def _given(values: Document) -> Document:
    return {name: value for name, value in values.items() if value not in (None, [], {})}


def _names(text: str | None) -> list[str] | None:
    """Split at commas; a name that holds one stands in double quotes."""
    if text is None:
        return None
    return [name.strip() for name in next(csv.reader([text], skipinitialspace=True), [""])]


def _conditions(texts: tuple[str, ...], faults: dict[str, Any]) -> list[Any]:
    from exporter.query import parse_where

    found = []
    for text in texts:
        try:
            found.append(parse_where(text))
        except ValueError as exc:
            faults["--where"] = "; ".join(filter(None, (faults.get("--where"), str(exc))))
    return found


def _options(texts: tuple[str, ...], faults: dict[str, Any]) -> dict[str, str]:
    """Give each option as the text it is: the formats read numbers, `true`, `crlf` and `tab` themselves."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            faults["--option"] = f"{text!r} is not of the form name=value"
        found[name] = value
    return found
