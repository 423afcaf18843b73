import re
import shutil

from playwright.sync_api import expect

from tests.browser.conftest import PAGES, PASSWORD, sign_in
from tests.server import Server


def test_an_admin_adds_a_datasource_and_a_wrong_one_is_explained_at_its_field(server, visit):
    page = visit("ada")
    page.goto(f"{PAGES}datasources/")
    page.get_by_label("Name").fill("second shop")
    page.get_by_label("Address").fill(f"sqlite:///{server.instance / 'nowhere.db'}")
    page.get_by_role("button", name="Connect and add").click()
    address = page.get_by_label("Address")
    expect(address).to_have_attribute("aria-invalid", "true")
    expect(address).to_have_accessible_description(re.compile("file|exist"))
    expect(page.get_by_label("Name")).to_have_value("second shop")
    address.fill(f"sqlite:///{server.instance / 'shop.db'}")
    page.get_by_text("Only one table or query").click()
    page.get_by_label("Table").fill("orders")
    page.get_by_role("button", name="Connect and add").click()
    row = page.locator(".job", has_text="second shop")
    row.get_by_role("button", name="Test").click()
    expect(row).to_contain_text("Answers in")
    row.get_by_role("button", name="Share").click()
    expect(row).to_contain_text("shared with everybody")
    page.once("dialog", lambda dialog: dialog.accept())
    row.get_by_role("button", name="Remove").click()
    expect(row).to_have_count(0)


def test_an_admin_adds_a_user_who_signs_in_until_disabled(visit):
    page, theirs = visit("ada"), visit()
    page.goto(f"{PAGES}users/")
    page.get_by_label("Name").fill("zoe")
    page.get_by_label("First password").fill("zoe's first")
    page.get_by_role("button", name="Add user").click()
    expect(page.get_by_text("User zoe may sign in.")).to_be_visible()
    sign_in(theirs, "zoe", "zoe's first")
    expect(theirs.get_by_role("link", name="Users")).to_have_count(0)
    page.get_by_role("button", name="Disable zoe").click()
    theirs.reload()
    expect(theirs.get_by_role("button", name="Log in")).to_be_visible()


def test_a_token_is_shown_once_and_works_until_it_is_revoked(server, visit):
    page = visit("max")
    page.goto(f"{PAGES}account/")
    page.get_by_label("What it is for").fill("nightly")
    page.get_by_role("button", name="Create token").click()
    secret = page.locator("#secret").text_content()
    asked = {"headers": {"Authorization": f"Bearer {secret}"}}
    assert page.request.get("/data-tools/api/v1/auth/me/", **asked).ok
    page.goto(f"{PAGES}account/")
    expect(page.locator("#secret")).to_have_count(0)
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Revoke nightly").click()
    expect(page.get_by_text("Token revoked.")).to_be_visible()
    assert page.request.get("/data-tools/api/v1/auth/me/", **asked).status == 401


def test_a_changed_password_counts_and_ends_other_sessions(visit):
    page, other = visit(), visit()
    sign_in(page, "kim")
    sign_in(other, "kim")
    page.goto(f"{PAGES}account/")
    page.get_by_label("Present password").fill(PASSWORD)
    page.get_by_label("New password", exact=True).fill("a longer one")
    page.get_by_label("New password, again").fill("a longer one")
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_text("Password changed")).to_be_visible()
    other.reload()
    expect(other.get_by_role("button", name="Log in")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    sign_in(page, "kim", "a longer one")


def test_a_new_server_makes_its_admin_with_the_code_that_it_prints(chromium, migrated, tmp_path):
    instance = tmp_path / "new"
    shutil.copytree(migrated, instance)
    server = Server(instance)
    server.start()
    try:
        code = re.search(r"with the code (\w+)$", server.told(), re.MULTILINE)[1]
        context = chromium.new_context(base_url=server.url)
        page = context.new_page()
        page.goto(PAGES)
        page.get_by_label("Code").fill("WRONG")
        page.get_by_label("Your name").fill("ada")
        page.get_by_label("Password").fill("pw")
        page.get_by_role("button", name="Create the admin").click()
        expect(page.get_by_text("This is not the code")).to_be_visible()
        page.get_by_label("Code").fill(code.lower())
        page.get_by_label("Password").fill("pw")
        page.get_by_role("button", name="Create the admin").click()
        expect(page.get_by_role("link", name="Add a datasource")).to_be_visible()
        page.goto(f"{PAGES}setup/")
        expect(page).to_have_url(re.compile("/login/"))
        context.close()
    finally:
        server.kill()
