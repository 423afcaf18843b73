"""Log-in, log-out, and the first admin of a new server."""

import json
from urllib.parse import urlsplit

from flask import Response, current_app, g, request, session, url_for
from flask_login import login_user, logout_user
from werkzeug.datastructures import MultiDict

from exporter.blueprints.context import current_user, services
from exporter.blueprints.errors import status_for
from exporter.blueprints.pages.base import bp, deed, page, see
from exporter.blueprints.pages.builder import show_form
from exporter.blueprints.pages.choices import from_form
from exporter.blueprints.security import check_site
from exporter.blueprints.sessions import SessionUser
from exporter.errors import Invalid, TooManyLogins, WrongCredentials
from exporter.model import Action, User
from exporter.naming import is_name


@bp.get("/login/")
def log_in() -> Response:
    if services().accounts.needs_admin():
        return see(url_for("pages.set_up"))
    return page("login.html", next=request.args.get("next", ""))


@bp.post("/login/")
def log_in_now() -> Response:
    check_site()
    asked = request.form
    try:
        user = _signed_in(asked.get("username", ""), asked.get("password", ""))
    except (WrongCredentials, TooManyLogins) as exc:
        again = {name: asked.get(name, "") for name in ("username", "next", "kept")}
        return page("login.html", status=status_for(type(exc)), fault=exc.message, **again)
    _begin(user)
    return _continue(asked.get("next", ""), asked.get("kept", ""))


@bp.post("/logout/")
def log_out() -> Response:
    user = current_user()
    with deed(Action.LOG_OUT) as done:
        services().accounts.log_out(user)
        done.about(user.id, user.username)
    logout_user()
    g.user = None
    return see(url_for("pages.log_in"))


@bp.get("/setup/")
def set_up() -> Response:
    if not services().accounts.needs_admin():
        return see(url_for("pages.log_in"))
    return page("setup.html")


@bp.post("/setup/")
def set_up_now() -> Response:
    check_site()
    asked = request.form
    try:
        with deed(Action.USER_CREATE) as done:
            user = services().accounts.create_first_admin(
                asked.get("username", ""),
                asked.get("password", ""),
                code=asked.get("code", ""),
                address=_address(),
            )
            done.about(user.id, user.username)
    except Invalid as exc:
        return page("setup.html", status=400, faults=exc.errors, username=asked.get("username", ""))
    except TooManyLogins as exc:
        faults = {"code": exc.message}
        return page("setup.html", status=429, faults=faults, username=asked.get("username", ""))
    _begin(user)
    return see(url_for("pages.home"), "You are the first admin. Add a datasource to begin.")


def _signed_in(username: str, password: str) -> User:
    """Raise WrongCredentials or TooManyLogins."""
    with deed(Action.LOG_IN) as done:
        done.user = services().accounts.known(username) if is_name(username) else None
        try:
            user = services().accounts.log_in(username, password, address=_address())
        except TooManyLogins as exc:
            done.unnoted = bool(exc.facts["repeated"])  # one line per wait: nobody may flood the log
            raise
        done.about(user.id, user.username)
        return user


def _begin(user: User) -> None:
    login_user(SessionUser(user))
    session.permanent = True
    g.user = user


def _continue(path: str, kept: str) -> Response:
    """Go back to where the log-in interrupted; the form of an export comes back with what was typed."""
    if kept and path == url_for("pages.build"):
        return show_form(from_form(_kept_form(kept)))
    return see(path if _is_ours(path) else url_for("pages.home"))


def _kept_form(kept: str) -> MultiDict[str, str]:
    """Read the fields that travelled through the log-in; nonsense is an empty form."""
    try:
        return MultiDict((str(name), str(value)) for name, value in json.loads(kept))
    except (ValueError, TypeError):
        return MultiDict()


def _is_ours(path: str) -> bool:
    """Tell a page of ours from an address that would lead elsewhere."""
    parts = urlsplit(path)
    ours = not parts.scheme and not parts.netloc and path.startswith("/data-tools/") and "\\" not in path
    return ours and current_app.url_map.bind("").test(parts.path, "GET")


def _address() -> str:
    return request.remote_addr or "unknown"
