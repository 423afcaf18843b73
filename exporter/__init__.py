"""Exporter: the self-hosted data export server."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from exporter.settings import Settings

__all__ = ["create_app"]


def create_app(settings: "Settings | None" = None) -> "Flask":
    """Build the app; `settings` default to those of the environment. Starts nothing and touches no table."""
    from exporter.app import build_app

    return build_app(settings)
