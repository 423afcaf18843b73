"""The audit log: who did what, and nothing that is nobody's business."""

from datetime import timedelta

import pytest
import time_machine
from sqlalchemy.sql import text

from exporter.blueprints.audited import action_of
from exporter.model import Action
from exporter.storage.audit import AuditQuery
from tests.client import Client
from tests.conftest import PASSWORD

# Unsafe calls that change nothing and hand out no row.
NO_DEEDS = {"datasources.test", "exports.estimate"}
# Safe calls that are deeds: they hand out data.
DEEDS_THAT_READ = {"exports.download"}


@pytest.fixture
def deeds(services):
    """Give what the log holds now, the oldest first, as (who, action, outcome or reason, object's name)."""

    def listed(**asked):
        found = reversed(services.audit.page(AuditQuery(page_size=1000, **asked)).items)
        return [
            (each.username, str(each.action), each.reason or str(each.outcome), each.object_name)
            for each in found
        ]

    return listed


def test_every_call_that_changes_something_is_noted(app):
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("pages."):
            continue  # tests/pages presses every button
        noted = action_of(app.view_functions[rule.endpoint]) is not None
        unsafe = bool(rule.methods - {"GET", "HEAD", "OPTIONS"})
        assert noted == ((unsafe and rule.endpoint not in NO_DEEDS) or rule.endpoint in DEEDS_THAT_READ), rule


def test_a_day_of_exporting_is_told_deed_by_deed(app, services, admin, member, source, deeds):
    body = {"datasource": source, "format": "csv", "filters": {"table": "orders"}}
    admin.post(f"datasources/{source}/preview/", {"table": "orders"})
    job = member.export({**body, "name": "monday"})
    member.get(f"exports/{job['id']}/download/")
    member.get(f"exports/{job['id']}/download/", headers={"Range": "bytes=1-2"})
    member.delete(f"exports/{job['id']}/")
    endless = member.post("exports/", {**body, "filters": {"table": "endless"}}).json["data"]["id"]
    member.post(f"exports/{endless}/cancel/")
    member.post(f"exports/{endless}/retry/")
    member.post(f"exports/{endless}/cancel/")
    made = member.post("export-templates/", {"name": "t", "configuration": {"format": "csv"}}).json["data"][
        "id"
    ]
    member.patch(f"export-templates/{made}/", {"description": "d"})
    member.delete(f"export-templates/{made}/")
    token = member.post("auth/tokens/", {"name": "script"}).json["data"]["id"]
    member.delete(f"auth/tokens/{token}/")
    member.post("auth/logout/")
    assert deeds() == [
        ("ada", "user.log_in", "done", "ada"),
        ("max", "user.log_in", "done", "max"),
        ("ada", "datasource.create", "done", "shop"),
        ("ada", "datasource.preview", "done", "shop"),
        ("max", "export.create", "done", "monday"),
        ("max", "export.download", "done", "monday"),
        ("max", "export.download", "done", "monday"),
        ("max", "export.delete", "done", "monday"),
        ("max", "export.create", "done", "shop"),
        ("max", "export.cancel", "done", "shop"),
        ("max", "export.retry", "done", "shop"),
        ("max", "export.cancel", "done", "shop"),
        ("max", "template.create", "done", "t"),
        ("max", "template.update", "done", "t"),
        ("max", "template.delete", "done", "t"),
        ("max", "token.create", "done", "script"),
        ("max", "token.revoke", "done", "script"),
        ("max", "user.log_out", "done", "max"),
    ]


def test_a_line_says_from_where_and_by_which_request(admin, services):
    answer = admin.post("auth/tokens/", {"name": "script"})
    entry = services.audit.page(AuditQuery()).items[0]
    assert (entry.address, entry.request_id) == ("127.0.0.1", answer.headers["X-Request-Id"])
    assert entry.object_id == answer.json["data"]["id"]


def test_what_was_refused_is_noted_with_its_reason_and_the_id_that_was_tried(
    member, stranger, source, services, deeds
):
    job = member.export({"datasource": source, "format": "csv", "filters": {"table": "orders"}})
    stranger.get(f"exports/{job['id']}/download/")
    assert services.audit.page(AuditQuery()).items[0].object_id == job["id"]
    stranger.delete("exports/no-id-of-ours/")
    assert services.audit.page(AuditQuery()).items[0].object_id is None
    member.post("datasources/", {"name": "x", "url": "sqlite:///x.db"})
    member.post(f"exports/{job['id']}/cancel/")
    assert [deed[:3] for deed in deeds()[-4:]] == [
        ("eve", "export.download", "job_not_found"),
        ("eve", "export.delete", "job_not_found"),
        ("max", "datasource.create", "forbidden"),
        ("max", "export.cancel", "transition_refused"),
    ]


def test_an_answer_without_the_file_is_no_download(admin, source, deeds):
    job = admin.export({"datasource": source, "format": "csv", "filters": {"table": "orders"}})
    url = f"/data-tools/api/v1/exports/{job['id']}/download/"
    before = deeds()
    admin.http.head(url)
    admin.http.get(url, headers={"If-None-Match": f'"{job["checksum"]["value"]}"'})
    assert deeds() == before


def test_a_fault_of_the_server_is_a_deed_that_failed(app, admin, monkeypatch, deeds):
    def broken(*arguments, **options):
        raise RuntimeError("the secret inside")

    monkeypatch.setattr("exporter.accounts.AccountService.create_token", broken)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    assert admin.post("auth/tokens/", {"name": "x"}).status_code == 500
    assert deeds()[-1] == ("ada", "token.create", "failed", None)


def test_log_ins_are_noted_under_the_account_and_a_name_that_is_none_is_left_out(app, member, deeds):
    client = Client(app.test_client())
    client.post("auth/login/", {"username": "max", "password": "wrong"})
    client.post("auth/login/", {"username": "my password, by mistake", "password": "x"})
    assert deeds()[-2:] == [
        ("max", "user.log_in", "wrong_credentials", None),
        (None, "user.log_in", "wrong_credentials", None),
    ]


@time_machine.travel("2030-01-01T12:00:00Z", tick=False)
def test_a_flood_of_log_ins_does_not_flood_the_log(app, member, deeds):
    client = Client(app.test_client())
    for _ in range(40):
        client.post("auth/login/", {"username": "max", "password": "wrong"})
    found = [reason for _, action, reason, _ in deeds() if action == "user.log_in"]
    assert found.count("wrong_credentials") < 12
    assert 1 <= found.count("too_many_logins") < 12


def test_a_log_that_cannot_be_written_does_not_undo_the_deed(admin, services, caplog):
    with services.database.write() as connection:
        connection.execute(text("ALTER TABLE audit_log RENAME TO away"))
    assert admin.post("auth/tokens/", {"name": "script"}).status_code == 201
    assert "not in the audit log" in caplog.text
    assert "token.create" in caplog.text


def test_admins_list_it_filtered_and_in_pages(admin, member, source):
    for name in ("a", "b", "c"):
        member.post("auth/tokens/", {"name": name})
    data = admin.get("audit/?user=max&action=token.create&page_size=2").json["data"]
    assert [entry["object"]["name"] for entry in data["entries"]] == ["c", "b"]
    assert data["pagination"]["total_count"] == 3
    assert data["entries"][0]["user"]["username"] == "max"
    last = admin.get("audit/?user=max&action=token.create&page_size=2&page=2").json["data"]
    assert [entry["object"]["name"] for entry in last["entries"]] == ["a"]


def test_a_span_of_time_takes_its_last_day_whole(admin, services):
    midnight = services.clock().replace(hour=0, minute=0, second=0, microsecond=0)
    first, second, third = (midnight - timedelta(days=days) for days in (9, 8, 7))
    for at in (first + timedelta(hours=12), second + timedelta(hours=23), third):
        services.audit._store.add(
            at=at, address="x", action="user.enable", outcome="done", object_kind="user"
        )

    def days(since="", until=""):
        span = {
            "action": "user.enable",
            **({"since": since} if since else {}),
            **({"until": until} if until else {}),
        }
        entries = admin.get("audit/", query_string=span).json["data"]["entries"]
        return [entry["time"][:10] for entry in entries]

    one, two, three = (each.date().isoformat() for each in (first, second, third))
    assert days(since=two, until=two) == [two]
    assert days(until=two) == [two, one]
    assert days(until=f"{two}T23:00:00Z") == [one]
    assert days(since=f"{three}T01:00:00+01:00") == [three]


@pytest.mark.parametrize(
    "query",
    [
        "since=yesterday",
        "until=9999-12-31",
        "since=0001-01-01T00:00:00%2B14:00",
        "action=x",
        "page=0",
        "colour=red",
        "since=",
    ],
)
def test_a_bad_question_is_a_400_that_names_it(admin, query):
    answer = admin.get(f"audit/?{query}")
    assert answer.status_code == 400
    assert list(answer.json["error"]) == [query.partition("=")[0]]


def test_the_log_is_for_admins(member):
    answer = member.get("audit/")
    assert (answer.status_code, answer.json["error"]) == (403, "Only an admin can do this")


def test_old_lines_are_swept_after_their_time(make_app):
    services = make_app(EXPORTER_AUDIT_DAYS="30").extensions["exporter"]
    now = services.clock()
    for days in (29, 31):
        services.audit._store.add(
            at=now - timedelta(days=days), address="x", action="user.log_in", outcome="done"
        )
    services.sweeper.sweep(dry_run=True)
    assert services.audit.page(AuditQuery()).total == 2
    services.sweeper.sweep()
    (left,) = services.audit.page(AuditQuery()).items
    assert left.at == now - timedelta(days=29)


def test_with_0_days_nothing_is_ever_removed(make_app):
    services = make_app(EXPORTER_AUDIT_DAYS="0").extensions["exporter"]
    services.audit._store.add(
        at=services.clock() - timedelta(days=9999), address="x", action="user.log_in", outcome="done"
    )
    services.sweeper.sweep()
    assert services.audit.page(AuditQuery()).total == 1


def test_the_store_can_add_list_and_age_but_not_change():
    from exporter.storage.audit import AuditStore

    assert {name for name in vars(AuditStore) if not name.startswith("_")} == {"add", "page", "remove_before"}


def test_every_action_fits_its_column_and_speaks_of_a_kind():
    for action in Action:
        assert len(action.value) <= 32
        assert action.kind in {"user", "token", "datasource", "export", "template", "schedule", "webhook"}


def test_a_password_is_nowhere_in_it(app, admin, services):
    Client(app.test_client()).post("auth/login/", {"username": PASSWORD, "password": PASSWORD})
    assert PASSWORD not in admin.get("audit/?page_size=100").text


def test_a_job_and_its_line_are_made_together_or_not_at_all(services, admin, source, deeds):
    body = {"datasource": source, "format": "csv", "filters": {"table": "orders"}}
    made = admin.post("exports/", body).json["data"]["id"]
    assert [each.object_id for each in services.audit.page(AuditQuery(action="export.create")).items] == [
        made
    ]
    with services.database.write() as connection:
        connection.execute(text("ALTER TABLE audit_log RENAME TO elsewhere"))
    try:
        assert admin.post("exports/", body).status_code == 503
    finally:
        with services.database.write() as connection:
            connection.execute(text("ALTER TABLE elsewhere RENAME TO audit_log"))
    assert admin.get("exports/").json["data"]["pagination"]["total_count"] == 1
    assert [deed for deed in deeds() if deed[1] == "export.create"] == [
        ("ada", "export.create", "done", "shop")
    ]
