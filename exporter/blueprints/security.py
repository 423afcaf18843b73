"""Before every request: who is asking, may another site make them ask, and is the engine running."""

import logging
import re
import time
from ipaddress import ip_address
from uuid import uuid4

from flask import Flask, Response, current_app, g, request
from flask_login import current_user as session_user
from werkzeug.exceptions import SecurityError

from exporter.blueprints.context import services
from exporter.blueprints.described import operation_of
from exporter.blueprints.sessions import SessionInterface, SessionUser
from exporter.errors import BadToken, CrossSite, Invalid, NotFound, NotSignedIn, Unavailable
from exporter.extensions import login_manager
from exporter.jobs.engine import AlreadyServed, InstanceUnwritable
from exporter.log import in_request
from exporter.storage.database import schema_version
from exporter.storage.tables import SCHEMA_VERSION

log = logging.getLogger(__name__)

API = "/data-tools/api/v1/"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OWN_SITE = frozenset({"same-origin", "none"})
OPEN_ENDPOINTS = frozenset(
    {
        "auth.log_in",
        "service.healthz",
        "service.readyz",
        "docs.static",
        "pages.log_in",
        "pages.log_in_now",
        "pages.set_up",
        "pages.set_up_now",
    }
)
OPEN_TO_LOOPBACK = frozenset({"service.metrics"})
BEARER = "bearer "
RETRY_AFTER_SECONDS = 30
SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
METHODS = SAFE_METHODS | {"POST", "PUT", "PATCH", "DELETE"}
NO_ROUTE, OTHER = "none", "other"
PAGE_POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"


def guard(app: Flask) -> None:
    app.session_interface = SessionInterface()
    login_manager.user_loader(_of_cookie)
    app.before_request(_name_request)
    app.before_request(_refuse_odd)
    app.before_request(_start_engine)
    app.before_request(_identify)
    app.before_request(_refuse_unknown_parameters)
    app.after_request(_finish)
    app.teardown_request(_answered)


def _of_cookie(cookie_id: str) -> SessionUser | None:
    user_id, _, session_key = cookie_id.partition("|")
    user = services().accounts.of_session(user_id, session_key)
    return SessionUser(user) if user is not None else None


def _name_request() -> None:
    """Take the name that a proxy or a client gave, if it is one that may stand in a log; else make one."""
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if SANE_ID.fullmatch(given) else uuid4().hex
    g.began = time.monotonic()
    in_request(g.request_id)


def _answered(_: BaseException | None) -> None:
    in_request(None)


def _refuse_odd() -> None:
    """Refuse a path with NUL, which PostgreSQL takes in no id, and a Host that cannot be one. Raises NotFound."""
    if not request.host:
        raise SecurityError
    if "\0" in request.path:
        raise NotFound("There is nothing at this path")


def _identify() -> None:
    """Find the user; an open endpoint needs none. Raises NotSignedIn or CrossSite."""
    if request.endpoint is None or request.endpoint in OPEN_ENDPOINTS:
        return
    if request.endpoint in OPEN_TO_LOOPBACK and _from_here():
        return
    authorization = request.headers.get("Authorization", "")
    if authorization.lower().startswith(BEARER):
        g.user = services().accounts.of_token(authorization[len(BEARER) :].strip())
        if g.user is None:
            raise BadToken
    elif session_user.is_authenticated:
        g.user = session_user.user
        check_site()
    if g.get("user") is None:
        raise NotSignedIn


def _refuse_unknown_parameters() -> None:
    """Refuse any parameter of a call that takes none; the others check theirs as they read them. Raises Invalid.

    A page does not mind: its address may have come through somebody's mail.
    """
    if not request.path.startswith(API):
        return
    operation = operation_of(current_app.view_functions[request.endpoint]) if request.endpoint else None
    if operation is not None and operation.query is None and request.args:
        raise Invalid(dict.fromkeys(request.args, "Unknown parameter"))


def _from_here() -> bool:
    """Say whether a program of this machine asks; a reverse proxy is none, and tells for whom it asks."""
    forwarded = any(name in request.headers for name in ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"))
    try:
        return ip_address(request.remote_addr or "").is_loopback and not forwarded
    except ValueError:
        return False


def check_site() -> None:
    """Refuse an unsafe request that a browser sent, with its cookie, for another site. Raises CrossSite.

    Browsers say so in Sec-Fetch-Site, older ones in Origin; a script sends neither.
    """
    if request.method in SAFE_METHODS:
        return
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site is not None:
        if site not in OWN_SITE:
            raise CrossSite
    elif origin is not None and origin != request.host_url.rstrip("/"):
        raise CrossSite


def _start_engine() -> None:
    """Run jobs in whichever process serves requests, `exporter serve` or another WSGI server.

    Whether the process lives has nothing to do with that: who asks would kill it for a database that is away.
    """
    engine = services().engine
    if request.endpoint in {None, "service.healthz"} or engine.running or engine.stopping:
        return
    if schema_version(services().database.engine) != SCHEMA_VERSION:
        raise Unavailable(
            "The app database is not at this version's schema. Run: exporter init",
            retry_after=RETRY_AFTER_SECONDS,
        )
    try:
        engine.start()
    except AlreadyServed as exc:
        log.debug("jobs run elsewhere: %s", exc.message)
    except InstanceUnwritable as exc:
        log.warning("no jobs run: %s", exc.message)


def _finish(response: Response) -> Response:
    _count(response)
    response.headers["X-Request-Id"] = g.get("request_id", "")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    policy = PAGE_POLICY if response.mimetype == "text/html" else DATA_POLICY
    response.headers.setdefault("Content-Security-Policy", policy)
    return response


def _count(response: Response) -> None:
    """Count the request under its route, never its path: an id would make a figure of its own."""
    figures = services().figures
    route = request.url_rule.rule if request.url_rule is not None else NO_ROUTE
    method = request.method if request.method in METHODS else OTHER
    if "began" in g:
        figures.requests.add(time.monotonic() - g.began, method, route, str(response.status_code))
    if (code := g.get("refusal")) is not None:
        figures.refusals.add(code)
