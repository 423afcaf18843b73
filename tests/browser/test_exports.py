import json
import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PAGES, sign_in

NAMES = {"csv": "CSV", "json": "JSON", "parquet": "Parquet", "excel": "Excel"}


def new_export(page, table, format_name="CSV"):
    page.goto(f"{PAGES}exports/new/")
    page.get_by_label("Table").select_option(value=table)
    page.get_by_text("Which columns").wait_for()
    page.get_by_role("radio", name=format_name).check()
    expect(page.locator("#export")).to_be_enabled()


def export(page):
    """Press Export; give the row of the new job."""
    page.get_by_role("button", name="Export", exact=True).click()
    page.wait_for_url(re.compile("#job-"))
    return page.locator(f"#{page.url.rpartition('#')[2]}")


@pytest.mark.parametrize("format_name", NAMES)
def test_from_the_log_in_to_the_file_in_each_format(server, visit, format_name, tmp_path):
    page = visit()
    sign_in(page, "max")
    page.get_by_role("link", name="New export").first.click()
    page.get_by_label("Table").select_option(value="orders")
    page.get_by_role("radio", name=NAMES[format_name]).check()
    row = export(page)
    expect(row).to_contain_text("Complete · 4 rows")
    with page.expect_download() as waiting:
        row.get_by_role("link", name="Download").click()
    job = row.get_attribute("id").removeprefix("job-")
    _, content = server.call("GET", f"exports/{job}/download/")
    assert waiting.value.path().read_bytes() == content
    assert waiting.value.suggested_filename.startswith("shop")


def test_progress_moves_while_nothing_is_pressed_and_ends_complete(visit):
    page = visit("max")
    new_export(page, "many", "Excel")
    row = export(page)
    shown = []
    page.expose_function("seen", lambda value: shown.append(value))  # noqa: PLW0108 - Playwright takes no builtin
    page.evaluate(
        """() => new MutationObserver(() => {
            const bar = document.querySelector(".job:target progress[value]");
            if (bar) window.seen(bar.value);
        }).observe(document.body, {subtree: true, childList: true, attributes: true})"""
    )
    expect(row.locator(".facts").first).to_contain_text("rows/s")
    expect(row).to_contain_text("Complete · 4,000,000 rows")
    between = [value for value in shown if 0 < value < 100]
    assert between == sorted(between)
    assert len(set(between)) > 1
    expect(row.locator("progress")).to_have_count(0)


def test_an_export_is_cancelled_retried_and_deleted_in_place(visit):
    page = visit("max")
    new_export(page, "endless")
    row = export(page)
    expect(row).to_contain_text("rows/s")
    page.evaluate("window.same = true")
    row.get_by_role("button", name="Cancel").click()
    expect(row).to_contain_text("Cancelled")
    row.get_by_role("button", name="Retry").click()
    expect(row).to_contain_text("Exporting")
    row.get_by_role("button", name="Cancel").click()
    expect(row).to_contain_text("Cancelled")
    expect(row).not_to_contain_text("Letting go")
    page.once("dialog", lambda dialog: dialog.accept())
    row.get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)
    assert page.evaluate("window.same"), "the page was loaded anew"


def test_a_fault_is_shown_at_its_field_and_nothing_typed_is_lost(visit):
    page = visit("max")
    new_export(page, "orders")
    page.get_by_role("button", name="Add a condition").click()
    expect(page.get_by_label("Column of condition 1")).to_be_focused()
    page.get_by_label("Column of condition 1").select_option("age")
    page.get_by_label("Comparison of condition 1").select_option("is at least")
    page.get_by_label("Value of condition 1").fill("old")
    page.get_by_label("Name, if you like").fill("people")
    page.get_by_label("At most").fill("some")
    page.get_by_role("button", name="Export", exact=True).click()
    value = page.get_by_label("Value of condition 1")
    expect(value).to_have_attribute("aria-invalid", "true")
    expect(value).to_have_value("old")
    expect(value).to_have_accessible_description(re.compile("'old' does not suit column 'age'"))
    expect(page.get_by_label("At most")).to_have_accessible_description(re.compile("row limit"))
    expect(page.get_by_label("Name, if you like")).to_have_value("people")
    value.fill("18")
    page.get_by_label("At most").fill("10")
    row = export(page)
    expect(row).to_contain_text("people")
    expect(row).to_contain_text("Complete · 2 rows")


def test_filters_narrow_the_list_as_they_are_typed_and_outlive_a_reload(visit):
    page = visit("max")
    new_export(page, "numbers", "JSON")
    page.get_by_label("Name, if you like").fill("a needle")
    export(page)
    page.get_by_label("Search").fill("needle")
    expect(page.locator(".job")).to_have_count(1)
    page.reload()
    expect(page.locator(".job")).to_have_count(1)
    page.get_by_label("Format").select_option("Excel")
    expect(page.get_by_text("No export fits these filters")).to_be_visible()


def test_two_browsers_see_the_same_export_live(visit):
    hers, his = visit("ada"), visit("max")
    new_export(his, "endless")
    row = export(his)
    hers.goto(PAGES)
    same = hers.locator(f"#{row.get_attribute('id')}")
    expect(same).to_contain_text("by max")
    expect(same).to_contain_text("Exporting")
    same.get_by_role("button", name="Cancel").click()
    expect(row).to_contain_text("Cancelled")


def test_the_list_asks_again_only_while_something_runs(visit):
    page = visit("max")
    page.clock.install()
    asked = []
    page.on("request", lambda request: "exports/rows/" in request.url and asked.append(request.url))
    new_export(page, "endless")
    row = export(page)
    expect(row).to_contain_text("rows/s")
    assert asked
    row.get_by_role("button", name="Cancel").click()
    expect(row).to_contain_text("Cancelled")
    expect(row).not_to_contain_text("Letting go")
    page.wait_for_load_state("networkidle")
    asked.clear()
    page.clock.run_for(60_000)
    page.wait_for_load_state("networkidle")
    assert asked == []


def test_the_receipt_stands_behind_a_complete_export(server, visit):
    page = visit("max")
    new_export(page, "orders", "Parquet")
    row = export(page)
    expect(row).to_contain_text("Complete")
    row.get_by_role("link", name="Receipt").click()
    expect(page.locator("#receipt")).to_contain_text("✓ the same")
    job = page.url.rstrip("/").split("/")[-1].partition("#")[0] or page.url.split("/")[-2]
    receipt = json.loads(server.call("GET", f"exports/{job}/receipt/")[1])["data"]
    expect(page.locator("#sha")).to_have_text(receipt["checksum"]["value"])
    page.get_by_role("link", name="Export this again").click()
    expect(page.get_by_label("Table")).to_have_value("orders")
    expect(page.get_by_role("radio", name="Parquet")).to_be_checked()
