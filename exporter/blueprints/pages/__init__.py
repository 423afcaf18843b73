"""The web page: the same services as the API's, as forms and lists for people."""

from exporter.blueprints.pages import (
    account,
    activity,
    builder,
    datasources,
    errors,
    exports,
    schedules,
    session,
    templates,
    users,
    webhooks,
)
from exporter.blueprints.pages.base import bp

__all__ = [
    "account",
    "activity",
    "bp",
    "builder",
    "datasources",
    "errors",
    "exports",
    "schedules",
    "session",
    "templates",
    "users",
    "webhooks",
]
