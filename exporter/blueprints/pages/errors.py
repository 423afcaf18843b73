"""A fault as a page: what happened, and the way on. An expired session leads to the log-in and back."""

import json

from flask import Response, request, url_for
from werkzeug.exceptions import HTTPException

from exporter import errors
from exporter.blueprints.errors import SENTENCES, note_fault, note_refusal
from exporter.blueprints.pages.base import bp, by_htmx, page, see


@bp.errorhandler(errors.NotSignedIn)
def _not_signed_in(error: errors.NotSignedIn) -> Response:
    """Ask who it is. What was typed into a form travels with the log-in and is shown again after it."""
    if by_htmx():
        return Response(error.message, status=401, mimetype="text/plain")
    if request.method == "GET":
        return see(url_for("pages.log_in", next=request.full_path.rstrip("?")))
    form = request.path == url_for("pages.build")
    kept = json.dumps(list(request.form.items(multi=True))) if form else None
    return page("login.html", status=401, kept=kept, next=request.path, expired=form)


@bp.errorhandler(errors.ExporterError)
def _known(error: errors.ExporterError) -> Response:
    if type(error) is errors.ExporterError:
        return _unexpected(error)
    told = "; ".join(sentences(error.errors)) if isinstance(error, errors.Invalid) else error.message
    response = _refusal(told, note_refusal(error))
    if isinstance(error, errors.Later):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


@bp.errorhandler(HTTPException)
def _http(error: HTTPException) -> Response | HTTPException:
    if error.code is None or error.code < 400:  # noqa: PLR2004 - a redirect to the path with its slash
        return error
    return _refusal(SENTENCES.get(error.code, error.description or error.name), error.code)


@bp.errorhandler(Exception)
def _unexpected(error: Exception) -> Response:
    return _refusal(note_fault(error), 500)


def _refusal(sentence: str, status: int) -> Response:
    if by_htmx():
        return Response(sentence, status=status, mimetype="text/plain")
    return page("error.html", status=status, sentence=sentence)


def sentences(faults: object) -> list[str]:
    """Give every sentence of nested faults."""
    if isinstance(faults, dict):
        return [sentence for each in faults.values() for sentence in sentences(each)]
    return [str(faults)]
