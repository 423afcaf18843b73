"""Users, for admins: add, make an admin or a member, disable, let in again, set a password."""

from typing import Any

from flask import Response, request, url_for

from exporter.blueprints.context import current_user, require_admin, services
from exporter.blueprints.pages.base import bp, deed, page, see
from exporter.errors import Forbidden, Invalid, LastAdmin, NameTaken, UserNotFound
from exporter.model import Action, Role, User


@bp.get("/users/")
def users() -> Response:
    require_admin()
    return _users()


@bp.post("/users/")
def add_user() -> Response:
    require_admin()
    typed = {name: request.form.get(name, "") for name in ("username", "role")}
    role = Role.ADMIN if typed["role"] == Role.ADMIN else Role.MEMBER
    try:
        user = _created(typed["username"].strip(), request.form.get("password", ""), role)
    except Invalid as exc:
        return _users(status=422, faults=exc.errors, typed=typed)
    except NameTaken as exc:
        return _users(status=422, faults={"username": exc.message}, typed=typed)
    return see(url_for("pages.users"), f"User {user.username} may sign in.")


@bp.post("/users/<user_id>/role/")
def change_role(user_id: str) -> Response:
    user = _other(user_id)
    role = Role.MEMBER if user.is_admin else Role.ADMIN
    try:
        with deed(Action.USER_ROLE) as done:
            done.about(user.id, user.username)
            services().accounts.set_role(user, role)
    except LastAdmin as exc:
        return _users(status=409, sorry=exc.message)
    return see(
        url_for("pages.users"),
        f"User {user.username} is now {'an admin' if role is Role.ADMIN else 'a member'}.",
    )


@bp.post("/users/<user_id>/active/")
def change_active(user_id: str) -> Response:
    """Disable an active user, and let a disabled one in again."""
    user = _other(user_id)
    if not user.is_active:
        with deed(Action.USER_ENABLE) as done:
            done.about(user.id, user.username)
            services().accounts.enable(user)
        return see(url_for("pages.users"), f"User {user.username} may sign in again.")
    try:
        with deed(Action.USER_DISABLE) as done:
            done.about(user.id, user.username)
            services().accounts.disable(user)
    except LastAdmin as exc:
        return _users(status=409, sorry=exc.message)
    return see(url_for("pages.users"), f"User {user.username} is kept out; the exports stay.")


def _created(username: str, password: str, role: Role) -> User:
    """Raise Invalid or NameTaken."""
    with deed(Action.USER_CREATE) as done:
        user = services().accounts.create_user(username, password, role=role)
        done.about(user.id, user.username)
        return user


def _other(user_id: str) -> User:
    """Find another user: nobody locks themselves out by a slip. Raises Forbidden or UserNotFound."""
    if require_admin().id == user_id:
        raise Forbidden("You cannot change your own role or disable yourself; ask another admin")
    user = services().accounts.user_of(user_id)
    if user is None:
        raise UserNotFound
    return user


def _users(*, status: int = 200, **values: Any) -> Response:
    known = services().accounts.users()
    return page("users.html", status=status, users=known, own=current_user().id, **{"typed": {}, **values})
