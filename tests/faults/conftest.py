"""An instance with a user, a token and a source, to be copied for each life."""

import shutil

import apsw
import pytest

from exporter import create_app
from exporter.datasources import DatasourceValues
from exporter.model import Role
from exporter.outbox import JOB_EVENTS
from exporter.settings import load_settings
from exporter.webhooks.service import WebhookValues
from tests.conftest import close, make_shop
from tests.faults.invariants import digest


@pytest.fixture(scope="session")
def cradle(migrated, tmp_path_factory):
    """An instance folder that stands ready, and its source's digest. Copied, never used."""
    folder = tmp_path_factory.mktemp("cradle") / "instance"
    shutil.copytree(migrated, folder)
    make_shop(folder / "shop.db")
    with apsw.Connection(str(folder / "shop.db")) as connection:
        connection.execute(
            "CREATE TABLE many AS SELECT a.n, 'some text' t FROM numbers a, numbers LIMIT 17000"
        )
    connection.close()
    environ = {"EXPORTER_INSTANCE_PATH": str(folder), "EXPORTER_WEBHOOK_HOSTS": "127.0.0.1"}
    app = create_app(load_settings(environ))
    parts = app.extensions["exporter"]
    with app.app_context():
        user = parts.accounts.create_user("ada", "a password", role=Role.ADMIN)
        (folder / "token").write_text(parts.accounts.create_token(user, name="t", expires_in_days=None)[1])
        parts.datasources.register(DatasourceValues(name="shop", url="sqlite:///shop.db", is_shared=True))
        copied = DatasourceValues(name="copied", url="sqlite:///shop.db", is_shared=True, snapshot_copy=True)
        parts.datasources.register(copied)
        hook = WebhookValues(
            name="hook", url="http://127.0.0.1:9/", events=JOB_EVENTS
        )  # nobody listens there
        parts.webhooks.create(hook, user)
    close(app)
    return folder, digest(folder / "shop.db")


@pytest.fixture
def born(cradle, tmp_path):
    """A function that makes a new folder with a fresh instance in it."""
    made = []

    def make():
        folder = tmp_path / f"life{len(made)}"
        made.append(folder)
        shutil.copytree(cradle[0], folder / "instance")
        return folder

    return make
