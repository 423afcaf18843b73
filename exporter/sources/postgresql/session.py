"""One psycopg connection inside one read-only, repeatable-read transaction."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from os import dup
from socket import SHUT_RDWR, socket
from threading import Lock
from typing import Any

import psycopg
from psycopg import ClientCursor, IsolationLevel, sql

from exporter.failures import QueryFailed, SourceUnavailable
from exporter.sources.addresses import PostgresqlAddress
from exporter.sources.limits import SourceLimits
from exporter.sources.postgresql.failures import connecting, running
from exporter.sources.sharing import Portion
from exporter.sources.watch import Watch

CANCEL_TIMEOUT = 5.0  # seconds
LOCK_TIMEOUT = 10.0
HASTE = 2.0  # seconds to wait for a further connection, without which a read goes on
BACKSTOP = 30.0  # the server's own limit is later than ours by this, so that ours can say its name
CURRENT_SNAPSHOT = 130000  # the first server version with pg_current_snapshot()
SETTINGS = {
    # The system's names first, so that no object of the database can stand in for them; a saved query may leave out
    # the schema of what lies in public.
    "search_path": "pg_catalog, public, pg_temp",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    "xmloption": "content",
    "synchronize_seqscans": "off",  # so that a table without ORDER BY comes in the same order each time
}
POWERFUL = """
    SELECT coalesce((SELECT rolsuper FROM pg_roles WHERE rolname = current_user), false),
           EXISTS (SELECT FROM pg_roles WHERE rolname IN ('pg_read_server_files', 'pg_execute_server_program')
                   AND pg_has_role(current_user, oid, 'MEMBER'))
"""
SUPERUSER = "The role {user!r} is a superuser: a saved query could read any file of the database server."
FILE_READER = "The role {user!r} may read files of the database server."


class Session:
    """Everything that is asked of one PostgreSQL server. Raises ExportFailed only, from every method.

    `taken` and `snapshot_id` are those of the transaction's snapshot.
    """

    def __init__(
        self,
        address: PostgresqlAddress,
        limits: SourceLimits,
        *,
        host: "Session | None" = None,
        portion: Portion | None = None,
    ) -> None:
        """Open a session, one beside `host` on its snapshot and under its watch, or on a portion's snapshot."""
        self._address = address
        self._limits = limits
        self._shared: str | None = None  # the name of the snapshot, while others may join
        self._guests: list[Session] = []
        self._is_ready = False
        self.watch: Watch = host.watch if host else Watch(limits.statement_timeout)
        self._closing = Lock()
        try:
            self.connection = psycopg.connect(**_keywords(address, limits), prepare_threshold=None)
        except psycopg.Error as exc:
            raise connecting(exc) from None
        try:
            self._begin(limits, host, portion)
        except BaseException:
            self.close()
            raise
        self._is_ready = True

    def _begin(self, limits: SourceLimits, host: "Session | None", portion: Portion | None) -> None:
        """Set the session up in the transaction's first statement, which also takes its snapshot."""
        self.connection.isolation_level = IsolationLevel.REPEATABLE_READ
        self.connection.read_only = True
        name = host.welcome(self) if host else portion.snapshot if portion else None
        if name is not None:
            with self.failures():
                self.connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(name))
        settings = SETTINGS | _timeouts(limits)
        calls = ", ".join(["set_config(%s, %s, false)"] * len(settings))
        current = "pg" if self.connection.info.server_version >= CURRENT_SNAPSHOT else "txid"
        with self.failures():
            asked = f"SELECT {current}_current_snapshot()::text, {calls}"
            row = self.connection.execute(
                asked, [part for pair in settings.items() for part in pair]
            ).fetchone()
        self.taken = datetime.now(UTC)
        self.snapshot_id = str(row[0]) if row else None
        wanted = host or portion
        if wanted and self.snapshot_id != wanted.snapshot_id:
            raise SourceUnavailable(reason="it gave another snapshot than was asked for")
        self.server_version = self.connection.info.parameter_status("server_version") or ""
        self.warnings = self._warnings()

    def _warnings(self) -> tuple[str, ...]:
        ((superuser, file_reader),) = self.rows(POWERFUL)
        text = SUPERUSER if superuser else FILE_READER if file_reader else None
        return (text.format(user=self.connection.info.user),) if text else ()

    def share(self) -> None:
        """Let other sessions join this one's snapshot."""
        with self.failures():
            # in no savepoint, from which PostgreSQL exports nothing
            row = self.connection.execute("SELECT pg_catalog.pg_export_snapshot()").fetchone()
        with self._closing:
            self._guests = []
            self._shared = row[0] if row else None

    @property
    def shared(self) -> str:
        """The snapshot's name for those who join elsewhere; one that is shared no more is found by nobody."""
        return self._shared or ""

    def unshare(self, *, ready: bool = True) -> None:
        """Let nobody join any more, and cut off who did: also, or else only, those that still wait for the server."""
        with self._closing:
            self._shared = None
            guests = [guest for guest in self._guests if ready or not guest._is_ready]  # noqa: SLF001 - of its own kind
        for guest in guests:
            guest.cut()

    def beside(self) -> "Session":
        """Open a session on the same snapshot, if one is to be had soon."""
        hasty = replace(self._limits, connect_timeout=min(HASTE, self._limits.connect_timeout))
        return Session(self._address, hasty, host=self)

    def welcome(self, guest: "Session") -> str:
        """Take a session in, which is then interrupted and cut off with this one; gives the snapshot's name."""
        with self._closing:
            if self._shared is None:
                raise QueryFailed(reason="the snapshot is shared no more")
            self._guests.append(guest)
            return self._shared

    def cut(self) -> None:
        """Shut the connection, also under another thread that waits for it. Never raises."""
        with self._closing, suppress(OSError, psycopg.Error):
            if not self.connection.closed:
                with socket(fileno=dup(self.connection.pgconn.socket)) as line:
                    line.shutdown(SHUT_RDWR)

    def rows(self, query: str | bytes, parameters: Sequence[object] | None = None) -> list[tuple[Any, ...]]:
        """Fetch a small result whole. A failure leaves the transaction as it was."""
        with self.cursor(query, parameters) as cursor:
            return cursor.fetchall()

    @contextmanager
    def cursor(
        self, query: str | bytes, parameters: Sequence[object] | None = None
    ) -> Iterator[psycopg.Cursor[tuple[Any, ...]]]:
        """Run one statement in a savepoint; asking for binary values is what makes the server refuse a second."""
        if self.watch.interrupted:
            raise self.watch.failure()
        with self.failures(), self.connection.transaction(), self.connection.cursor() as cursor:
            yield cursor.execute(query, parameters, binary=True)

    def bound(self, query: str, parameters: Mapping[str, object]) -> bytes:
        """Write the parameters into the statement, through the driver's own quoting: COPY takes none."""
        with self.failures():
            try:
                text = ClientCursor(self.connection).mogrify(query, dict(parameters))
            except (ValueError, TypeError, KeyError) as exc:
                raise QueryFailed(reason=f"a value cannot be handed to PostgreSQL: {exc}") from exc
        return text.encode()

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Translate what psycopg raises."""
        try:
            yield
        except psycopg.Error as exc:
            raise running(exc, self.watch) from exc

    def interrupt(self) -> None:
        self.watch.interrupt()
        with self._closing:
            guests = tuple(self._guests)
        for session in (self, *guests):
            session.cancel()

    def cancel(self) -> None:
        """Ask the server to end what it runs; safe from any thread and at any time."""
        with self._closing, suppress(Exception):
            if not self.connection.closed:
                self.connection.cancel_safe(timeout=CANCEL_TIMEOUT)

    def close(self) -> None:
        self.unshare()
        with self._closing:
            self.connection.close()


def _timeouts(limits: SourceLimits) -> dict[str, str]:
    milliseconds = round((limits.statement_timeout + BACKSTOP) * 1000)
    return {
        "statement_timeout": str(milliseconds),
        "idle_in_transaction_session_timeout": str(milliseconds),
        "lock_timeout": str(round(LOCK_TIMEOUT * 1000)),
    }


def _keywords(address: PostgresqlAddress, limits: SourceLimits) -> dict[str, Any]:
    """Every keyword is set by name here: nothing of the URL is handed to libpq as a connection string."""
    wanted = {
        "host": address.host,
        "port": address.port,
        "user": address.user,
        "password": address.password,
        "dbname": address.dbname,
        "sslmode": address.sslmode,
        "sslrootcert": address.sslrootcert,
        "application_name": "exporter",
        "client_encoding": "UTF8",
        "connect_timeout": max(2, round(limits.connect_timeout)),
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
    }
    return {name: value for name, value in wanted.items() if value is not None}
