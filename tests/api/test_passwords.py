"""Passwords: kept as argon2, renewed when the hash ages, never guessed by time or length."""

import pytest
from argon2 import PasswordHasher

from exporter.errors import Invalid, WrongCredentials
from exporter.model import Role
from exporter.storage import secrets

HERE = "192.0.2.1"


@pytest.fixture
def accounts(services):
    return services.accounts


def test_only_an_argon2_hash_is_kept(accounts, instance):
    user = accounts.create_user("ada", "a marker password", role=Role.ADMIN)
    assert accounts._users.password_hash(user.id).startswith("$argon2id$")
    kept = b"".join(path.read_bytes() for path in instance.glob("exporter.sqlite3*"))
    assert b"a marker password" not in kept


def test_a_hash_of_other_costs_is_renewed_at_the_log_in(accounts, monkeypatch):
    user = accounts.create_user("ada", "pw", role=Role.ADMIN)
    before = accounts._users.password_hash(user.id)
    dearer = PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    monkeypatch.setattr(secrets, "_hasher", lambda: dearer)
    accounts.log_in("ada", "pw", address=HERE)
    after = accounts._users.password_hash(user.id)
    assert after != before
    assert "m=16,t=2" in after
    accounts.log_in("ada", "pw", address=HERE)
    assert accounts._users.password_hash(user.id) == after


@pytest.mark.parametrize("length", [0, secrets.MAX_PASSWORD_CHARACTERS + 1])
def test_a_password_has_a_length_that_can_be_hashed_in_no_time(accounts, length):
    with pytest.raises(Invalid):
        accounts.create_user("ada", "x" * length, role=Role.ADMIN)


def test_a_password_too_long_is_never_hashed_and_sounds_like_a_wrong_one(accounts, monkeypatch):
    accounts.create_user("ada", "pw", role=Role.ADMIN)
    seen = []
    verify = secrets.verify_password
    monkeypatch.setattr(
        secrets, "verify_password", lambda kept, tried: seen.append(tried) or verify(kept, tried)
    )
    with pytest.raises(WrongCredentials):
        accounts.log_in("ada", "x" * 100_000, address=HERE)
    assert seen == [""]


@pytest.mark.parametrize("username", ["nobody", "max", ""])
def test_a_hash_is_checked_whether_or_not_the_account_can_sign_in(accounts, monkeypatch, username):
    accounts.create_user("ada", "pw", role=Role.ADMIN)
    accounts.disable(accounts.create_user("max", "pw", role=Role.MEMBER))
    checked = []
    hasher = secrets._hasher()

    class Counting:
        hash = hasher.hash

        def verify(self, kept, tried):
            checked.append(kept)
            return hasher.verify(kept, tried)

    monkeypatch.setattr(secrets, "_hasher", Counting)
    with pytest.raises(WrongCredentials):
        accounts.log_in(username, "pw", address=HERE)
    assert len(checked) == 1
    assert checked[0].startswith("$argon2id$")
