"""HTTP: parse, ask a service, present. No SQL, no files, no decisions."""

from flask import Flask

from exporter.blueprints import (
    audit,
    auth,
    datasources,
    docs,
    errors,
    exports,
    pages,
    schedules,
    service,
    templates,
    webhooks,
)
from exporter.blueprints.security import guard

API = "/data-tools/api/v1"


def register(app: Flask) -> None:
    """Register every blueprint, the guards before requests and the error handlers."""
    guard(app)
    errors.register(app)
    app.register_blueprint(audit.bp, url_prefix=f"{API}/audit")
    app.register_blueprint(auth.bp, url_prefix=f"{API}/auth")
    app.register_blueprint(datasources.bp, url_prefix=f"{API}/datasources")
    app.register_blueprint(exports.bp, url_prefix=f"{API}/exports")
    app.register_blueprint(templates.bp, url_prefix=f"{API}/export-templates")
    app.register_blueprint(schedules.bp, url_prefix=f"{API}/schedules")
    app.register_blueprint(webhooks.bp, url_prefix=f"{API}/webhooks")
    app.register_blueprint(service.bp)
    app.register_blueprint(docs.bp)
    app.register_blueprint(pages.bp, url_prefix="/data-tools")
