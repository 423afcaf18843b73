"""How often log-ins failed lately: rows that all processes of an installation share."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from exporter.storage.database import Database
from exporter.storage.tables import LoginFailureRow

INSERT: Mapping[str, Callable[..., Any]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}

# From a name, its failures and the time of the last, to the seconds that it still has to wait.
Delay = Callable[[str, int, datetime], float]


@dataclass(frozen=True, kw_only=True)
class Admission:
    """What became of a try: it may go on, or has to `wait` seconds; `first` says that nobody was told so before."""

    wait: float
    first: bool


class LoginFailureStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    def admit(self, names: tuple[str, ...], delay: Delay, *, now: datetime, forget: datetime) -> Admission:
        """Count a try as failed, for each name, unless one of them has to wait.

        It is counted before the password is looked at: tries at once would all find the old count otherwise.
        Names that last failed before `forget` start anew.
        """
        digests = {_digest(name): name for name in names}
        with self._database.write() as connection:
            connection.execute(delete(LoginFailureRow).where(LoginFailureRow.last_at < forget))
            rows = _locked(connection, sorted(digests), now)
            wait = max(delay(digests[row.digest], row.failures, row.last_at) for row in rows)
            if wait > 0:
                telling = update(LoginFailureRow).where(_among(digests), LoginFailureRow.told.is_(False))
                return Admission(wait=wait, first=connection.execute(telling.values(told=True)).rowcount > 0)
            counted = {"failures": LoginFailureRow.failures + 1, "last_at": now, "told": False}
            connection.execute(update(LoginFailureRow).where(_among(digests)).values(**counted))
            return Admission(wait=0.0, first=False)

    def forget(self, name: str) -> None:
        with self._database.write() as connection:
            connection.execute(delete(LoginFailureRow).where(LoginFailureRow.digest == _digest(name)))

    def take_back(self, name: str) -> None:
        """Count one try less: it did not fail."""
        chosen = (LoginFailureRow.digest == _digest(name), LoginFailureRow.failures > 0)
        with self._database.write() as connection:
            less = update(LoginFailureRow).where(*chosen).values(failures=LoginFailureRow.failures - 1)
            connection.execute(less)


def _locked(connection: Connection, digests: list[str], now: datetime) -> list[Any]:
    """Give the rows, made if need be, so that no other process changes them meanwhile."""
    fresh = [{"digest": digest, "failures": 0, "last_at": now, "told": False} for digest in digests]
    insert = INSERT[connection.dialect.name]
    connection.execute(insert(LoginFailureRow).values(fresh).on_conflict_do_nothing())
    chosen = select(LoginFailureRow.__table__).where(_among(digests)).order_by(LoginFailureRow.digest)
    return list(connection.execute(chosen.with_for_update()))


def _among(digests: Any) -> Any:
    return LoginFailureRow.digest.in_(sorted(digests))


def _digest(name: str) -> str:
    """Names may be of any length, and a name that was typed may be a password."""
    return sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
