"""Users and their API tokens. Only argon2 hashes of passwords and SHA-256 digests of tokens are stored."""

import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy import Row, Select, bindparam, delete, insert, select, update

from exporter.errors import DatabaseAway, NameTaken
from exporter.model import Role, Token, User
from exporter.storage.database import Database, IntegrityError
from exporter.storage.tables import TokenRow, UserRow

SESSION_KEY_BYTES = 24
LAST_USE_PRECISION_SECONDS = 60

BY_ID = select(UserRow.__table__).where(UserRow.id == bindparam("user_id"))
# Built once, for every call with a token asks it; both tables have an id and a time of creation.
BEARER = (
    select(
        *(column.label(f"token_{column.name}") for column in TokenRow.__table__.columns), UserRow.__table__
    )
    .join(UserRow, UserRow.id == TokenRow.user_id)
    .where(TokenRow.digest == bindparam("digest"))
)


class UserStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, username: str, *, role: Role, password_hash: str, now: datetime) -> User:
        """Raise NameTaken."""
        values = {"username": username, "role": role, "password_hash": password_hash, "created_at": now}
        statement = insert(UserRow).values(
            id=str(uuid4()), is_active=True, session_key=_session_key(), **values
        )
        try:
            with self._database.write() as connection:
                connection.execute(statement)
        except IntegrityError:
            raise NameTaken(what="user", name=username) from None
        return self.expect(username)

    def get(self, user_id: str) -> User | None:
        return self._one(BY_ID, user_id=user_id)

    def named(self, username: str) -> User | None:
        return self._one(select(UserRow.__table__).where(UserRow.username == username))

    def expect(self, username: str) -> User:
        user = self.named(username)
        if user is None:
            raise LookupError(username)
        return user

    def all(self) -> list[User]:
        with self._database.read() as connection:
            rows = connection.execute(select(UserRow.__table__).order_by(UserRow.username))
            return [_user(row) for row in rows.mappings()]

    def usernames(self, user_ids: set[str]) -> dict[str, str]:
        statement = select(UserRow.id, UserRow.username).where(UserRow.id.in_(sorted(user_ids)))
        with self._database.read() as connection:
            return {row.id: row.username for row in connection.execute(statement)}

    def password_hash(self, user_id: str) -> str | None:
        with self._database.read() as connection:
            statement = select(UserRow.password_hash).where(UserRow.id == user_id)
            return connection.execute(statement).scalar_one_or_none()

    def set_password_hash(self, user_id: str, password_hash: str) -> None:
        self._update(user_id, password_hash=password_hash)

    def set_active(self, user_id: str, *, active: bool) -> None:
        self._update(user_id, is_active=active)

    def set_role(self, user_id: str, role: Role) -> None:
        self._update(user_id, role=role)

    def end_sessions(self, user_id: str) -> None:
        """Make every session cookie of the user worthless."""
        self._update(user_id, session_key=_session_key())

    def _update(self, user_id: str, **values: Any) -> None:
        with self._database.write() as connection:
            connection.execute(update(UserRow).where(UserRow.id == user_id).values(**values))

    def _one(self, statement: Select[Any], **values: Any) -> User | None:
        with self._database.read() as connection:
            row = connection.execute(statement, values).mappings().one_or_none()
            return _user(row) if row is not None else None


class TokenStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, user: User, *, name: str, digest: str, expires_at: datetime | None, now: datetime
    ) -> Token:
        token = Token(
            id=str(uuid4()),
            user_id=user.id,
            username=user.username,
            name=name,
            created_at=now,
            expires_at=expires_at,
            last_used_at=None,
        )
        kept = {key: value for key, value in asdict(token).items() if key != "username"}
        with self._database.write() as connection:
            connection.execute(insert(TokenRow).values(digest=digest, **kept))
        return token

    def all(self, *, user_id: str | None = None) -> list[Token]:
        statement = _tokens().order_by(TokenRow.created_at)
        if user_id is not None:
            statement = statement.where(TokenRow.user_id == user_id)
        with self._database.read() as connection:
            return [_token(row) for row in connection.execute(statement)]

    def get(self, token_id: str) -> Token | None:
        with self._database.read() as connection:
            row = connection.execute(_tokens().where(TokenRow.id == token_id)).one_or_none()
            return _token(row) if row is not None else None

    def bearer(self, digest: str) -> tuple[Token, User] | None:
        """Find a token and whose it is."""
        with self._database.read() as connection:
            row = connection.execute(BEARER, {"digest": digest}).one_or_none()
        if row is None:
            return None
        known = row._mapping  # noqa: SLF001 - SQLAlchemy's public name
        token = {name: known[f"token_{name}"] for name in Token.__dataclass_fields__ if name != "username"}
        return Token(**token, username=row.username), _user(known)

    def delete(self, token_id: str) -> None:
        with self._database.write() as connection:
            connection.execute(delete(TokenRow).where(TokenRow.id == token_id))

    def note_use(self, token: Token, *, now: datetime) -> None:
        """Keep the time of last use to the minute, so that a polling client does not write at every request.

        Where the database is locked a later use is noted: no reading call waits, or fails, for this.
        """
        used = token.last_used_at
        if used is not None and (now - used).total_seconds() < LAST_USE_PRECISION_SECONDS:
            return
        with suppress(DatabaseAway), self._database.write_if_free() as connection:
            connection.execute(update(TokenRow).where(TokenRow.id == token.id).values(last_used_at=now))


def _session_key() -> str:
    return secrets.token_urlsafe(SESSION_KEY_BYTES)


def _user(known: Mapping[Any, Any]) -> User:
    values = {name: known[name] for name in User.__dataclass_fields__}
    return User(**{**values, "role": Role(values["role"])})


def _tokens() -> Select[Any]:
    return select(TokenRow.__table__, UserRow.username).join(UserRow, UserRow.id == TokenRow.user_id)


def _token(row: Row[Any]) -> Token:
    return Token(**{name: row._mapping[name] for name in Token.__dataclass_fields__})  # noqa: SLF001 - the same
