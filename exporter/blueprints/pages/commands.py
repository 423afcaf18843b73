"""The same export as a command to copy: for curl, for Python, for the command line."""

import csv
import io
import json
import shlex
from collections.abc import Mapping
from typing import Any

from exporter.blueprints.pages.compose import quoted
from exporter.query.spec import LISTS, RANGES

PYTHON = '''import json
from urllib.request import Request, urlopen

TOKEN = "exp_…"
body = json.loads(r"""
{body}
""")
request = Request(
    "{address}",
    data=json.dumps(body).encode(),
    headers={{"Authorization": f"Bearer {{TOKEN}}", "Content-Type": "application/json"}},
)
print(json.load(urlopen(request, timeout=60))["data"]["id"])'''


def curl(body: Mapping[str, Any], address: str) -> str:
    text = json.dumps(body, ensure_ascii=False, indent=2)
    return (
        f'curl -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\\n'
        f"  {address} \\\n  -d {shlex.quote(text)}"
    )


def python(body: Mapping[str, Any], address: str) -> str:
    """Carry the body as JSON with every character outside ASCII escaped: no three quotes in a row stand in it."""
    text = json.dumps(body, indent=2)
    return PYTHON.format(body=text, address=address)


def command_line(body: Mapping[str, Any], datasource: str) -> str | None:
    """Spell the export for `exporter exports create`; None for what its options cannot say."""
    filters = body["filters"]
    ranged = filters.get("date_range", {})
    if "aggregates" in filters or filters.get("include_headers") is False or "column" in ranged:
        return None
    try:
        conditions = [where(each) for each in filters.get("where_conditions", [])]
    except (KeyError, TypeError):
        return None
    pairs = [
        ("--table", filters.get("table")),
        ("--columns", _csv(filters["columns"]) if filters.get("columns") else None),
        *(("--where", each) for each in conditions),
        ("--date-from", ranged.get("start")),
        ("--date-to", ranged.get("end")),
        ("--group-by", ", ".join(quoted(each) for each in filters.get("group_by", [])) or None),
        ("--order-by", ", ".join(filters.get("order_by", [])) or None),
        ("--limit", filters.get("limit")),
        ("--format", body["format"]),
        *(("--option", f"{name}={_plain(value)}") for name, value in body.get("options", {}).items()),
        ("--name", body.get("name")),
    ]
    words = [f"{name} {shlex.quote(str(value))}" for name, value in pairs if value is not None]
    return f"exporter exports create {shlex.quote(datasource)} " + " ".join(words)


def where(condition: Mapping[str, Any]) -> str:
    """Spell one condition as `--where` reads it. Raises KeyError or TypeError for what it cannot say."""
    start = f"{quoted(condition['column'])} {condition['operator']}"
    if "value" not in condition:
        return start
    value = condition["value"]
    if condition["operator"] in LISTS:
        return f"{start} ({', '.join(_literal(each) for each in value)})"
    if condition["operator"] in RANGES:
        low, high = value
        return f"{start} {_literal(low)} and {_literal(high)}"
    return f"{start} {_literal(value)}"


def _literal(value: Any) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise TypeError(value)


def _plain(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool) else str(value)


def _csv(names: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(names)
    return line.getvalue()
