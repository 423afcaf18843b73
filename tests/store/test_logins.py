"""The delay of log-ins, over both kinds of app database."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from exporter.accounts import (
    FREE_TRIES,
    FREE_TRIES_OF_ADDRESS,
    LONGEST_DELAY_SECONDS,
    LoginThrottle,
    network_of,
    waiting_time,
)
from exporter.cli.base import upgrade_schema
from exporter.errors import TooManyLogins
from exporter.storage.logins import LoginFailureStore


class Clock:
    def __init__(self):
        self.now = datetime(2024, 1, 1, tzinfo=UTC)

    def __call__(self):
        return self.now

    def move(self, **by):
        self.now += timedelta(**by)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store(request, make_app):
    if request.param == "sqlite":
        app = make_app()
    else:
        app = make_app(EXPORTER_DATABASE_URL=request.getfixturevalue("postgres_database"))
        with app.app_context():
            upgrade_schema()
    return LoginFailureStore(app.extensions["exporter"].database)


@pytest.fixture
def throttle(store, clock):
    return LoginThrottle(store, clock)


def refused(throttle, username="ada", address="10.0.0.1"):
    try:
        throttle.begin(username, address)
    except TooManyLogins as exc:
        return exc.retry_after
    return None


def test_tries_wait_longer_after_each_failure_but_never_for_ever(throttle, clock):
    for _ in range(FREE_TRIES):
        assert refused(throttle) is None
    waits = []
    for _ in range(10):
        waits.append(refused(throttle))
        clock.move(seconds=waits[-1])
        assert refused(throttle) is None
    assert waits == sorted(waits)
    assert (waits[0], waits[-1]) == (2, LONGEST_DELAY_SECONDS + 1)


def test_another_account_from_another_address_does_not_wait(throttle):
    for _ in range(FREE_TRIES):
        throttle.begin("ada", "10.0.0.1")
    assert refused(throttle, "ada", "10.0.0.2")
    assert refused(throttle, "max", "10.0.0.2") is None


def test_an_address_that_tries_many_accounts_has_to_wait_too(throttle):
    for number in range(FREE_TRIES_OF_ADDRESS):
        assert refused(throttle, f"user{number}") is None
    assert refused(throttle, "one more")


def test_a_success_forgives_the_account_but_not_what_the_address_did_to_others(throttle):
    for number in range(FREE_TRIES_OF_ADDRESS - 1):
        throttle.begin(f"user{number}", "10.0.0.1")
    throttle.begin("eve", "10.0.0.1")
    throttle.succeeded("eve", "10.0.0.1")
    assert refused(throttle, "eve") is None
    assert refused(throttle, "eve")


def test_successes_alone_never_wait(throttle):
    for _ in range(3 * FREE_TRIES_OF_ADDRESS):
        throttle.begin("ada", "10.0.0.1")
        throttle.succeeded("ada", "10.0.0.1")


def test_failures_are_forgotten_after_a_while(throttle, clock, store):
    for _ in range(FREE_TRIES):
        throttle.begin("ada", "10.0.0.1")
    clock.move(minutes=16)
    for _ in range(FREE_TRIES):
        assert refused(throttle) is None


def test_a_clock_that_is_set_back_locks_nobody_out(throttle, clock):
    for _ in range(FREE_TRIES):
        throttle.begin("ada", "10.0.0.1")
    clock.move(hours=-1)
    assert refused(throttle) is None
    assert refused(throttle)


def test_tries_at_once_do_not_outrun_the_count(store, clock):
    throttles = [LoginThrottle(store, clock) for _ in range(2)]  # as of two processes
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda number: refused(throttles[number % 2]), range(24)))
    assert outcomes.count(None) == FREE_TRIES


def test_a_wait_is_told_once(throttle, clock):
    def repeated():
        with pytest.raises(TooManyLogins) as caught:
            throttle.begin("ada", "10.0.0.1")
        return caught.value.facts["repeated"]

    for _ in range(FREE_TRIES):
        throttle.begin("ada", "10.0.0.1")
    assert [repeated(), repeated(), repeated()] == [False, True, True]
    clock.move(seconds=5)
    throttle.begin("ada", "10.0.0.1")
    assert [repeated(), repeated()] == [False, True]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("unknown", "unknown"),
    ],
)
def test_an_ipv6_client_is_its_network(address, network):
    assert network_of(address) == network


def test_the_wait_is_bounded_however_often_it_failed():
    assert waiting_time(10**6, 0.0) == LONGEST_DELAY_SECONDS
