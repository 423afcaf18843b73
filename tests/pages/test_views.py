"""The pages without a browser: statuses, headers, who may see what, and that nothing of a request is lost."""

import re
from contextlib import closing

import apsw
import pytest

from exporter.model import Role
from exporter.storage.audit import AuditQuery
from tests.conftest import PASSWORD

PAGES = "/data-tools/"
HTMX = {"HX-Request": "true"}
MEMBERS = (
    "",
    "exports/new/",
    "templates/",
    "schedules/",
    "schedules/times/",
    "schedules/tables/",
    "webhooks/",
    "datasources/",
    "account/",
    "exports/rows/",
)
ADMINS = ("users/", "activity/")
HOSTILE = '"><script>alert(1)</script>'


@pytest.mark.parametrize("place", MEMBERS)
def test_a_member_sees_the_page_with_its_headers(member, source, place):
    answer = member.http.get(PAGES + place)
    assert answer.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "<script>" not in answer.text
    assert not re.search(r"\son\w+=|\sstyle=", answer.text)


@pytest.mark.parametrize("place", ADMINS)
def test_what_is_for_admins_is_refused_to_a_member(admin, member, place):
    assert admin.http.get(PAGES + place).status_code == 200
    answer = member.http.get(PAGES + place)
    assert answer.status_code == 403
    assert "Only an admin can do this" in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "users/",
        "datasources/",
        "users/{user}/role/",
        "users/{user}/active/",
        "datasources/{source}/share/",
        "datasources/{source}/delete/",
    ],
)
def test_a_member_changes_nothing_of_the_admins(services, admin, member, source, path):
    ada = services.accounts.user_named("ada")
    answer = member.http.post(
        PAGES + path.format(user=ada.id, source=source), data={"username": "x", "name": "x", "url": "x"}
    )
    assert answer.status_code == 403
    assert services.accounts.user_named("ada") == ada
    assert services.datasources.get(source, None).is_shared


def test_a_datasource_is_read_from_a_copy_where_the_form_says_so_and_stays_so_when_it_is_shared(
    services, admin, shop
):
    form = {"name": "copied", "url": f"sqlite:///{shop}", "snapshot_copy": "1"}
    assert admin.http.post(f"{PAGES}datasources/", data=form).status_code == 303
    found = services.datasources.named("copied", None)
    assert admin.http.post(f"{PAGES}datasources/{found.id}/share/").status_code == 303
    shared = services.datasources.named("copied", None)
    assert (shared.is_shared, shared.snapshot_copy) == (True, True)
    assert "read from a copy" in admin.http.get(f"{PAGES}datasources/").text
    form |= {"name": "crm", "url": "postgresql://nobody@127.0.0.1:1/none"}
    answer = admin.http.post(f"{PAGES}datasources/", data=form)
    assert (answer.status_code, "Only a SQLite file is copied" in answer.text) == (422, True)


def test_nobody_is_let_in_anywhere(app):
    http = app.test_client()
    for rule in app.url_map.iter_rules():
        if not rule.endpoint.startswith("pages.") or rule.endpoint.startswith(
            ("pages.log_in", "pages.set_up")
        ):
            continue
        path = re.sub(r"<\w+>", "00000000-0000-4000-8000-000000000000", rule.rule)
        for method in rule.methods - {"OPTIONS"}:
            answer = http.open(path, method=method)
            led = answer.status_code == 303 and "/login/" in answer.headers["Location"]
            assert led or answer.status_code == 401, (path, method, answer.status_code)
            assert http.open(path, method=method, headers=HTMX).status_code == 401


def test_somebody_elses_export_is_not_there(member, stranger, source):
    job = member.export({"datasource": source, "format": "csv", "filters": {"table": "orders"}})
    for method, path in (("GET", ""), ("POST", "cancel/"), ("POST", "retry/"), ("POST", "delete/")):
        answer = stranger.http.open(f"{PAGES}exports/{job['id']}/{path}", method=method)
        assert answer.status_code == 404
    assert job["id"] not in stranger.http.get(PAGES).text
    assert job["id"] in member.http.get(PAGES).text


@pytest.mark.parametrize("headers", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.example"}])
def test_another_site_cannot_press_a_button(member, source, headers):
    form = {"datasource": source, "table": "orders", "do": "export"}
    assert member.http.post(f"{PAGES}exports/new/", data=form, headers=headers).status_code == 403
    login = {"username": "max", "password": PASSWORD}
    assert member.http.post(f"{PAGES}login/", data=login, headers=headers).status_code == 403
    assert member.get("exports/").json["data"]["export_jobs"] == []


def test_an_export_needs_no_script(member, source):
    form = {"datasource": source, "table": "orders", "format": "json", "do": "export"}
    answer = member.http.post(f"{PAGES}exports/new/", data=form)
    assert answer.status_code == 303
    job = member.until(answer.headers["Location"].rpartition("#job-")[2], "completed")
    assert (job["format"], job["row_count"]) == ("json", 4)


def test_a_fault_comes_back_with_everything_that_was_typed(member, source):
    form = {"datasource": source, "table": "orders", "limit": "few", "name": HOSTILE, "do": "export"}
    answer = member.http.post(f"{PAGES}exports/new/", data=form)
    assert answer.status_code == 422
    assert "is not a row limit" in answer.text
    assert 'value="few"' in answer.text
    assert HOSTILE not in answer.text
    assert "&lt;script&gt;" in answer.text


@pytest.mark.parametrize(
    "what", ["drop-sort:9", "drop-condition:x", "add-condition:7", "nonsense", "drop-group:"]
)
def test_a_button_that_means_nothing_changes_nothing(member, source, what):
    form = {"datasource": source, "table": "orders", "limit": "7", "do": what}
    answer = member.http.post(f"{PAGES}exports/new/", data=form)
    assert answer.status_code == 200
    assert 'value="7"' in answer.text


def test_the_list_is_told_unchanged_until_it_changes(member, source):
    first = member.http.get(f"{PAGES}exports/rows/")
    again = {"If-None-Match": first.headers["ETag"]}
    unchanged = member.http.get(f"{PAGES}exports/rows/", headers=again)
    assert (unchanged.status_code, unchanged.data) == (304, b"")
    member.export({"datasource": source, "format": "csv", "filters": {"table": "orders"}})
    assert member.http.get(f"{PAGES}exports/rows/", headers=again).status_code == 200


def test_filters_that_mean_nothing_are_left_out(member, source):
    member.export({"datasource": source, "format": "csv", "filters": {"table": "orders"}})
    text = member.http.get(f"{PAGES}?status=odd&page=zero&format=csv").text
    assert "Complete · 4 rows" in text
    assert "No export fits" in member.http.get(f"{PAGES}?search=zzz").text


def test_the_log_in_leads_back_but_to_no_other_host(app, services, member):
    for path, expected in (
        ("/data-tools/templates/?type=shared", "/data-tools/templates/?type=shared"),
        ("//evil.example/data-tools/", PAGES),
        ("https://evil.example/", PAGES),
        ("/data-tools/\\evil.example", PAGES),
    ):
        form = {"username": "max", "password": PASSWORD, "next": path}
        answer = app.test_client().post(f"{PAGES}login/", data=form)
        assert (answer.status_code, answer.headers["Location"]) == (303, expected)


def test_a_wrong_password_is_said_and_counted(app, member):
    http = app.test_client()
    answers = [http.post(f"{PAGES}login/", data={"username": "max", "password": "no"}) for _ in range(9)]
    assert answers[0].status_code == 401
    assert "The username or the password is wrong" in answers[0].text
    assert answers[-1].status_code == 429
    assert 'value="max"' in answers[-1].text


def test_the_first_admin_needs_the_code_and_there_is_only_one_first(app, services):
    http = app.test_client()
    assert http.get(f"{PAGES}login/").headers["Location"] == f"{PAGES}setup/"
    wanted = {"username": "ada", "password": PASSWORD}
    assert http.post(f"{PAGES}setup/", data={**wanted, "code": "WRONG"}).status_code == 400
    assert services.accounts.users() == []
    code = services.accounts._setup_code
    assert http.post(f"{PAGES}setup/", data={**wanted, "code": code}).status_code == 303
    second = http.post(f"{PAGES}setup/", data={"username": "eve", "password": "x", "code": code})
    assert second.status_code == 400
    assert [(user.username, user.role) for user in services.accounts.users()] == [("ada", Role.ADMIN)]


def test_the_code_cannot_be_tried_for_long(app):
    http = app.test_client()
    wanted = {"username": "ada", "password": PASSWORD, "code": "WRONG"}
    assert [http.post(f"{PAGES}setup/", data=wanted).status_code for _ in range(9)][-1] == 429


def test_deeds_on_the_page_are_in_the_audit_log(services, admin, source):
    admin.http.post(f"{PAGES}exports/new/", data={"datasource": source, "table": "orders", "do": "export"})
    admin.http.post(f"{PAGES}exports/new/", data={"datasource": source, "table": "nowhere", "do": "export"})
    admin.http.post(f"{PAGES}account/tokens/", data={"name": "nightly"})
    admin.http.post(f"{PAGES}users/", data={"username": "zoe", "password": "x", "role": "member"})
    admin.http.post(f"{PAGES}users/{services.accounts.user_named('zoe').id}/role/")
    text = admin.http.get(f"{PAGES}activity/").text
    for told in ("created export", "refused: invalid", "created token", "created user", "role of user"):
        assert told in text, told


NO_DEEDS = {"pages.test_datasource"}
SENT = {
    "pages.build": {"table": "orders", "do": "export"},
    "pages.preview": {"table": "orders"},
    "pages.add_datasource": {"name": "x", "url": "sqlite:///nowhere.db"},
    "pages.create_token": {"name": "nightly"},
    "pages.add_schedule": {"name": "s", "cron": "@daily", "timezone": "UTC"},
    "pages.add_webhook": {"name": "w", "url": "https://10.0.0.1/"},
    "pages.add_user": {"username": "zoe", "password": "x"},
    "pages.change_password": {"old": "wrong", "new": "x", "again": "x"},
}


@pytest.fixture
def app(make_app):
    return make_app(EXPORTER_WEBHOOK_HOSTS="127.0.0.1")


def test_every_button_that_changes_something_is_noted(app, services, admin, member, source):
    """Whatever becomes of it: some of these are refused."""
    template = {"name": "t", "configuration": {"format": "csv"}}
    export = {"datasource": source, "format": "csv", "filters": {"table": "orders"}}
    schedule = {"name": "s", "cron": "@daily", "export": export}
    hook = admin.post("webhooks/", {"name": "h", "url": "http://127.0.0.1:9/"}).json["data"]
    ids = {
        "job_id": admin.export({"datasource": source, "format": "csv", "filters": {"table": "orders"}})["id"],
        "template_id": admin.post("export-templates/", template).json["data"]["id"],
        "schedule_id": admin.post("schedules/", schedule).json["data"]["id"],
        "webhook_id": hook["id"],
        "delivery_id": admin.post(f"webhooks/{hook['id']}/test/").json["data"]["id"],
        "token_id": admin.post("auth/tokens/", {"name": "n"}).json["data"]["id"],
        "user_id": services.accounts.user_named("max").id,
        "datasource_id": source,
    }
    buttons = [
        rule
        for rule in app.url_map.iter_rules()
        if rule.endpoint.startswith("pages.") and "POST" in rule.methods and rule.endpoint not in NO_DEEDS
    ]
    for rule in sorted(buttons, key=lambda rule: rule.endpoint == "pages.log_out"):
        before = services.audit.page(AuditQuery()).total
        path = app.url_map.bind("localhost").build(
            rule.endpoint, {each: ids[each] for each in rule.arguments}
        )
        admin.http.post(path, data={"datasource": source, **SENT.get(rule.endpoint, {})})
        assert services.audit.page(AuditQuery()).total == before + 1, rule


def test_an_admin_cannot_shut_out_himself(services, admin):
    ada = services.accounts.user_named("ada")
    for what in ("role", "active"):
        assert admin.http.post(f"{PAGES}users/{ada.id}/{what}/").status_code == 403
    assert services.accounts.user_named("ada") == ada


def test_a_role_is_changed_and_counts_at_once(services, admin, member):
    max_ = services.accounts.user_named("max")
    assert admin.http.post(f"{PAGES}users/{max_.id}/role/").status_code == 303
    assert member.http.get(f"{PAGES}users/").status_code == 200


def test_assets_are_kept_for_good_under_their_content(admin):
    text = admin.http.get(PAGES).text
    for path in re.findall(r'(?:src|href)="(/data-tools/static/[^"]+)"', text):
        with admin.http.get(path) as answer:
            assert answer.status_code == 200
            assert "immutable" in answer.headers["Cache-Control"]


def test_a_fault_of_a_page_is_a_page_and_for_htmx_a_sentence(member):
    nowhere = f"{PAGES}exports/00000000-0000-4000-8000-000000000000/"
    assert "<h1>That did not work</h1>" in member.http.get(nowhere).text
    answer = member.http.get(nowhere, headers=HTMX)
    assert (answer.status_code, answer.text) == (404, "Export job not found")


def test_the_only_datasource_and_its_only_table_are_chosen_at_once(admin, instance):
    with closing(apsw.Connection(str(instance / "one.db"))) as connection:
        connection.execute("CREATE TABLE lonely (n INTEGER)")
    admin.post("datasources/", {"name": "one", "url": "sqlite:///one.db"})
    shown = admin.http.get(PAGES + "exports/new/").text
    assert re.search(r'<option value="lonely" selected', shown)
    assert "Choose a table" not in re.sub(r"<option[^>]*>[^<]*", "", shown)


def test_a_part_of_a_page_does_not_renew_the_session(member, source):
    """Its answer may come behind one that changed the session, and would take that back."""
    assert "Set-Cookie" in member.http.get(PAGES).headers
    assert "Set-Cookie" not in member.http.get(PAGES + "exports/rows/", headers=HTMX).headers
    assert "Set-Cookie" not in member.http.post(PAGES + "exports/new/preview/", headers=HTMX).headers
