"""Alembic's environment: runs migrations on the engine that it is handed, else on the app's own."""

from alembic import context
from flask import current_app

from exporter.storage.tables import Base

target = context.config.attributes.get("engine") or current_app.extensions["migrate"].db.engine

with target.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=True,
        compare_type=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()
