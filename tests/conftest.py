"""Fixtures that every room of the tests may ask for."""

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from argon2 import PasswordHasher
from flask import Flask

from exporter import create_app
from exporter.cli.base import upgrade_schema
from exporter.model import Role
from exporter.settings import load_settings
from exporter.storage import secrets
from exporter.wiring import Services
from tests.client import Client

pytest_plugins = ["tests.postgres_server", "tests.objectstore"]

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="session", autouse=True)
def _quick_password_hashes() -> Iterator[None]:
    """Real argon2 at its cheapest: a log-in should not cost a test a tenth of a second."""
    quick = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(secrets, "_hasher", lambda: quick)
        yield


@pytest.fixture(scope="session")
def migrated(tmp_path_factory) -> Path:
    """An instance folder whose app database is at the newest schema; copied, never used."""
    folder = tmp_path_factory.mktemp("migrated")
    app = create_app(load_settings({"EXPORTER_INSTANCE_PATH": str(folder)}))
    with app.app_context():
        upgrade_schema()
    close(app)
    return folder


@pytest.fixture
def instance(tmp_path, migrated) -> Path:
    folder = tmp_path / "instance"
    shutil.copytree(migrated, folder)
    return folder


@pytest.fixture
def shop(instance) -> Path:
    """A small SQLite database inside the instance folder."""
    path = instance / "shop.db"
    make_shop(path)
    return path


def make_shop(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.execute("""
        CREATE TABLE orders (
            id INTEGER PRIMARY KEY, city TEXT, amount DECIMAL(10, 2), age INTEGER, note TEXT,
            created_at TIMESTAMP
        )""")
    connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?)", ORDERS)
    connection.execute("CREATE TABLE numbers (n INTEGER)")
    connection.execute(
        "INSERT INTO numbers WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 1000)"
        " SELECT n FROM c"
    )
    connection.execute(
        "CREATE VIEW endless AS WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n FROM c"
    )
    connection.close()


ORDERS = [
    (1, "Zürich", 10.5, 30, 'say "hi"', "2024-01-31 10:00:00"),
    (2, "Köln", 20.25, 17, "two\nlines", "2024-02-01 00:00:00"),
    (3, None, 3, None, "", "2024-02-02 23:59:59"),
    (4, "東京", 1e6, 99, None, "2024-03-01 12:00:00"),
]


@pytest.fixture
def make_app(instance) -> Iterator:
    """Build apps on the instance folder; the engine starts with the first request, as in any WSGI server."""
    built: list[Flask] = []

    def make(**environ: str) -> Flask:
        settings = load_settings(
            {"EXPORTER_INSTANCE_PATH": str(instance), "EXPORTER_WORKERS": "2", **environ}
        )
        built.append(create_app(settings))
        return built[-1]

    yield make
    for app in built:
        close(app)
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("exporter-")]
    assert not left, f"threads left behind: {left}"


def close(app: Flask) -> None:
    with app.app_context():
        parts: Services = app.extensions["exporter"]
        assert parts.engine.stop(grace=10), "a job did not let go"
        parts.database.engine.dispose()


@pytest.fixture
def app(make_app) -> Flask:
    return make_app()


@pytest.fixture
def services(app) -> Services:
    return app.extensions["exporter"]


@pytest.fixture
def nothing_runs(services) -> None:
    """Let every job wait; asked for before anybody who sends a request."""
    services.engine.start(only=frozenset())


@pytest.fixture
def admin(app, services) -> Client:
    return sign_in(app, services, "ada", Role.ADMIN)


@pytest.fixture
def member(app, services) -> Client:
    return sign_in(app, services, "max", Role.MEMBER)


@pytest.fixture
def stranger(app, services) -> Client:
    return sign_in(app, services, "eve", Role.MEMBER)


def sign_in(app: Flask, services: Services, name: str, role: Role) -> Client:
    services.accounts.create_user(name, PASSWORD, role=role)
    client = Client(app.test_client())
    assert client.post("auth/login/", {"username": name, "password": PASSWORD}).status_code == 200
    return client


@pytest.fixture
def source(admin, shop) -> str:
    """The id of a shared datasource of the shop."""
    body = {"name": "shop", "url": f"sqlite:///{shop}", "is_shared": True}
    return admin.post("datasources/", body).json["data"]["id"]
