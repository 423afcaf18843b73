"""The API's description as a page to read. It is rendered here, from our own files alone, and runs no script."""

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from flask import Blueprint, Response, make_response, render_template, request

from exporter.blueprints.described import describes
from exporter.blueprints.service import api_document

bp = Blueprint("docs", __name__, static_folder="../static", static_url_path="/data-tools/static")


@bp.app_template_filter()
def spelled(value: object, indent: int | None = None) -> str:
    """Spell a value as JSON for a reader; Jinja escapes it, while its own `tojson` writes `<` as an escape."""
    return json.dumps(value, indent=indent, ensure_ascii=False)


@bp.get("/data-tools/api/docs/")
@describes("Read about the API", details="A page for people.", media=lambda: ("text/html",))
def page() -> Response:
    document = api_document()
    sections = [
        {**tag, "operations": [told for told in _operations(document) if tag["name"] in told["tags"]]}
        for tag in document["tags"]
    ]
    return make_response(render_template("api.html", document=document, sections=sections))


def _operations(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            told = {**operation, "method": method.upper(), "path": path}
            yield {**told, "curl": _curl(told), "request": _request_schema(told)}


def _request_schema(operation: Mapping[str, Any]) -> Any:
    content = operation.get("requestBody", {}).get("content", {})
    return next((each["schema"] for each in content.values()), None)


def _curl(operation: Mapping[str, Any]) -> str:
    """Spell the call as a shell command, with the token in a variable and ids in capitals."""
    path = operation["path"].replace("{", "").replace("}", "")
    for parameter in operation["parameters"]:
        if parameter["in"] == "path":
            path = path.replace(parameter["name"], parameter["name"].upper())
    method = {"GET": "", "HEAD": " --head"}.get(operation["method"], f" -X {operation['method']}")
    sign_in = "" if operation.get("security") == [] else ' -H "Authorization: Bearer $TOKEN"'
    return f"curl{method}{sign_in}{_curl_body(operation)} \\\n  {request.host_url.rstrip('/')}{path}"


def _curl_body(operation: Mapping[str, Any]) -> str:
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        if "example" in content:
            text = spelled(content["example"], 2)
            return f" \\\n  -H 'Content-Type: {kind}' \\\n  -d {shlex.quote(text)}"
    return ""
