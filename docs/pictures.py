"""Take the pictures of the web page: docs/pictures.py FOLDER, from the checkout, with chromium on PATH.

They come from a real server with the demo's shop: one per page, in light and dark, on a desk and on a phone.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

API = "/data-tools/api/v1"
SIZES = {"desk": {"width": 1100, "height": 720}, "phone": {"width": 390, "height": 844}}
PLACES = {
    "exports": "",
    "new": "exports/new/?again={job}",
    "export": "exports/{job}/",
    "templates": "templates/",
    "schedules": "schedules/?cron=0+6+*+*+1-5&timezone=Europe/Berlin",
    "schedule": "schedules/{schedule}/",
    "webhooks": "webhooks/",
    "webhook": "webhooks/{webhook}/",
    "datasources": "datasources/",
    "users": "users/",
    "activity": "activity/",
    "account": "account/",
}
WANTED = {
    "name": "Large orders, Europe",
    "format": "csv",
    "filters": {
        "table": "orders",
        "columns": ["id", "ordered_at", "status", "total", "note"],
        "where_conditions": [
            {"column": "total", "operator": ">=", "value": 100},
            {"any": [
                {"column": "status", "operator": "=", "value": "paid"},
                {"column": "shipped_on", "operator": ">", "value": "2024-01-01"},
            ]},
        ],
        "order_by": "ordered_at DESC",
    },
    "options": {"preset": "spreadsheet-eu"},
}  # fmt: skip
FAILING = {
    "format": "csv",
    "filters": {
        "table": "customers",
        "where_conditions": [{"column": "country", "operator": "=", "value": "PL"}],
    },
    "options": {"encoding": "iso-8859-1"},
}
PLENTY = {"format": "excel", "filters": {"table": "plenty"}}
MAKE_PLENTY = (
    "CREATE TABLE IF NOT EXISTS plenty AS SELECT o.*, p.name FROM orders o, products p WHERE p.id <= 25"
)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as instance:
        hosts = {"EXPORTER_WEBHOOK_HOSTS": "127.0.0.1"}
        environ = {**os.environ, **hosts, "EXPORTER_INSTANCE_PATH": instance}
        told = command(environ, "demo")
        make_plenty(Path(instance))
        command(environ, "users", "create", "max", stdin="pw\n")
        server = subprocess.Popen(
            [sys.executable, "-m", "exporter", "serve", "--port", "0"],
            env=environ, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            address = re.search(r"http://[^/]+", server.stdout.readline())[0]
            take(address, re.search(r"password (\S+)", told)[1], folder)
        finally:
            server.terminate()
            server.wait()


def command(environ: dict[str, str], *words: str, stdin: str = "") -> str:
    done = subprocess.run(
        [sys.executable, "-m", "exporter", *words], env=environ, input=stdin,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout


def make_plenty(instance: Path) -> None:
    import apsw

    connection = apsw.Connection(str(instance / "demo-shop.sqlite3"))
    connection.execute(MAKE_PLENTY)
    connection.close()


def take(address: str, password: str, folder: Path) -> None:
    path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(base_url=address)
        page.goto("/data-tools/login/")
        page.screenshot(path=folder / "login-desk-light.png")
        page.fill("#username", "demo")
        page.fill("#password", password)
        page.click("text=Log in")
        page.wait_for_selector("#jobs")
        job = submit(page, WANTED)
        submit(page, FAILING)
        made = {"job": job, **set_up(page)}
        page.goto("/data-tools/")
        page.locator(".job.failed").first.wait_for()
        state = page.context.storage_state()
        for size, viewport in SIZES.items():
            for scheme in ("light", "dark"):
                context = browser.new_context(
                    base_url=address, storage_state=state, viewport=viewport, color_scheme=scheme
                )
                shots(context.new_page(), made, folder, f"{size}-{scheme}")
                context.close()
        browser.close()


def set_up(page: Page) -> dict[str, str]:
    """Make schedules and a webhook, each with something behind it; give the ids by name."""
    hook = {
        "name": "warehouse",
        "url": "http://127.0.0.1:9/exports",
        "events": ["job.completed", "job.failed"],
    }
    webhook = create(page, "webhooks", hook)
    page.request.post(f"{API}/webhooks/{webhook}/test/")
    export = {"datasource": source_of(page), "format": "parquet", "filters": {"table": "orders"}}
    nightly = {
        "name": "Orders for the warehouse",
        "cron": "0 2 * * *",
        "timezone": "Europe/Berlin",
        "export": export,
    }
    schedule = create(page, "schedules", nightly)
    run = page.request.post(f"{API}/schedules/{schedule}/run/").json()["data"]["id"]
    create(
        page, "schedules", {**nightly, "name": "Customers, Mondays", "cron": "0 6 * * 1", "is_active": False}
    )
    page.goto(f"/data-tools/exports/{run}/")
    page.locator(".job.completed").wait_for()
    return {"schedule": schedule, "webhook": webhook}


def create(page: Page, kind: str, body: dict[str, object]) -> str:
    answer = page.request.post(f"{API}/{kind}/", data=body)
    return answer.json()["data"]["id"]


def shots(page: Page, made: dict[str, str], folder: Path, name: str) -> None:
    running = submit(page, PLENTY)
    page.goto("/data-tools/")
    page.locator(f"#job-{running} .facts").first.wait_for()
    page.wait_for_timeout(2500)
    for place, address in PLACES.items():
        page.goto(f"/data-tools/{address.format(**made)}")
        page.wait_for_load_state("networkidle" if place != "exports" else "load")
        page.screenshot(path=folder / f"{place}-{name}.png", full_page=place not in {"exports", "new"})
    page.request.post(f"{API}/exports/{running}/cancel/")
    page.request.delete(f"{API}/exports/{running}/")  # the next pictures show the same list


def submit(page: Page, body: dict[str, object]) -> str:
    return create(page, "exports", {"datasource": source_of(page), **body})


def source_of(page: Page) -> str:
    return page.request.get(f"{API}/datasources/").json()["data"]["datasources"][0]["id"]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
