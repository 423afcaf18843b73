"""The audit log, for admins: who did what, when, from where, and how it ended."""

from types import MappingProxyType

from flask import Response, request

from exporter.blueprints.body import read
from exporter.blueprints.context import require_admin, services
from exporter.blueprints.pages.base import bp, page
from exporter.blueprints.schemas import AuditListSchema
from exporter.model import Action
from exporter.storage.audit import AuditQuery

FILTERS = ("user", "action", "since", "until", "page")
PAGE_SIZE = 50
WORDS = MappingProxyType(
    {
        "log_in": "logged in",
        "log_out": "logged out",
        "create": "created",
        "update": "changed",
        "delete": "deleted",
        "password": "password of",
        "role": "role of",
        "disable": "disabled",
        "enable": "let in again",
        "revoke": "revoked",
        "preview": "looked into",
        "cancel": "cancelled",
        "retry": "retried",
        "download": "downloaded",
        "run": "ran",
        "test": "tested",
        "redeliver": "sent again to",
    }
)


@bp.get("/activity/")
def activity() -> Response:
    require_admin()
    given = {name: request.args[name].strip() for name in FILTERS if request.args.get(name, "").strip()}
    values, faults = read(AuditListSchema, given)
    asked = {name: value for name, value in given.items() if name not in faults}
    values = read(AuditListSchema, asked)[0] if faults else values
    found = services().audit.page(AuditQuery(**{**values, "page_size": PAGE_SIZE}))
    return page(
        "activity.html",
        found=found,
        asked=asked,
        actions=[(action.value, said(action)) for action in Action],
        said=said,
        users=[user.username for user in services().accounts.users()],
    )


def said(action: Action) -> str:
    """Say an action in words: `export.cancel` is "cancelled export"."""
    word = action.value.partition(".")[2]
    told = WORDS.get(word, word.replace("_", " "))
    return told if word in {"log_in", "log_out"} else f"{told} {action.kind}"
