"""From the flags of `exports create` to the body of `POST exports/`."""

import csv
from collections.abc import Mapping
from typing import Any

from exporter.cli.backend import Document
from exporter.errors import Invalid


def export_request(asked: Mapping[str, Any]) -> Document:
    """Give format, filters, options and name. Raises Invalid; names and values are checked by whoever takes it."""
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
    return body | _given({"format": asked["format_name"], "name": asked["name"]})


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
