"""The migrations give exactly the tables that the code speaks of."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask_migrate import downgrade

import exporter
from exporter.cli.base import upgrade_schema
from exporter.storage.database import schema_version
from exporter.storage.tables import SCHEMA_VERSION, Base

MIGRATIONS = Path(exporter.__file__).parent / "migrations"


def test_the_newest_migration_is_the_schema_of_this_version():
    assert ScriptDirectory(str(MIGRATIONS)).get_current_head() == SCHEMA_VERSION


def differences(engine):
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, Base.metadata)


def test_the_migrations_make_the_tables_on_sqlite(services):
    assert schema_version(services.database.engine) == SCHEMA_VERSION
    assert differences(services.database.engine) == []


@pytest.mark.postgres
def test_the_migrations_make_the_tables_on_postgresql_and_take_them_away(make_app, postgres_database):
    app = make_app(EXPORTER_DATABASE_URL=postgres_database)
    engine = app.extensions["exporter"].database.engine
    with app.app_context():
        assert schema_version(engine) is None
        upgrade_schema()
        assert differences(engine) == []
        upgrade_schema()
        downgrade(directory=str(MIGRATIONS), revision="base")
        assert schema_version(engine) is None
