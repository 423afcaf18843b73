"""Each version's app database, upgraded by `exporter init`: nothing in it is lost, and it works on."""

import hashlib
import sys
from contextlib import contextmanager

import pytest

from exporter import create_app
from exporter.settings import load_settings
from exporter.storage.database import schema_version
from exporter.storage.tables import SCHEMA_VERSION
from tests.client import Client
from tests.conftest import close, make_shop
from tests.server import Server
from tests.store import old_installations as old
from tests.store.test_schema import differences

VERSIONS = old.versions()
SHA256 = hashlib.sha256(old.FILE).hexdigest()


@pytest.fixture
def folder(tmp_path):
    """An instance folder with a source, the file of a finished job, and no app database."""
    folder = tmp_path / "instance"
    (folder / "exports").mkdir(parents=True)
    (folder / "exports" / f"{old.DONE}-1").write_bytes(old.FILE)
    make_shop(folder / "shop.db")
    return folder


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def environ(request, folder):
    environ = {
        "EXPORTER_INSTANCE_PATH": str(folder),
        "EXPORTER_SECRET_KEY": old.KEY,
        "EXPORTER_RETENTION_DAYS": "0",
    }
    if request.param == "postgresql":
        environ["EXPORTER_DATABASE_URL"] = request.getfixturevalue("postgres_database")
    return environ


@contextmanager
def application(environ):
    app = create_app(load_settings(environ))
    try:
        with app.app_context():
            yield app
    finally:
        close(app)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_old_app_database_keeps_every_row_and_works_on(environ, folder, version):
    with application(environ) as app:
        before = old.make_old(app, version, folder / "shop.db", SHA256)
        tables = old.reflected(app.extensions["exporter"].database.engine)
    told = Server(folder, **environ).command("init")
    assert (told.returncode, "App database ready" in told.stdout) == (0, True), told.stderr
    with application(environ) as app:
        engine = app.extensions["exporter"].database.engine
        assert schema_version(engine) == SCHEMA_VERSION
        assert differences(engine) == []
        after = old.everything(engine, tables)
        assert {name: found - after[name] for name, found in before.items()} == {
            name: set() for name in before
        }
        assert {name for name in before if after[name] - before[name]} <= {"templates"}  # the shipped ones
        works_on(Client(app.test_client()))


def works_on(client):
    assert client.post("auth/login/", {"username": "ada", "password": old.PASSWORD}).status_code == 200
    script = {"Authorization": f"Bearer {old.TOKEN}"}
    assert client.get("auth/me/", headers=script).json["data"]["username"] == "ada"
    assert client.get(f"exports/{old.DONE}/receipt/").json["data"]["rows_in_file"] == 1
    with client.get(f"exports/{old.DONE}/download/") as answer:
        assert answer.data == old.FILE
    assert client.job(old.FAILED)["attempts"][0]["row_count"] == 2**40
    assert client.until(old.WAITING, "completed")["row_count"] == 4
    assert client.post(f"exports/{old.FAILED}/retry/").status_code == 200
    assert client.until(old.FAILED, "completed")["attempt"] == 2
    assert client.get(f"export-templates/{old.TEMPLATE}/").json["data"]["usage_count"] == 7


@pytest.mark.parametrize("version", VERSIONS[:-1])
def test_serve_refuses_an_old_app_database_and_says_the_command(environ, folder, version):
    with application(environ) as app:
        old.make_old(app, version, folder / "shop.db", SHA256)
    told = Server(folder, **environ).command("serve", "--port", "0")
    assert told.returncode == 1
    assert f"has schema {version}, this version needs {SCHEMA_VERSION}" in told.stderr
    assert f"Run: {sys.executable} -m exporter init" in told.stderr
    assert len(told.stderr.splitlines()) == 1
    with application(environ) as app:
        assert schema_version(app.extensions["exporter"].database.engine) == version


def test_no_version_was_taken_out_of_the_way_of_an_upgrade():
    assert set(VERSIONS) >= {"0001", "0002", "0003", "0005", "0006"}
    assert VERSIONS[-1] == SCHEMA_VERSION
