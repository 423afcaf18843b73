"""Is the server alive, and is it ready?"""

from flask import Blueprint, Response

from exporter.blueprints.context import answer, services
from exporter.errors import Stopping, Unavailable

bp = Blueprint("service", __name__)

RETRY_AFTER_SECONDS = 5


@bp.get("/healthz")
def healthz() -> Response:
    return answer("alive")


@bp.get("/readyz")
def readyz() -> Response:
    """Ready means: the database answers, the store takes files, jobs are being handed out."""
    parts = services()
    if parts.engine.stopping:
        raise Stopping(retry_after=RETRY_AFTER_SECONDS)
    parts.database.ping()
    try:
        parts.artifacts.prepare()
    except OSError as exc:
        raise Unavailable("The artifact store cannot be written to", retry_after=RETRY_AFTER_SECONDS) from exc
    if not parts.engine.running:
        raise Unavailable("The dispatcher does not run in this process", retry_after=RETRY_AFTER_SECONDS)
    return answer("ready")
