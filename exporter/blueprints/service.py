"""Is the server alive, is it ready, how busy is it, and what does its API look like?"""

from typing import Any, cast

from flask import Blueprint, Response, current_app, jsonify, request

from exporter.blueprints.context import answer, services
from exporter.blueprints.described import describes
from exporter.errors import Stopping, Unavailable
from exporter.storage.jobs import JobStore

bp = Blueprint("service", __name__)

RETRY_AFTER_SECONDS = 5
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@bp.get("/healthz")
@describes("Is the process alive?", details="Needs no user.")
def healthz() -> Response:
    return answer("alive")


@bp.get("/readyz")
@describes(
    "Is the server ready?",
    details=(
        "Ready means: the database answers, the store takes files, jobs are being handed out, and workers are there"
        " to run them. Needs no user."
    ),
    refuses=(Stopping, Unavailable),
)
def readyz() -> Response:
    parts = services()
    if parts.engine.stopping:
        raise Stopping(retry_after=RETRY_AFTER_SECONDS)
    parts.database.ping()
    parts.artifacts.prepare()
    if not parts.engine.running:
        raise Unavailable("The dispatcher does not run in this process", retry_after=RETRY_AFTER_SECONDS)
    if (trouble := parts.engine.trouble) is not None:
        raise Unavailable(trouble, retry_after=RETRY_AFTER_SECONDS)
    return answer("ready")


@bp.get("/metrics")
@describes(
    "Tell the server's figures",
    details="In Prometheus's text format. Needs no user from the server's own machine.",
    media=lambda: ("text/plain",),
)
def metrics() -> Response:
    from exporter.blueprints.metrics import exposition

    parts = services()
    text = exposition(
        JobStore(parts.database),
        parts.webhooks.tally(),
        parts.figures,
        census=parts.engine.census(),
        now=parts.clock(),
    )
    return Response(text, content_type=METRICS_TYPE)


@bp.get("/data-tools/api/v1/openapi.json")
@describes("Describe the API", media=lambda: ("application/json",), conditional=True)
def openapi() -> Response:
    """Answer with plain OpenAPI, not in the envelope."""
    response = jsonify(api_document())
    response.headers["Cache-Control"] = "private, no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response


def api_document() -> dict[str, Any]:
    """Give the API's description, made on first use: it is the same for everybody."""
    kept = current_app.extensions
    if "exporter.openapi" not in kept:
        from exporter.blueprints.openapi import build_document

        kept["exporter.openapi"] = build_document(current_app)
    return cast("dict[str, Any]", kept["exporter.openapi"])
