"""What every page uses: the blueprint, rendering with its headers, and addresses of assets that never go stale."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, flash, g, make_response, redirect, render_template, request, url_for

from exporter.audit import Deed
from exporter.blueprints.audited import actor
from exporter.blueprints.context import services
from exporter.blueprints.pages import words
from exporter.model import Action, User

bp = Blueprint("pages", __name__)

STATIC = Path(__file__).parents[2] / "static"
YEAR_SECONDS = 365 * 24 * 3600
POLICY = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

words.register(bp)
bp.record_once(lambda state: state.app.add_url_rule("/", "pages.root", _root))


def page(template: str, *, status: int = 200, **values: Any) -> Response:
    """Render a whole page, or a part of one for htmx."""
    response = make_response(render_template(f"pages/{template}", **values), status)
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Referrer-Policy"] = "same-origin"
    return response


def see(address: str, notice: str | None = None) -> Response:
    """Lead on to another page after a change; `notice` is said there."""
    if notice is not None:
        flash(notice)
    if by_htmx():
        return Response(status=204, headers={"HX-Redirect": address})
    return make_response(redirect(address, code=303))


@contextmanager
def deed(action: Action) -> Iterator[Deed]:
    """Note in the audit log what happens inside, however it ends; a page that shows a fault catches it outside."""
    with services().audit.deed(action, actor()) as done:
        yield done


def _root() -> Response:
    return see(url_for("pages.home"))


def by_htmx() -> bool:
    return "HX-Request" in request.headers


@bp.context_processor
def _common() -> dict[str, Any]:
    return {"asset": asset, "me": g.get("user"), "links_of": _links_of}


def _links_of(user: User) -> list[tuple[str, str]]:
    names = {"home": "Exports", "templates": "Templates", "schedules": "Schedules"}
    names |= {"webhooks": "Webhooks", "datasources": "Datasources"}
    if user.is_admin:
        names |= {"users": "Users", "activity": "Activity"}
    return [(url_for(f"pages.{name}"), word) for name, word in names.items()]


def asset(name: str) -> str:
    return f"/data-tools/static/{name}?v={_digest(name)}"


@cache
def _digest(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]


@bp.after_app_request
def _keep_assets(response: Response) -> Response:
    """Let a browser keep for good what it asked for under its content's hash."""
    if request.endpoint == "docs.static" and "v" in request.args and response.status_code in {200, 304}:
        response.headers["Cache-Control"] = f"public, max-age={YEAR_SECONDS}, immutable"
    return response
