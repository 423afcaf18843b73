"""The app database is at another schema than the program: nothing runs, and what to do is said."""

import sqlite3
from contextlib import closing

import pytest

from tests.server import Server


@pytest.fixture
def server(instance):
    return Server(instance)


def set_version(instance, version):
    with closing(sqlite3.connect(instance / "exporter.sqlite3")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))
        connection.commit()


@pytest.mark.parametrize("command", [["serve", "--port", "0"], ["init"], ["exports", "list"]])
def test_a_database_of_a_newer_version_is_refused_with_what_to_do(server, instance, command):
    set_version(instance, "9999")
    answer = server.command(*command)
    assert answer.returncode == 1
    assert "schema 9999" in answer.stderr
    assert "newer version of Exporter" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1, answer.stderr


def test_a_request_to_a_database_of_another_version_is_503(make_app, instance):
    set_version(instance, "0001")
    answer = make_app().test_client().get("/readyz")
    assert (answer.status_code, "exporter init" in answer.json["error"]) == (503, True)


def test_a_migration_that_breaks_off_leaves_the_schema_as_it_was(tmp_path, monkeypatch):
    from alembic import op

    from exporter import create_app
    from exporter.cli.base import upgrade_schema
    from exporter.settings import load_settings
    from tests.conftest import close

    app = create_app(load_settings({"EXPORTER_INSTANCE_PATH": str(tmp_path)}))
    create_table, made = op.create_table, []

    def breaks_off(name, *arguments, **options):
        made.append(name)
        if len(made) == 4:
            raise KeyboardInterrupt
        return create_table(name, *arguments, **options)

    with app.app_context():
        with monkeypatch.context() as patch:
            patch.setattr(op, "create_table", breaks_off)
            with pytest.raises(KeyboardInterrupt):
                upgrade_schema()
        with closing(sqlite3.connect(tmp_path / "exporter.sqlite3")) as connection:
            assert len(made) == 4
            assert connection.execute("SELECT name FROM sqlite_schema WHERE name = 'jobs'").fetchall() == []
        upgrade_schema()
        upgrade_schema()
        assert app.test_client().get("/readyz").status_code == 200
    close(app)


def test_a_process_without_its_database_is_alive_and_not_ready(make_app, instance):
    set_version(instance, "0001")
    client = make_app().test_client()
    assert (client.get("/healthz").status_code, client.get("/readyz").status_code) == (200, 503)
