"""From error to HTTP: the one table of statuses, and the envelope around every failure, whatever raised it."""

import logging
from collections.abc import Mapping
from types import MappingProxyType

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, SecurityError
from werkzeug.routing import RoutingException

from exporter import errors, failures
from exporter.blueprints.context import refusal

log = logging.getLogger(__name__)

# The nearest class on an error's way up decides.
STATUS: Mapping[type[errors.ExporterError], int] = MappingProxyType(
    {
        errors.Invalid: 400,
        errors.BadRequest: 400,
        errors.NotSignedIn: 401,
        errors.Forbidden: 403,
        errors.NotFound: 404,
        errors.Conflict: 409,
        errors.ArtifactGone: 410,
        errors.BodyTooLarge: 413,
        errors.WrongMediaType: 415,
        errors.RangeUnsatisfiable: 416,
        errors.KeyReused: 422,
        errors.TooMany: 429,
        errors.Unavailable: 503,
        failures.SourceUnavailable: 503,
        failures.ExportFailed: 400,
        errors.PreviewTooSlow: 504,
        errors.DiskLow: 507,
        errors.ExporterError: 500,
    }
)
SENTENCES = MappingProxyType(
    {
        400: "The request could not be read",
        404: "There is nothing at this path",
        405: "This path does not take that method",
        413: "The request body is too large",
        415: "The request body must be JSON: send Content-Type: application/json",
    }
)

SERVER_TROUBLE = 500  # and above: not the client's doing
SOURCE_RETRY_SECONDS = 30  # nobody knows when a database elsewhere comes back
WRONG_HOST = "This server does not answer to that host name. An admin may add it to TRUSTED_HOSTS."


def register(app: Flask) -> None:
    app.register_error_handler(errors.ExporterError, _known)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def status_for(error: type[errors.ExporterError]) -> int:
    return next(STATUS[kind] for kind in error.__mro__ if kind in STATUS)


def note_refusal(error: errors.ExporterError) -> int:
    """Count the error with its request, leave a line of what is the server's trouble, and give the status.

    Not so for readiness, which is asked every few seconds.
    """
    status = status_for(type(error))
    g.refusal = error.code
    if status >= SERVER_TROUBLE and request.path != "/readyz":
        log.warning(
            "%s %s refused with %d %s: %s", request.method, request.path, status, error.code, error.message
        )
    return status


def _known(error: errors.ExporterError) -> Response:
    if type(error) is errors.ExporterError:
        return _unexpected(error)
    told = error.errors if isinstance(error, errors.Invalid) else error.message
    response = refusal(told, status=note_refusal(error))
    if isinstance(error, errors.Later | failures.SourceUnavailable):
        seconds = error.retry_after if isinstance(error, errors.Later) else SOURCE_RETRY_SECONDS
        response.headers["Retry-After"] = str(seconds)
    if isinstance(error, errors.NotSignedIn):
        response.headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, errors.RangeUnsatisfiable):
        response.headers["Content-Range"] = f"bytes */{error.facts['size']}"
    return response


def _http(error: HTTPException) -> Response | HTTPException:
    if isinstance(error, RoutingException) or error.code is None:
        return error  # a redirect to the path with its slash
    sentence = SENTENCES.get(error.code, error.description or error.name)
    if isinstance(error, SecurityError):
        sentence = WRONG_HOST
    response = refusal(sentence, status=error.code)
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


def _unexpected(error: Exception) -> Response:
    return refusal(note_fault(error), status=500)


def note_fault(error: Exception) -> str:
    """Leave the traceback to the log, and give the sentence by which an admin finds it there."""
    request_id = g.get("request_id", "")
    g.refusal = failures.Internal.code
    log.error("request %s met an unexpected fault", request_id, exc_info=error)
    return f"Internal server error. Tell an admin this request id: {request_id}"
