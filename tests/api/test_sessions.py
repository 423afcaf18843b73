"""How long a session lasts, and what ends it."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from tests.client import API, Client
from tests.conftest import PASSWORD

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def later(member):
    """Ask who is signed in at another time, by a session that began at NOW."""

    def ask(**by):
        with time_machine.travel(NOW, tick=False):
            assert member.post("auth/login/", {"username": "max", "password": PASSWORD}).status_code == 200
        cookie = member.http.get_cookie("exporter_session").value
        thief = member.http.application.test_client()
        thief.set_cookie("exporter_session", cookie)
        with time_machine.travel(NOW + timedelta(**by), tick=False):
            return thief.get(API + "auth/me/").status_code

    return ask


@pytest.mark.parametrize(("by", "status"), [({"hours": 11}, 200), ({"hours": 13}, 401), ({"days": 400}, 401)])
def test_a_session_ends_twelve_hours_after_its_last_use(later, by, status):
    assert later(**by) == status


@pytest.mark.parametrize("by", [{"seconds": -2}, {"hours": -1}, {"days": -40}])
def test_a_clock_that_is_set_back_ends_no_session(later, by):
    assert later(**by) == 200


def test_use_prolongs_a_session(member):
    for hours in (0, 10, 20):
        with time_machine.travel(NOW + timedelta(hours=hours), tick=False):
            if hours == 0:
                member.post("auth/login/", {"username": "max", "password": PASSWORD})
            assert member.get("auth/me/").status_code == 200


def test_a_cookie_that_somebody_signed_otherwise_is_nobodys(app, member):
    cookie = member.http.get_cookie("exporter_session").value
    body, _, signature = cookie.rpartition(".")
    for forged in (f"{body}.{signature[::-1]}", body, "", "x", cookie[1:]):
        client = app.test_client()
        client.set_cookie("exporter_session", forged)
        assert client.get(API + "auth/me/").status_code == 401


def test_an_old_cookie_does_not_come_back_with_the_password_or_the_account(member, services):
    cookie = member.http.get_cookie("exporter_session").value
    user = services.accounts.user_named("max")

    def old():
        thief = member.http.application.test_client()
        thief.set_cookie("exporter_session", cookie)
        return thief.get(API + "auth/me/").status_code

    services.accounts.set_password(user, "another")
    services.accounts.set_password(user, PASSWORD)
    assert old() == 401
    services.accounts.disable(user)
    services.accounts.enable(user)
    assert old() == 401


def test_a_token_ends_on_its_day_and_its_last_use_is_noted(member, services):
    with time_machine.travel(NOW, tick=False):
        member.post("auth/login/", {"username": "max", "password": PASSWORD})
        made = member.post("auth/tokens/", {"name": "script", "expires_in_days": 2}).json["data"]
    script = Client(member.http.application.test_client())
    headers = {"Authorization": f"Bearer {made['token']}"}
    with time_machine.travel(NOW + timedelta(days=1, hours=23), tick=False):
        assert script.get("auth/me/", headers=headers).status_code == 200
    (token,) = services.accounts.tokens(services.accounts.user_named("max"))
    assert token.last_used_at == NOW + timedelta(days=1, hours=23)
    with time_machine.travel(NOW + timedelta(days=2), tick=False):
        assert script.get("auth/me/", headers=headers).status_code == 401
