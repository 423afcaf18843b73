"""What every answer tells a browser."""

import pytest

from exporter.storage.audit import AuditQuery
from tests.client import API
from tests.conftest import PASSWORD

PAGE = "/data-tools/api/docs/"


def csp(answer):
    words = (part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
    return {name: "".join(rest) for name, *rest in words}


@pytest.mark.parametrize(
    "path", [API + "auth/me/", API + "nowhere/", "/healthz", "/metrics", API + "openapi.json"]
)
def test_data_is_inert_and_not_kept(admin, path):
    answer = admin.http.get(path)
    assert csp(answer) == {"default-src": "'none'", "frame-ancestors": "'none'"}
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert "no-store" in answer.headers["Cache-Control"] or "no-cache" in answer.headers["Cache-Control"]
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert answer.headers["X-Request-Id"]


def test_a_page_loads_nothing_from_elsewhere_and_is_framed_by_nobody(admin):
    answer = admin.http.get(PAGE)
    policy = csp(answer)
    assert policy["default-src"] == "'self'"
    assert (policy["frame-ancestors"], policy["base-uri"], policy["form-action"]) == (
        "'none'",
        "'none'",
        "'self'",
    )
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_redirect_is_as_inert_as_a_page(admin):
    answer = admin.http.get(API + "exports")
    assert answer.status_code == 308
    assert csp(answer)["frame-ancestors"] == "'none'"


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=0-3"}, {"Range": "bytes=999999-"}])
def test_a_download_is_inert_private_and_not_kept(admin, source, headers):
    job = admin.export({"datasource": source, "format": "csv", "filters": {"table": "orders"}})
    answer = admin.get(f"exports/{job['id']}/download/", headers=headers)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    if answer.status_code == 416:
        return
    assert answer.headers["Content-Disposition"].startswith("attachment;")
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert csp(answer) == {"sandbox": "", "default-src": "'none'"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "odd"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"}, 200),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost.evil.example"}, 403),
        ({"Origin": "http://localhost:81"}, 403),
        ({"Origin": "https://localhost"}, 403),
        ({"Origin": ""}, 403),
        ({}, 200),
    ],
)
def test_another_site_can_neither_sign_in_nor_out(app, member, headers, status):
    body = {"username": "max", "password": PASSWORD}
    assert app.test_client().post(API + "auth/login/", json=body, headers=headers).status_code == status
    assert member.post("auth/logout/", headers=headers).status_code == status


def test_a_token_is_no_cookie_and_comes_from_wherever_its_holder_is(app, member):
    secret = member.post("auth/tokens/", {"name": "x"}).json["data"]["token"]
    headers = {"Authorization": f"Bearer {secret}", "Sec-Fetch-Site": "cross-site"}
    assert (
        app.test_client().post(API + "auth/tokens/", json={"name": "y"}, headers=headers).status_code == 201
    )


@pytest.mark.parametrize("given", ["req-17", "A.b_c-9", "x" * 64])
def test_a_sane_request_id_is_kept_in_the_answer_and_the_audit_log(admin, services, given):
    answer = admin.post("auth/tokens/", {"name": "t"}, headers={"X-Request-Id": given})
    assert answer.headers["X-Request-Id"] == given
    assert services.audit.page(AuditQuery(page_size=1)).items[0].request_id == given


@pytest.mark.parametrize("given", ["", "x" * 65, "two words", 'a"b', "ä", "a;b"])
def test_an_odd_request_id_is_replaced(app, given):
    found = app.test_client().get("/healthz", headers={"X-Request-Id": given}).headers["X-Request-Id"]
    assert found != given
    assert len(found) == 32


def test_what_is_the_servers_trouble_leaves_a_line_with_the_request_but_for_readiness(
    admin, source, services, caplog
):
    services.engine.close_door()
    assert admin.http.get("/readyz").status_code == 503
    assert admin.post("exports/", {"datasource": source, "format": "csv"}).status_code == 503
    (line,) = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert line.startswith("POST /data-tools/api/v1/exports/ refused with 503 stopping")
