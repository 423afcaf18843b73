"""Who may ask: sessions, tokens, roles and other sites."""

import pytest
import time_machine

from exporter.errors import LastAdmin
from exporter.model import Role
from tests.client import API, Client
from tests.conftest import PASSWORD

NOW = "2030-01-01T12:00:00Z"  # it stands still, so that no wait ends amid a test


def test_nobody_gets_in_without_signing_in(app):
    client = Client(app.test_client())
    for path in ("exports/", "datasources/", "export-templates/", "auth/me/", "auth/tokens/"):
        answer = client.get(path)
        assert answer.status_code == 401
        assert answer.json == {"success": False, "error": "You are not signed in"}


def test_a_session_tells_who_it_is_and_ends_at_log_out(member):
    me = member.get("auth/me/").json["data"]
    assert (me["username"], me["role"]) == ("max", "member")
    assert member.post("auth/logout/").status_code == 200
    assert member.get("auth/me/").status_code == 401


def test_logging_out_ends_a_stolen_cookie_too(app, member):
    cookie = member.http.get_cookie("exporter_session").value
    member.post("auth/logout/")
    thief = app.test_client()
    thief.set_cookie("exporter_session", cookie)
    assert thief.get(API + "auth/me/").status_code == 401


def test_the_cookie_is_http_only_lax_and_secure_behind_https(app, member):
    body = {"username": "max", "password": PASSWORD}
    answer = member.post("auth/login/", body)
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    assert "SameSite=Lax" in answer.headers["Set-Cookie"]
    assert "Secure" not in answer.headers["Set-Cookie"]
    answer = member.post("auth/login/", body, base_url="https://localhost")
    assert "Secure" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize(
    "body", [{"username": "max", "password": "wrong"}, {"username": "nobody", "password": PASSWORD}]
)
def test_a_wrong_name_and_a_wrong_password_sound_the_same(app, member, body):
    answer = Client(app.test_client()).post("auth/login/", body)
    assert answer.status_code == 401
    assert answer.json["error"] == "The username or the password is wrong"


@time_machine.travel(NOW, tick=False)
def test_many_failed_log_ins_have_to_wait(app, member):
    client = Client(app.test_client())
    statuses = [
        client.post("auth/login/", {"username": "max", "password": "x"}).status_code for _ in range(8)
    ]
    assert 429 in statuses
    answer = client.post("auth/login/", {"username": "max", "password": PASSWORD})
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) >= 1


def test_a_token_works_until_it_is_revoked(app, member):
    made = member.post("auth/tokens/", {"name": "script"})
    assert made.status_code == 201
    secret = made.json["data"]["token"]
    script = Client(app.test_client())
    headers = {"Authorization": f"Bearer {secret}"}
    assert script.get("auth/me/", headers=headers).json["data"]["username"] == "max"
    listed = member.get("auth/tokens/").json["data"]["tokens"]
    assert [token["name"] for token in listed] == ["script"]
    assert secret not in str(listed)
    assert member.delete(f"auth/tokens/{made.json['data']['id']}/").status_code == 200
    assert script.get("auth/me/", headers=headers).status_code == 401


def test_a_bad_token_is_refused_even_beside_a_good_cookie(member):
    answer = member.get("auth/me/", headers={"Authorization": "Bearer exp_wrong"})
    assert answer.status_code == 401
    assert answer.json["error"] == "This token is unknown, expired or revoked"


def test_only_a_hash_of_a_token_is_stored(member, services, instance):
    secret = member.post("auth/tokens/", {"name": "script"}).json["data"]["token"]
    stored = b"".join(path.read_bytes() for path in instance.glob("exporter.sqlite3*"))
    assert secret.encode() not in stored


def test_a_token_of_somebody_else_is_not_there(member, stranger):
    token_id = member.post("auth/tokens/", {"name": "mine"}).json["data"]["id"]
    assert stranger.delete(f"auth/tokens/{token_id}/").status_code == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({"Sec-Fetch-Site": "none"}, 201),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "http://localhost"}, 201),
        ({}, 201),
    ],
)
def test_another_site_cannot_act_with_the_cookie(member, headers, status):
    assert member.post("auth/tokens/", {"name": "x"}, headers=headers).status_code == status


def test_a_disabled_user_is_out_at_once(member, services):
    secret = member.post("auth/tokens/", {"name": "x"}).json["data"]["token"]
    services.accounts.disable(services.accounts.user_named("max"))
    assert member.get("auth/me/").status_code == 401
    member.http.delete_cookie("exporter_session")
    assert member.get("auth/me/", headers={"Authorization": f"Bearer {secret}"}).status_code == 401


def test_a_new_password_ends_the_sessions(member, services):
    services.accounts.set_password(services.accounts.user_named("max"), "another")
    assert member.get("auth/me/").status_code == 401


def test_one_users_jobs_and_templates_are_not_there_for_another(member, stranger, source):
    body = {"datasource": source, "format": "csv", "filters": {"table": "orders"}}
    job_id = member.post("exports/", body).json["data"]["id"]
    for answer in (
        stranger.get(f"exports/{job_id}/"),
        stranger.post(f"exports/{job_id}/cancel/"),
        stranger.post(f"exports/{job_id}/retry/"),
        stranger.get(f"exports/{job_id}/download/"),
        stranger.get(f"exports/{job_id}/receipt/"),
        stranger.delete(f"exports/{job_id}/"),
    ):
        assert answer.status_code == 404
        assert answer.json["error"] == "Export job not found"
    assert stranger.get("exports/").json["data"]["export_jobs"] == []


def test_an_admin_sees_everybodys_jobs(admin, member, source):
    body = {"datasource": source, "format": "csv", "filters": {"table": "orders"}}
    job_id = member.post("exports/", body).json["data"]["id"]
    assert admin.get(f"exports/{job_id}/").status_code == 200
    assert len(admin.get("exports/").json["data"]["export_jobs"]) == 1


def test_the_only_admin_cannot_be_shut_out(admin, services):
    ada = services.accounts.user_named("ada")
    with pytest.raises(LastAdmin):
        services.accounts.disable(ada)
    services.accounts.create_user("bea", PASSWORD, role=Role.ADMIN)
    services.accounts.disable(ada)
    assert admin.get("auth/me/").status_code == 401
    services.accounts.enable(ada)
    assert admin.post("auth/login/", {"username": "ada", "password": PASSWORD}).status_code == 200
