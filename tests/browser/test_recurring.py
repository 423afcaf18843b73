"""Schedules and webhooks in a real browser."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PAGES
from tests.browser.test_access import PHONE, serious
from tests.receiver import receiving

EXPORT = {"format": "csv", "filters": {"table": "orders"}}


@pytest.fixture
def receiver():
    with receiving() as found:
        yield found


@pytest.fixture
def template(server):
    body = {"name": "all orders", "configuration": EXPORT, "template_type": "shared"}
    made = server.data("POST", "export-templates/", body)["id"]
    yield made
    server.data("DELETE", f"export-templates/{made}/")


def test_a_schedule_is_explained_while_it_is_typed_and_runs_from_a_template(visit, template):
    page = visit("ada", timezone_id="Europe/Berlin")
    page.goto(f"{PAGES}templates/")
    page.get_by_role("link", name="Schedule all orders").click()
    expect(page.get_by_label("Template")).to_have_value(template)
    expect(page.get_by_label("On the clock of")).to_have_value("Europe/Berlin")
    expect(page.get_by_label("Table").get_by_role("option", name="orders", exact=True)).to_have_count(1)
    page.get_by_label("When").press_sequentially("30 6 24 12 *")
    times = page.locator("#times li")
    expect(times).to_have_count(3)
    expect(times.first).to_contain_text("24 December")
    expect(times.first).to_contain_text("at 06:30, Europe/Berlin")
    page.get_by_label("When").fill("often")
    expect(page.locator("#times .fault")).to_contain_text("Must be a cron line")
    page.get_by_label("When").fill("0 6 * * 1-5")
    expect(times).to_have_count(3)
    page.get_by_label("Name").fill("every morning")
    page.get_by_role("button", name="Add schedule").click()
    row = page.locator(".job", has_text="every morning")
    expect(row).to_contain_text("It has not run yet.")
    row.get_by_role("button", name="Run now").click()
    page.get_by_text("every morning").first.wait_for()
    page.goto(f"{PAGES}schedules/")
    row.get_by_role("link", name=re.compile("export of every morning")).click()
    expect(page.get_by_text("Complete · 4 rows")).to_be_visible()
    page.goto(f"{PAGES}schedules/")
    row.get_by_role("button", name="Pause").click()
    expect(row).to_contain_text("Rests")
    page.once("dialog", lambda dialog: dialog.accept())
    row.get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)


def test_the_next_runs_need_no_script(visit, template):
    page = visit("ada", java_script_enabled=False)
    page.goto(f"{PAGES}schedules/?template={template}")
    page.get_by_label("Name").fill("kept")
    page.get_by_label("When").fill("@daily")
    page.get_by_role("button", name="Show the next runs").click()
    expect(page.locator("#times li")).to_have_count(3)
    expect(page.get_by_label("Name")).to_have_value("kept")


def test_a_webhook_shows_its_secret_once_is_tried_and_sends_again(visit, receiver, server):
    page = visit("ada")
    page.goto(f"{PAGES}webhooks/")
    page.get_by_label("Name").fill("warehouse")
    page.get_by_label("Address").fill("https://10.0.0.1/")
    page.get_by_role("button", name="Add webhook").click()
    expect(page.get_by_label("Address")).to_have_accessible_description(re.compile("WEBHOOK_HOSTS"))
    page.get_by_label("Address").fill(receiver.url)
    page.get_by_role("button", name="Add webhook").click()
    secret = page.locator("#secret").text_content()
    row = page.locator(".job", has_text="warehouse")
    row.get_by_role("button", name="Test").click()
    expect(row).to_contain_text("Answered with status 204")
    expect(page.locator("#secret")).to_have_count(0)
    assert receiver.verified(secret)["type"] == "webhook.test"
    job = server.submit("orders")
    server.until(job, "completed")
    receiver.wait(2)
    row.get_by_role("link", name="Deliveries").click()
    page.get_by_role("link", name="An export").first.wait_for()
    page.get_by_role("button", name="Send again").first.click()
    expect(page.get_by_text("It is sent again in a moment.")).to_be_visible()
    receiver.wait(3)
    page.goto(f"{PAGES}webhooks/")
    page.once("dialog", lambda dialog: dialog.accept())
    row.get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_lists_with_something_in_them_are_accessible_and_fit_a_phone(
    visit, server, template, receiver, scheme
):
    export = {"datasource": server.source, "template": template}
    schedule = server.data("POST", "schedules/", {"name": "s" * 60, "cron": "@daily", "export": export})["id"]
    hook = server.data("POST", "webhooks/", {"name": "h" * 60, "url": receiver.url + "x" * 200})["id"]
    server.data("POST", f"webhooks/{hook}/test/")
    server.until(server.data("POST", f"schedules/{schedule}/run/")["id"], "completed")
    page = visit("ada", color_scheme=scheme, bypass_csp=True, viewport=PHONE)
    found = []
    for place in ("schedules/", f"schedules/{schedule}/", "webhooks/", f"webhooks/{hook}/"):
        page.goto(PAGES + place)
        found += serious(page, place)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], place
        expect(page.locator("nav [aria-current]")).to_be_in_viewport(ratio=1)
    server.data("DELETE", f"schedules/{schedule}/")
    server.data("DELETE", f"webhooks/{hook}/")
    assert not found
