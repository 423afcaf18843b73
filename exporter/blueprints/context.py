"""What every view uses: the services, the user, and the two shapes of an answer."""

from typing import Any, cast

from flask import Response, current_app, g, jsonify

from exporter.errors import Forbidden, NotSignedIn
from exporter.model import User
from exporter.wiring import Services


def services() -> Services:
    return cast("Services", current_app.extensions["exporter"])


def current_user() -> User:
    """Give the user of this request, whom `security` found. Raises NotSignedIn."""
    user: User | None = g.get("user")
    if user is None:
        raise NotSignedIn
    return user


def require_admin() -> User:
    """Raise NotSignedIn or Forbidden."""
    user = current_user()
    if not user.is_admin:
        raise Forbidden("Only an admin can do this")
    return user


def answer(
    message: str, data: dict[str, Any] | None = None, *, status: int = 200, location: str | None = None
) -> Response:
    response = jsonify({"success": True, "message": message, "data": data if data is not None else {}})
    response.status_code = status
    if location is not None:
        response.headers["Location"] = location
    return response


def refusal(error: object, *, status: int) -> Response:
    response = jsonify({"success": False, "error": error})
    response.status_code = status
    return response
