"""One's own account: password and API tokens."""

from typing import Any

from flask import Response, request, url_for
from flask_login import login_user

from exporter.blueprints.body import read
from exporter.blueprints.context import current_user, services
from exporter.blueprints.pages.base import bp, deed, page, see
from exporter.blueprints.schemas import TokenRequestSchema
from exporter.blueprints.sessions import SessionUser
from exporter.errors import Invalid, TooManyLogins, WrongCredentials
from exporter.model import Action, User


@bp.get("/account/")
def account() -> Response:
    return _account()


@bp.post("/account/password/")
def change_password() -> Response:
    asked = request.form
    if asked.get("new") != asked.get("again"):
        return _account(status=400, faults={"again": "The two passwords differ"})
    try:
        user = _changed(asked.get("old", ""), asked.get("new", ""))
    except Invalid as exc:
        return _account(status=400, faults={"new": exc.errors["password"]})
    except WrongCredentials:
        return _account(status=400, faults={"old": "This is not your present password"})
    except TooManyLogins as exc:
        return _account(status=429, faults={"old": exc.message})
    login_user(SessionUser(user))
    return see(url_for("pages.account"), "Password changed. Your other sessions have ended.")


@bp.post("/account/tokens/")
def create_token() -> Response:
    typed = {name: request.form.get(name, "").strip() for name in ("name", "expires_in_days")}
    days = typed["expires_in_days"]
    asked = {"name": typed["name"], "expires_in_days": int(days) if days.isdecimal() else days or None}
    values, faults = read(TokenRequestSchema, asked)
    if faults:
        return _account(status=400, faults=faults, typed=typed)
    with deed(Action.TOKEN_CREATE) as done:
        token, secret = services().accounts.create_token(current_user(), **values)
        done.about(token.id, token.name)
    return _account(status=201, created=token, secret=secret)


@bp.post("/account/tokens/<token_id>/revoke/")
def revoke_token(token_id: str) -> Response:
    with deed(Action.TOKEN_REVOKE) as done:
        token = services().accounts.revoke_token(token_id, user=current_user())
        done.about(token.id, token.name)
    return see(url_for("pages.account"), "Token revoked. What used it is locked out from now on.")


def _account(*, status: int = 200, **values: Any) -> Response:
    tokens = services().accounts.tokens(current_user())
    return page("account.html", status=status, tokens=tokens, now=services().clock(), **values)


def _changed(old: str, new: str) -> User:
    """Raise Invalid, WrongCredentials or TooManyLogins."""
    user = current_user()
    with deed(Action.USER_PASSWORD) as done:
        done.about(user.id, user.username)
        return services().accounts.change_password(
            user, old=old, new=new, address=request.remote_addr or "unknown"
        )
