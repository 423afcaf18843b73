"""What everybody needs: axe finds no serious fault, nothing is cut off on a phone, pages are light."""

from pathlib import Path

import pytest

from tests.browser.conftest import PAGES
from tests.browser.test_exports import new_export

AXE = Path(__file__).parent / "vendor" / "axe-4.14.1.min.js"
PLACES = (
    "",
    "exports/new/",
    "templates/",
    "schedules/?cron=@daily&timezone=UTC",
    "webhooks/",
    "datasources/",
    "users/",
    "activity/",
    "account/",
)
PHONE = {"width": 360, "height": 740}
MAX_BYTES = 150_000
OVER_THE_NETWORK = """() => performance.getEntriesByType("resource")
    .filter((each) => each.transferSize > 0).map((each) => each.name)"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(server, visit, scheme):
    page = visit("ada", color_scheme=scheme, bypass_csp=True)
    found = []
    for place in PLACES:
        page.goto(PAGES + place)
        found += serious(page, place)
    fill(page)
    found += serious(page, "a filled form")
    failed = server.data(
        "POST", "exports/", {"datasource": server.source, "format": "excel", "filters": {"table": "orders"}}
    )
    page.goto(f"{PAGES}exports/{failed['id']}/")
    found += serious(page, "an export")
    page.context.clear_cookies()
    page.goto(PAGES)
    found += serious(page, "log-in")
    assert not found


def fill(page):
    new_export(page, "orders")
    page.get_by_role("button", name="Add a condition").click()
    page.get_by_label("Column of condition 1").select_option("age")
    page.get_by_role("button", name="Add a group with OR").click()
    page.get_by_role("button", name="Sort", exact=True).click()
    page.get_by_role("button", name="Add a figure").click()
    page.get_by_label("At most").fill("some")
    page.get_by_role("button", name="Export", exact=True).click()
    page.locator("#faults").wait_for()


def serious(page, place):
    page.add_script_tag(path=AXE)
    result = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{place or 'exports'}: {each['id']} {[node['html'][:160] for node in each['nodes']][:3]}"
        for each in result["violations"]
        if each["impact"] in {"serious", "critical"}
    ]


@pytest.mark.parametrize("place", PLACES)
def test_nothing_is_wider_than_a_phone(visit, place):
    page = visit("ada", viewport=PHONE)
    page.goto(PAGES + place)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_a_page_weighs_little_and_asks_for_at_most_three_things_the_second_time(visit):
    page = visit("ada")
    answers = []
    page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108 - Playwright takes no builtin
    page.goto(f"{PAGES}templates/")
    page.wait_for_load_state("networkidle")
    weights = {answer.url: len(answer.body()) for answer in answers}
    assert sum(weights.values()) <= MAX_BYTES, weights
    page.goto(f"{PAGES}datasources/")
    page.wait_for_load_state("networkidle")
    assert len(page.evaluate(OVER_THE_NETWORK)) <= 2
