"""Log-in, log-out, who am I, and API tokens."""

from typing import Any

from flask import Blueprint, Response, g, request, session, url_for
from flask_login import login_user, logout_user

from exporter.blueprints import answers, examples
from exporter.blueprints.audited import audited, current_deed
from exporter.blueprints.body import json_object, load
from exporter.blueprints.context import answer, current_user, services
from exporter.blueprints.described import describes
from exporter.blueprints.schemas import LoginSchema, TokenRequestSchema
from exporter.blueprints.security import check_site
from exporter.blueprints.sessions import SessionUser
from exporter.errors import TokenNotFound, TooManyLogins, WrongCredentials
from exporter.model import Action, Token, User, instant

bp = Blueprint("auth", __name__)


@bp.post("/login/")
@audited(Action.LOG_IN)
@describes(
    "Sign in",
    details="Sets a session cookie. A script may keep it, or use a token instead.",
    body=LoginSchema,
    answer=answers.Me,
    refuses=(WrongCredentials, TooManyLogins),
    request_example=examples.LOGIN,
)
def log_in() -> Response:
    check_site()
    asked = load(LoginSchema, json_object())
    current_deed().user = services().accounts.known(asked["username"])
    user = _signed_in(asked["username"], asked["password"])
    current_deed().about(user.id, user.username)
    login_user(SessionUser(user))
    session.permanent = True
    return answer("Logged in", _user(user))


@bp.post("/logout/")
@audited(Action.LOG_OUT)
@describes("Sign out", details="Ends all sessions of the user.")
def log_out() -> Response:
    user = current_user()
    services().accounts.log_out(user)
    current_deed().about(user.id, user.username)
    logout_user()
    g.user = None
    return answer("Logged out")


@bp.get("/me/")
@describes("Show who is signed in", answer=answers.Me)
def me() -> Response:
    return answer("You are signed in", _user(current_user()))


@bp.get("/tokens/")
@describes("List your tokens", answer=answers.Tokens)
def list_tokens() -> Response:
    tokens = services().accounts.tokens(current_user())
    return answer("Tokens retrieved successfully", {"tokens": [_token(token) for token in tokens]})


@bp.post("/tokens/")
@audited(Action.TOKEN_CREATE)
@describes(
    "Create a token",
    body=TokenRequestSchema,
    answer=answers.NewToken,
    statuses=(201,),
    request_example=examples.TOKEN_REQUEST,
)
def create_token() -> Response:
    asked = load(TokenRequestSchema, json_object())
    token, secret = services().accounts.create_token(current_user(), **asked)
    current_deed().about(token.id, token.name)
    location = url_for(".revoke_token", token_id=token.id)
    return answer(
        "Token created. Copy it now: it is not shown again",
        {**_token(token), "token": secret},
        status=201,
        location=location,
    )


@bp.delete("/tokens/<token_id>/")
@audited(Action.TOKEN_REVOKE)
@describes("Revoke a token", refuses=(TokenNotFound,))
def revoke_token(token_id: str) -> Response:
    token = services().accounts.revoke_token(token_id, user=current_user())
    current_deed().about(token.id, token.name)
    return answer("Token revoked")


def _signed_in(username: str, password: str) -> User:
    try:
        return services().accounts.log_in(username, password, address=request.remote_addr or "unknown")
    except TooManyLogins as exc:
        current_deed().unnoted = bool(exc.facts["repeated"])  # one line per wait: nobody may flood the log
        raise


def _user(user: User) -> dict[str, Any]:
    return {"id": user.id, "username": user.username, "role": user.role.value}


def _token(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "name": token.name,
        "created_at": instant(token.created_at),
        "expires_at": instant(token.expires_at),
        "last_used_at": instant(token.last_used_at),
    }
