"""Behind a reverse proxy: whom it speaks for, and who may say so."""

import pytest

from exporter.model import Role
from exporter.storage.audit import AuditQuery
from tests.client import API, Client
from tests.conftest import PASSWORD

HTTPS = {"X-Forwarded-Proto": "https"}


@pytest.fixture
def behind(make_app):
    """Log in through proxies: give the answer and the address that the audit log has."""

    def log_in(headers, *, address="127.0.0.1", proxies="127.0.0.1 10.0.0.0/8 ::1"):
        app = make_app(**({"EXPORTER_TRUSTED_PROXIES": proxies} if proxies else {}))
        services = app.extensions["exporter"]
        if services.accounts.known("ada") is None:
            services.accounts.create_user("ada", PASSWORD, role=Role.ADMIN)
        http = app.test_client()
        answer = http.post(
            API + "auth/login/",
            json={"username": "ada", "password": PASSWORD},
            headers=headers,
            environ_base={"REMOTE_ADDR": address},
        )
        return answer, services.audit.page(AuditQuery()).items[0].address

    return log_in


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7, 10.1.2.3", "192.0.2.7"),
        ("6.6.6.6, 192.0.2.7, 10.1.2.3", "192.0.2.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("nonsense", "127.0.0.1"),
        ("192.0.2.7, nonsense, 10.1.2.3", "10.1.2.3"),
        ("", "127.0.0.1"),
        ("10.1.2.3", "10.1.2.3"),
    ],
)
def test_the_client_is_the_last_hop_that_is_no_proxy_of_ours(behind, forwarded, client):
    _, address = behind({"X-Forwarded-For": forwarded})
    assert address == client


def test_nobody_else_is_believed(behind):
    answer, address = behind({"X-Forwarded-For": "192.0.2.7", **HTTPS}, address="203.0.113.5")
    assert address == "203.0.113.5"
    assert "Secure" not in answer.headers["Set-Cookie"]


def test_by_default_no_proxy_is_believed(behind):
    answer, address = behind({"X-Forwarded-For": "192.0.2.7", **HTTPS}, proxies=None)
    assert address == "127.0.0.1"
    assert "Secure" not in answer.headers["Set-Cookie"]


@pytest.mark.parametrize(
    ("told", "secure"), [("https", True), ("http, https", True), ("http", False), ("ftp", False)]
)
def test_the_cookie_is_secure_when_the_proxy_was_asked_over_https(behind, told, secure):
    answer, _ = behind({"X-Forwarded-Proto": told})
    assert ("Secure" in answer.headers["Set-Cookie"]) == secure


def test_an_older_browser_behind_the_proxy_is_of_the_same_site(behind):
    for origin, status in (("https://localhost", 200), ("http://localhost", 403)):
        answer, _ = behind({"Origin": origin, **HTTPS})
        assert answer.status_code == status


def test_the_figures_are_not_open_to_whom_a_proxy_asks_for(make_app):
    for proxies in ({}, {"EXPORTER_TRUSTED_PROXIES": "127.0.0.1"}):
        http = make_app(**proxies).test_client()
        assert http.get("/metrics").status_code == 200
        for name in ("X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"):
            assert http.get("/metrics", headers={name: "127.0.0.1"}).status_code == 401


def test_a_server_may_answer_to_its_own_names_only(make_app):
    http = make_app(EXPORTER_TRUSTED_HOSTS="data.example .team.example").test_client()
    for host, status in (
        ("data.example", 200),
        ("data.example:8000", 200),
        ("a.team.example", 200),
        ("evil.example", 400),
        ("data.example.evil", 400),
    ):
        answer = http.get("/healthz", headers={"Host": host})
        assert answer.status_code == status, host
    assert answer.json["error"].startswith("This server does not answer to that host name")


@pytest.mark.parametrize("host", ['a"><script>', "a b", "a/b", "a@b"])
def test_a_host_that_cannot_be_one_is_refused(admin, host):
    answer = admin.http.get("/healthz", headers={"Host": host})
    assert answer.status_code == 400
    assert answer.json["success"] is False


def test_the_throttle_tells_the_clients_of_a_proxy_apart(make_app):
    client = Client(make_app(EXPORTER_TRUSTED_PROXIES="127.0.0.1").test_client())

    def guess(number, address):
        body = {"username": f"user{number}", "password": "x"}
        return client.post("auth/login/", body, headers={"X-Forwarded-For": address}).status_code

    guesses = [guess(number, "192.0.2.7") for number in range(30)]
    assert guesses[-1] == 429
    assert guess(99, "192.0.2.8") == 401
