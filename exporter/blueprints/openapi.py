"""The API's description, made of the views, the schemas that read requests, and the table of errors.

Imported on the first request for it: apispec is needed for nothing else.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, cast

from apispec import APISpec
from apispec.ext.marshmallow.openapi import OpenAPIConverter
from flask import Flask
from marshmallow import Schema
from werkzeug.routing import Rule

from exporter import errors
from exporter.blueprints.answers import Nothing
from exporter.blueprints.described import Operation, operation_of
from exporter.blueprints.envelope import Failure, Invalid, enveloped
from exporter.blueprints.errors import STATUS, status_for
from exporter.blueprints.openapi_events import events
from exporter.blueprints.openapi_fields import Plugin, prepare
from exporter.blueprints.security import API, OPEN_ENDPOINTS, SAFE_METHODS
from exporter.version import __version__

JSON = "application/json"
DESCRIPTION = """\
Exports tables, views and queries of registered databases into CSV, JSON, Parquet and Excel files.

Every success is `{"success": true, "message": …, "data": …}`, every failure `{"success": false, "error": …}`. \
All faults of a request are told at once. Times are UTC, ISO 8601. Expect further fields in answers. A path that does \
not exist is a 404, a method that a path does not take a 405, both with the shape of `Failure`."""
TAGS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "auth": ("Signing in", "By session or by token."),
        "datasources": ("Datasources", "Registered databases. Admins add, change and remove them."),
        "exports": ("Export jobs", "One job writes the rows of one query into one file."),
        "export_templates": ("Export templates", "Named, reusable configurations of jobs."),
        "audit": ("Audit log", "Who did what, when and from where. For admins."),
        "schedules": ("Schedules", "Exports that recur."),
        "webhooks": ("Webhooks", "Signed requests to other programs when exports end."),
        "service": ("Service", "The server itself."),
        "docs": ("Service", "The server itself."),
    }
)
HEADERS: Mapping[str, tuple[str, dict[str, Any]]] = MappingProxyType(
    {
        "Idempotency-Key": (
            "The same key and body again within 24 hours give the first job, and create no other",
            {"type": "string", "minLength": 1, "maxLength": 255},
        ),
        "If-None-Match": ("An ETag: an answer that is still the same is a 304", {"type": "string"}),
        "Range": (
            "One range of bytes, answered with a 206",
            {"type": "string", "examples": ["bytes=0-1023"]},
        ),
        "If-Range": ("An ETag: the range is sent only of that very file", {"type": "string"}),
        "ETag": ("The tag of this state", {"type": "string"}),
        "Location": ("The path of what was created, or where the file is", {"type": "string"}),
        "Retry-After": ("Seconds until another try makes sense", {"type": "integer", "minimum": 0}),
        "WWW-Authenticate": ("How to sign in", {"type": "string"}),
        "Content-Range": ("Which bytes these are, of how many", {"type": "string"}),
        "Content-Disposition": ("The file's name", {"type": "string"}),
        "Accept-Ranges": ("Always `bytes`", {"type": "string"}),
    }
)


def build_document(app: Flask) -> dict[str, Any]:
    """Describe every view that says something of itself."""
    plugin = Plugin()
    tags = {name: {"name": name, "description": says} for name, says in TAGS.values()}
    spec = APISpec(
        title="Exporter",
        version=__version__,
        openapi_version="3.1.0",
        plugins=[plugin],
        info={"description": DESCRIPTION},
        servers=[{"url": "/"}],
        security=[{"bearer": []}, {"session": []}],
        tags=list(tags.values()),
    )
    spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer"})
    cookie = {"type": "apiKey", "in": "cookie", "name": app.config["SESSION_COOKIE_NAME"]}
    spec.components.security_scheme("session", cookie)
    prepare(spec, plugin)
    for rule, operation in described_rules(app):
        spec.path(path=template_of(rule), operations=_operations(rule, operation))
    told = events(cast("OpenAPIConverter", plugin.converter), TAGS["webhooks"][0])
    return {**spec.to_dict(), "webhooks": told}


def described_rules(app: Flask) -> Iterator[tuple[Rule, Operation]]:
    for rule in app.url_map.iter_rules():
        operation = operation_of(app.view_functions[rule.endpoint])
        if operation is not None:
            yield rule, operation


def template_of(rule: Rule) -> str:
    return re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)


def _operations(rule: Rule, operation: Operation) -> dict[str, Any]:
    methods = sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    told = {method.lower(): _operation(rule, operation, method) for method in methods}
    if operation.ranged:
        told["head"] = _operation(rule, operation, "HEAD")
    return told


def _operation(rule: Rule, operation: Operation, method: str) -> dict[str, Any]:
    blueprint = rule.endpoint.partition(".")[0]
    told: dict[str, Any] = {
        "operationId": rule.endpoint.replace(".", "_") + ("_head" if method == "HEAD" else ""),
        "summary": operation.summary,
        "tags": [TAGS[blueprint][0]],
        "parameters": list(_parameters(rule, operation)),
        "responses": dict(_responses(rule, operation, method)),
    }
    if operation.details:
        told["description"] = operation.details
    if operation.body is not None:
        content = _content(operation.body, operation.request_example)
        told["requestBody"] = {"required": operation.body_required, "content": content}
    if rule.endpoint in OPEN_ENDPOINTS:
        told["security"] = []
    return told


def _parameters(rule: Rule, operation: Operation) -> Iterator[dict[str, Any]]:
    for name in sorted(rule.arguments):
        yield {"in": "path", "name": name, "required": True, "schema": {"type": "string", "format": "uuid"}}
    if operation.query is not None:
        yield {"in": "query", "schema": operation.query}
    conditional = ("If-None-Match",) if operation.conditional else ()
    ranged = ("Range", "If-Range") if operation.ranged else ()
    for name in (*operation.takes, *conditional, *ranged):
        says, schema = HEADERS[name]
        yield {"in": "header", "name": name, "description": says, "schema": schema}


def _responses(rule: Rule, operation: Operation, method: str) -> Iterator[tuple[str, Any]]:
    gives = (*operation.gives, *(("ETag",) if operation.conditional else ()))
    content = None if method == "HEAD" else _answer_content(operation)
    for status in operation.statuses:
        location = ("Location",) if status == HTTPStatus.CREATED else ()
        yield _response(status, HTTPStatus(status).phrase, (*gives, *location), content)
    if operation.ranged:
        yield _response(206, "The range that was asked for", (*gives, "Content-Range"), content)
    if operation.sent_on and method == "GET":
        yield _response(302, operation.sent_on, ("Location", "ETag"), None)
    if operation.conditional:
        yield _response(304, "It is still the same", gives, None)
    for status, sentences in sorted(_refusals(rule, operation, method).items()):
        failure = (
            None if method == "HEAD" else _content(Invalid if status == STATUS[errors.Invalid] else Failure)
        )
        yield _response(status, "\n".join(sentences), _refusal_headers(status), failure)


def _answer_content(operation: Operation) -> dict[str, Any]:
    if operation.media is not None:
        return {kind: {"schema": {}} for kind in operation.media()}
    return _content(enveloped(operation.answer or Nothing), operation.answer_example)


def _content(schema: type[Schema], example: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {JSON: {"schema": schema, **({"example": example} if example is not None else {})}}


def _response(
    status: int, says: str, headers: Iterable[str], content: dict[str, Any] | None
) -> tuple[str, dict[str, Any]]:
    told: dict[str, Any] = {"description": says}
    named = {name: {"description": HEADERS[name][0], "schema": HEADERS[name][1]} for name in headers}
    if named:
        told["headers"] = named
    if content is not None:
        told["content"] = content
    return str(status), told


def _refusals(rule: Rule, operation: Operation, method: str) -> dict[int, list[str]]:
    """Give the sentences of every error that this call may meet, by status."""
    found: dict[int, list[str]] = {}
    for error in (*_usual_errors(rule, operation, method), *operation.refuses):
        sentences = found.setdefault(status_for(error), [])
        sentence = re.sub(r"\{[^}]*\}", "…", (error.__doc__ or "").strip())
        if sentence not in sentences:
            sentences.append(sentence)
    return found


def _usual_errors(rule: Rule, operation: Operation, method: str) -> Iterator[type[errors.ExporterError]]:
    if rule.endpoint not in OPEN_ENDPOINTS:
        yield errors.NotSignedIn
    if method not in SAFE_METHODS:
        yield errors.CrossSite
    if rule.rule.startswith(API):  # a parameter that the call does not take
        yield errors.Invalid
    if operation.body is not None:
        yield from (errors.BodyTooLarge, errors.WrongMediaType)
    if operation.ranged:
        yield errors.RangeUnsatisfiable
    yield from (errors.ExporterError, errors.DatabaseAway)


def _refusal_headers(status: int) -> tuple[str, ...]:
    """Name the headers that `exporter.blueprints.errors` adds."""
    named = {
        STATUS[errors.NotSignedIn]: "WWW-Authenticate",
        STATUS[errors.RangeUnsatisfiable]: "Content-Range",
        STATUS[errors.TooMany]: "Retry-After",
        STATUS[errors.Unavailable]: "Retry-After",
    }
    return (named[status],) if status in named else ()
