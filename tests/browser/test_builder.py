import re
from urllib.parse import urljoin

from playwright.sync_api import expect

from tests.browser.conftest import PAGES, PASSWORD, sign_in
from tests.browser.test_exports import export, new_export

NESTED = {
    "any": [
        {"all": [{"column": "id", "operator": ">", "value": 1}]},
        {"column": "id", "operator": "=", "value": 1},
    ]
}
CONFIGURATION = {
    "format": "csv",
    "filters": {
        "table": "orders",
        "columns": ["city", "id"],
        "where_conditions": [
            {"column": "amount", "operator": ">=", "value": "3.0"},
            NESTED,
            {
                "any": [
                    {"column": "city", "operator": "=", "value": "Köln"},
                    {"column": "city", "operator": "is null"},
                ]
            },
        ],
        "order_by": "id DESC NULLS LAST",
        "limit": 10,
    },
    "options": {"preset": "spreadsheet-eu", "line_terminator": "\n"},
}


def test_a_template_comes_back_from_the_form_as_it_went_in(server, visit):
    made = server.data("POST", "export-templates/", {"name": "round trip", "configuration": CONFIGURATION})
    page = visit("ada")
    page.goto(f"{PAGES}templates/")
    page.get_by_role("link", name="Edit round trip").click()
    expect(page.get_by_text("Kept from the template as it is")).to_be_visible()
    expect(page.get_by_label("Comparison of condition 1").first).to_have_value(">=")
    page.get_by_label("Name", exact=True).fill("there and back")
    page.get_by_role("button", name="Save template").click()
    expect(page.get_by_text("Template there and back saved.")).to_be_visible()
    kept = server.data("GET", f"export-templates/{made['id']}/")["configuration"]
    wanted = CONFIGURATION["filters"]
    assert kept["options"] == {"preset": "spreadsheet-eu", "line_terminator": "lf"}
    assert kept["filters"]["where_conditions"] == wanted["where_conditions"]
    assert kept["filters"]["order_by"] == ["id DESC NULLS LAST"]
    assert {name: kept["filters"][name] for name in ("table", "columns", "limit")} == {
        name: wanted[name] for name in ("table", "columns", "limit")
    }


def test_a_template_is_saved_shared_used_by_another_and_deleted(server, visit):
    hers, his = visit("ada"), visit("max")
    new_export(hers, "orders", "JSON")
    hers.get_by_role("button", name="Add a condition").click()
    hers.get_by_label("Column of condition 1").select_option("city")
    expect(
        hers.get_by_label("Comparison of condition 1").locator("option", has_text="contains")
    ).to_have_count(1)
    hers.get_by_label("Value of condition 1").fill("東京")
    hers.get_by_text("Save as a template").click()
    hers.get_by_label("Name of the template").fill("only Tokyo")
    hers.get_by_role("button", name="Save template").click()
    hers.get_by_role("button", name="Share only Tokyo").click()
    expect(hers.get_by_text("shared with everybody")).to_be_visible()
    his.goto(f"{PAGES}templates/")
    expect(his.get_by_role("link", name="Edit only Tokyo")).to_have_count(0)
    his.get_by_role("link", name="Use only Tokyo").click()
    row = export(his)
    expect(row).to_contain_text("Complete · 1 row")
    job = server.data("GET", f"exports/{row.get_attribute('id').removeprefix('job-')}/")
    assert job["template"]["name"] == "only Tokyo"
    hers.once("dialog", lambda dialog: dialog.accept())
    hers.goto(f"{PAGES}templates/")
    hers.get_by_role("button", name="Delete only Tokyo").click()
    expect(hers.get_by_text("Template only Tokyo deleted")).to_be_visible()


def test_the_preview_follows_the_choices_and_gives_commands(visit):
    page = visit("max")
    new_export(page, "orders")
    preview = page.locator("#preview")
    expect(preview).to_contain_text("4 rows")
    page.get_by_label("Which columns").get_by_label("Find a column").or_(
        page.get_by_label("Find a column")
    ).first.fill("cit")
    expect(page.locator("#columns li:visible")).to_have_count(1)
    page.get_by_label("Find a column").fill("")
    page.get_by_role("button", name="None", exact=True).click()
    page.get_by_role("checkbox", name=re.compile("^city")).check()
    expect(preview.locator("thead th")).to_have_count(1)
    page.get_by_role("button", name="Group", exact=True).click()
    page.get_by_label("Group by").select_option("city")
    expect(preview.locator("thead th")).to_have_text(["city", "count"])
    preview.get_by_text("Copy as Command line").click()
    expect(preview.locator("#copy-3")).to_contain_text("exporter exports create shop --table orders")


def test_columns_are_moved_with_the_keyboard(server, visit):
    page = visit("max")
    new_export(page, "orders")
    page.get_by_role("checkbox", name=re.compile("^age")).focus()
    for _ in range(3):
        page.keyboard.press("Alt+ArrowUp")
    expect(page.locator("#preview thead th").first).to_have_text("age")
    row = export(page)
    expect(row).to_contain_text("Complete")
    job = server.data("GET", f"exports/{row.get_attribute('id').removeprefix('job-')}/")
    assert job["filters"]["columns"] == ["age", "id", "city", "amount", "note", "created_at"]


def test_an_export_needs_nothing_but_a_keyboard(visit):
    page = visit("max")
    page.goto(PAGES)
    press_until(page, "New export")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="New export").wait_for()
    press_until(page, "table")
    page.keyboard.type("orders")
    expect(page.locator("#export")).to_be_enabled()
    press_until(page, "export", limit=60)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("#job-"))
    expect(page.locator(".job:target")).to_contain_text("Complete · 4 rows")


def press_until(page, wanted, limit=30):
    """Press Tab until the focus is on the element of that id or text."""
    told = "() => document.activeElement.id + '|' + document.activeElement.textContent.trim()"
    for _ in range(limit):
        page.keyboard.press("Tab")
        if wanted in page.evaluate(told).split("|"):
            return
    raise AssertionError(f"{wanted} is never reached")


def test_an_ended_session_asks_for_the_password_and_comes_back_to_what_was_typed(visit):
    page = visit()
    sign_in(page, "eve")
    new_export(page, "orders")
    page.get_by_label("Name, if you like").fill("not lost")
    page.get_by_label("At most").fill("2")
    # In another tab. A cookie that was only taken away here would come back with the preview that is under way.
    out = page.context.request.post(
        urljoin(page.url, "/data-tools/api/v1/auth/logout/"), headers={"Sec-Fetch-Site": "same-origin"}
    )
    assert out.ok
    page.get_by_role("button", name="Export", exact=True).click()
    expect(page.get_by_text("Your session has ended")).to_be_visible()
    page.get_by_label("Name").fill("eve")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_label("Name, if you like")).to_have_value("not lost")
    expect(page.get_by_label("At most")).to_have_value("2")
    row = export(page)
    expect(row).to_contain_text("Complete · 2 rows")


def test_a_network_that_is_away_is_said_and_loses_nothing(visit):
    page = visit("max")
    new_export(page, "orders")
    page.context.set_offline(True)
    page.get_by_label("Name, if you like").fill("patience")
    page.get_by_role("button", name="Export", exact=True).click()
    expect(page.get_by_text("The server cannot be reached")).to_be_visible()
    page.context.set_offline(False)
    expect(page.get_by_label("Name, if you like")).to_have_value("patience")
    expect(export(page)).to_contain_text("patience")
    expect(page.locator("#banner")).to_be_hidden()


def test_a_thousand_columns_are_chosen_from(server, visit):
    page = visit("max")
    new_export(page, "wide")
    expect(page.locator("#columns-count")).to_have_text("1,000 of 1,000")
    page.get_by_role("button", name="None", exact=True).click()
    page.get_by_label("Find a column").fill("0999")
    page.locator("input[value='column 0999']").check()
    expect(page.locator("#preview thead th")).to_have_text(["column 0999"])
    row = export(page)
    expect(row).to_contain_text("Complete · 1 row")
    job = server.data("GET", f"exports/{row.get_attribute('id').removeprefix('job-')}/")
    assert job["filters"]["columns"] == ["column 0999"]


def test_names_in_arabic_and_flags_and_dates_have_their_own_controls(visit):
    page = visit("max")
    new_export(page, "جدول طويل")
    page.get_by_role("button", name="Add a condition").click()
    page.get_by_label("Column of condition 1").select_option("flag")
    expect(page.get_by_label("Value of condition 1")).to_have_js_property("tagName", "SELECT")
    page.get_by_label("Value of condition 1").select_option("true")
    page.get_by_role("button", name="Add a condition").first.click()
    page.get_by_label("Column of condition 2").select_option("born")
    expect(page.get_by_label("Value of condition 2")).to_have_attribute("type", "date")
    page.get_by_label("Comparison of condition 2").select_option("is before")
    page.get_by_label("Value of condition 2").fill("2000-01-01")
    row = export(page)
    expect(row).to_contain_text("Complete · 1 row")
    expect(row.locator("h2 a")).to_have_attribute("dir", "auto")
