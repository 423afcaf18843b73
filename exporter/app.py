"""The Flask app of one installation: configured, its extensions bound, its services built, its views registered."""

import os
from pathlib import Path
from typing import Any

from flask import Flask

from exporter.blueprints import register
from exporter.blueprints.proxy import TrustedProxies
from exporter.cli.main import register_commands
from exporter.extensions import db, login_manager, migrate
from exporter.model import utc_now
from exporter.settings import Settings, load_settings
from exporter.storage.database import engine_options, prepare_engine
from exporter.wiring import build_services

SESSION_HOURS = 12


def build_app(settings: Settings | None = None) -> Flask:
    settings = settings or load_settings(os.environ)
    app = Flask(
        "exporter", instance_path=str(settings.instance_path), static_folder=None, template_folder="html"
    )
    app.config.from_mapping(_configuration(settings))
    app.json.sort_keys = False  # type: ignore[attr-defined]  # the contract's order is for readers
    db.init_app(app)
    migrate.init_app(app, db, directory=str(Path(__file__).parent / "migrations"))
    login_manager.init_app(app)
    with app.app_context():
        prepare_engine(db.engine)
        app.extensions["exporter"] = build_services(settings, db.engine, utc_now)
    register(app)
    if settings.trusted_proxies:
        app.wsgi_app = TrustedProxies(app.wsgi_app, settings.trusted_proxies)  # type: ignore[method-assign]
    register_commands(app)
    return app


def _configuration(settings: Settings) -> dict[str, Any]:
    return {
        "SECRET_KEY": settings.secret_key,
        "SQLALCHEMY_DATABASE_URI": settings.database_url,
        "SQLALCHEMY_ENGINE_OPTIONS": engine_options(settings.database_url),
        "TRUSTED_HOSTS": sorted(settings.trusted_hosts) if settings.trusted_hosts else None,
        "MAX_CONTENT_LENGTH": settings.max_content_length,
        "MAX_FORM_MEMORY_SIZE": settings.max_content_length,
        "SESSION_COOKIE_NAME": "exporter_session",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "PERMANENT_SESSION_LIFETIME": SESSION_HOURS * 3600,
    }
