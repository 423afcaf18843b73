"""What a view notes in the audit log: `audited` says which deed it is, the view says what it is done to."""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, cast
from uuid import UUID

from flask import Response, g, request

from exporter.audit import Deed
from exporter.blueprints.context import services
from exporter.blueprints.described import View
from exporter.model import Action, Actor


def audited(action: Action) -> Callable[[View], View]:
    """Note every call of a view, however it ends. A HEAD and a 304 hand nothing out, so they are no deed."""

    def attach(view: View) -> View:
        @wraps(view)
        def noted(**ids: str) -> Response:
            with services().audit.deed(action, actor()) as deed:
                g.deed = deed
                deed.object_id = next((value for value in ids.values() if _is_id(value)), None)
                response = view(**ids)
                if request.method == "HEAD" or response.status_code == HTTPStatus.NOT_MODIFIED:
                    deed.unnoted = True
                return response

        noted.action = action  # type: ignore[attr-defined]
        return cast("View", noted)

    return attach


def action_of(view: Callable[..., Any]) -> Action | None:
    action: Action | None = getattr(view, "action", None)
    return action


def current_deed() -> Deed:
    """Give the deed of this request, or one that nobody keeps where the view notes none."""
    deed: Deed | None = g.get("deed")
    return deed if deed is not None else Deed(action=Action.LOG_IN, actor=actor())


def actor() -> Actor:
    return Actor(user=g.get("user"), address=request.remote_addr or "unknown", request_id=g.get("request_id"))


def _is_id(text: str) -> bool:
    """Keep what a client made up out of the log: every id of ours is a UUID."""
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
