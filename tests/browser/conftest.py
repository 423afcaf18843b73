"""A real browser against a real `exporter serve`."""

import os
import shutil
from urllib.parse import urlsplit

import apsw
import pytest

from exporter import create_app
from exporter.model import Role
from exporter.settings import load_settings
from tests.conftest import close, make_shop
from tests.server import Server

PAGES = "/data-tools/"
PASSWORD = "pw"
TIMEOUT_MS = 60_000
# What Chromium and htmx say of an answer, or of a silence, that a test provokes.
EXPECTED = (
    "status of 401",
    "status of 422",
    "Status Error Code 401",
    "net::ERR_INTERNET_DISCONNECTED",
    "htmx:sendError",
    "htmx:afterRequest",
)


@pytest.fixture(scope="session")
def chromium():
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        reason = "needs chromium on PATH: apt-get install chromium"
        (pytest.fail if os.environ.get("EXPORTER_REQUIRE_CHROMIUM") == "1" else pytest.skip)(reason)
    from playwright import sync_api  # of the test extra; imported late, for it takes its time

    sync_api.expect.set_options(timeout=TIMEOUT_MS)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory, migrated):
    """A server with the users ada (admin), max, eve and kim, and the shop as a shared datasource."""
    instance = tmp_path_factory.mktemp("browser") / "instance"
    shutil.copytree(migrated, instance)
    make_shop(instance / "shop.db")
    make_wide(instance / "shop.db")
    running = Server(instance)
    running.token = make_users(instance)
    running.instance = instance
    running.start()
    body = {"name": "shop", "url": f"sqlite:///{instance / 'shop.db'}", "is_shared": True}
    running.source = running.data("POST", "datasources/", body)["id"]
    yield running
    running.kill()


def make_users(instance):
    """Give a token of the admin's."""
    app = create_app(load_settings({"EXPORTER_INSTANCE_PATH": str(instance)}))
    accounts = app.extensions["exporter"].accounts
    ada = accounts.create_user("ada", PASSWORD, role=Role.ADMIN)
    for name in ("max", "eve", "kim"):
        accounts.create_user(name, PASSWORD, role=Role.MEMBER)
    _, token = accounts.create_token(ada, name="tests", expires_in_days=None)
    close(app)
    return token


def make_wide(path):
    connection = apsw.Connection(str(path))
    columns = ", ".join(f'"column {number:04}" INTEGER' for number in range(1000))
    connection.execute(f"CREATE TABLE wide ({columns})")
    connection.execute("INSERT INTO wide DEFAULT VALUES")
    connection.execute('CREATE TABLE "جدول طويل" ("اسم العميل" TEXT, flag BOOLEAN, born DATE)')
    connection.execute('INSERT INTO "جدول طويل" VALUES (?, 1, ?)', ("فاطمة", "1990-01-01"))
    connection.execute(f'CREATE TABLE "{"long name " * 14}" (n INTEGER)')
    connection.execute(
        "CREATE TABLE many AS WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 4000000)"
        " SELECT n, n * 1.5 AS price, 'text ' || n AS note FROM c"
    )
    connection.close()


@pytest.fixture(scope="session")
def states(chromium, server):
    """The cookies of users who have signed in, kept for the whole run."""
    found = {}
    for name in ("ada", "max"):
        context = chromium.new_context(base_url=server.url)
        sign_in(context.new_page(), name)
        found[name] = context.storage_state()
        context.close()
    return found


@pytest.fixture
def visit(chromium, server, states):
    """Open a browser window as somebody; whatever goes wrong in it unseen fails the test."""
    contexts, troubles = [], []

    def opened(name=None, **options):
        state = states[name] if name else None
        context = chromium.new_context(base_url=server.url, storage_state=state, **options)
        context.set_default_timeout(TIMEOUT_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: note(troubles, message))
        page.on("pageerror", lambda error: troubles.append(f"page error: {error}"))
        page.on("request", lambda request: stay(troubles, request.url, server.url))
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not troubles


def note(troubles, message):
    expected = any(each in message.text for each in EXPECTED)
    if message.type in {"error", "warning"} and not expected:
        troubles.append(f"console {message.type}: {message.text}")


def stay(troubles, url, own):
    if urlsplit(url).scheme in {"http", "https", "ws", "wss"} and not url.startswith(f"{own}/"):
        troubles.append(f"another host: {url}")


def sign_in(page, name, password=PASSWORD):
    page.goto(PAGES)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="Exports", exact=True).wait_for()
