"""The app database: one engine, and the two kinds of transaction that stores open on it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, event, func, inspect, select
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.sql import text

from exporter.errors import DatabaseAway

BUSY_SECONDS = 10.0
BRIEFLY_SECONDS = 0.05
FROZEN_SECONDS = 30.0
LAST_OFFSET = 2**62  # of a page; beyond, a database has no such number
RETRY_AFTER_SECONDS = 5

# PostgreSQL shows an advisory lock's number as two halves.
MARK = text("""
    SELECT EXISTS (
        SELECT FROM pg_locks AS held JOIN pg_database AS own ON own.oid = held.database
        WHERE own.datname = current_database() AND held.locktype = 'advisory' AND held.granted
        AND held.objsubid = 1 AND (held.classid::bigint << 32 | held.objid::bigint) = :number)
""")

__all__ = ["Database", "IntegrityError"]


class Database:
    """Opens read and write transactions; a failure to reach the database becomes DatabaseAway."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._writing = engine.execution_options(immediate=True)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with away(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that holds SQLite's write lock from its start.

        A deferred one that reads first and then writes fails at once when another writer came between, whatever
        the busy timeout.
        """
        with away(), self._writing.begin() as connection:
            yield connection

    @contextmanager
    def write_if_free(self) -> Iterator[Connection]:
        """Open a write transaction for what may as well be left undone: it hardly waits for another writer.

        Raises DatabaseAway where it would have to.
        """
        with away(), self._writing.connect() as connection, _hasty(connection):
            yield connection

    def try_writing(self) -> None:
        """Write, and change nothing. Raises DatabaseAway."""
        with self.write() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = version_num"))

    @contextmanager
    def marked(self, number: int) -> Iterator[None]:
        """Hold a mark, for as long as the block runs, that every process on this same PostgreSQL database `sees`.

        It is an advisory lock, which stays in the server's memory: nothing is written.
        """
        with self.read() as connection:
            connection.execute(select(func.pg_advisory_xact_lock_shared(number)))
            yield

    def sees(self, number: int) -> bool:
        with self.read() as connection:
            return bool(connection.execute(MARK, {"number": number}).scalar_one())

    def ping(self) -> None:
        with self.read() as connection:
            connection.execute(select(1))


@contextmanager
def away() -> Iterator[None]:
    """Turn a failure to reach a database into DatabaseAway."""
    try:
        yield
    except (OperationalError, PoolTimeout) as exc:
        raise DatabaseAway(retry_after=RETRY_AFTER_SECONDS) from exc


def schema_version(engine: Engine) -> str | None:
    """Give the migration that the database is at; None for one that was never set up."""
    with away(), engine.begin() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return None
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def offset_of(page: int, size: int) -> int:
    """Say how many rows come before a page, which counts from 1."""
    return min((page - 1) * size, LAST_OFFSET)


def engine_options(url: str) -> dict[str, Any]:
    """Give the engine's options for a database URL."""
    if url.startswith("sqlite:"):
        return {"connect_args": {"timeout": BUSY_SECONDS, "check_same_thread": False}}
    connect = {"connect_timeout": round(BUSY_SECONDS) or 1, "options": _timeouts()}
    pool = {"pool_pre_ping": True, "pool_size": 10, "max_overflow": 10, "pool_timeout": BUSY_SECONDS}
    return {**pool, "connect_args": connect}


def _timeouts() -> str:
    """Keep a server that froze in the middle of a transaction from holding up the others."""
    times = {"lock_timeout": BUSY_SECONDS, "idle_in_transaction_session_timeout": FROZEN_SECONDS}
    return " ".join(f"-c {name}={round(seconds * 1000)}" for name, seconds in times.items())


def prepare_engine(engine: Engine) -> None:
    """Teach a SQLite engine its pragmas and to begin transactions itself; other engines need nothing."""
    if engine.dialect.name != "sqlite":
        return
    event.listen(engine, "connect", _set_pragmas)
    event.listen(engine, "begin", _begin)


def _set_pragmas(connection: Any, record: object) -> None:
    del record
    connection.isolation_level = None  # the driver begins nothing by itself; `_begin` does
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


@contextmanager
def _hasty(connection: Connection) -> Iterator[None]:
    """Begin a transaction that hardly waits for a lock: that of SQLite's one writer, or of a row."""
    wait = round(BRIEFLY_SECONDS * 1000)
    if connection.dialect.name != "sqlite":
        with connection.begin():
            connection.execute(text(f"SET LOCAL lock_timeout = {wait}"))
            yield
        return
    driver: Any = connection.connection.dbapi_connection
    driver.execute(f"PRAGMA busy_timeout={wait}")
    try:
        with connection.begin():
            yield
    finally:
        driver.execute(f"PRAGMA busy_timeout={round(BUSY_SECONDS * 1000)}")


def _begin(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")
