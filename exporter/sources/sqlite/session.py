"""One read-only apsw connection inside one read transaction."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import quote

import apsw

from exporter.failures import QueryFailed
from exporter.sources.limits import SourceLimits
from exporter.sources.sqlite import functions, guard
from exporter.sources.sqlite.failures import failure
from exporter.sources.watch import Watch

FLAGS = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI | apsw.SQLITE_OPEN_NOFOLLOW
STEPS_PER_CHECK = 200_000  # of SQLite's virtual machine: some milliseconds
CHECKS_OF_A_GLANCE = 20


class Session:
    """Everything that is asked of one SQLite file. Raises ExportFailed only, from every method.

    `taken` is when the transaction took its snapshot. `encoding` is that of the file's texts, `page_bytes` the size of
    its pages. Sessions that read for
    one statement share its `watch`. One that is not `holding` has no transaction: each statement sees the file anew.
    """

    def __init__(
        self, path: Path, limits: SourceLimits, *, watch: Watch | None = None, holding: bool = True
    ) -> None:
        self.watch = watch or Watch(limits.statement_timeout)
        self._checks_left: int | None = None
        self._closing = Lock()
        self._closed = False
        with self.failures():
            self._connection = apsw.Connection(_uri(path), flags=FLAGS)
        try:
            with self.failures():
                self._begin(limits.busy_timeout, holding=holding)
        except BaseException:
            self.close()
            raise

    def _begin(self, busy_timeout: float, *, holding: bool) -> None:
        connection = self._connection
        connection.set_busy_timeout(round(busy_timeout * 1000))
        connection.execute("PRAGMA query_only = 1")
        if holding:
            connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        self.taken = datetime.now(UTC)
        self.encoding = str(connection.pragma("encoding"))
        self.page_bytes = int(connection.pragma("page_size"))
        self.blocks_writers = connection.pragma("journal_mode") != "wal"
        connection.set_progress_handler(self._overdue, STEPS_PER_CHECK)
        functions.install(connection)
        self._guard = guard.install(connection)

    def _overdue(self) -> bool:
        if self._checks_left is not None:
            self._checks_left -= 1
            if self._checks_left < 0:
                return True
        return self.watch.over

    def execute(self, sql: str, parameters: Mapping[str, object] | Sequence[object] = ()) -> apsw.Cursor:
        bindings: Any = dict(parameters) if isinstance(parameters, Mapping) else parameters
        with self.failures():
            try:
                return self._connection.cursor().execute(sql, bindings)
            except (OverflowError, TypeError, UnicodeEncodeError) as exc:
                raise QueryFailed(reason=f"a value cannot be handed to SQLite: {exc}") from exc

    def rows(
        self, sql: str, parameters: Mapping[str, object] | Sequence[object] = ()
    ) -> list[tuple[Any, ...]]:
        """Fetch a small result whole."""
        with self.failures():
            return list(self.execute(sql, parameters))

    def glance(self, sql: str) -> tuple[Any, ...] | None:
        """Fetch one row if that takes little work, else None."""
        self._checks_left = CHECKS_OF_A_GLANCE
        try:
            return next(self._connection.execute(sql), None)
        except apsw.InterruptError:
            self.watch.check()
            return None
        except apsw.Error as exc:
            raise failure(exc) from exc
        finally:
            self._checks_left = None

    @contextmanager
    def reflecting(self) -> Iterator[None]:
        self._guard.reflecting = True
        try:
            yield
        finally:
            self._guard.reflecting = False

    @contextmanager
    def strict_names(self) -> Iterator[apsw.Connection]:
        """Lend the connection while a misspelt quoted name is an error and not a text."""
        self._connection.config(apsw.SQLITE_DBCONFIG_DQS_DML, 0)
        try:
            with self.failures():
                yield self._connection
        finally:
            self._connection.config(apsw.SQLITE_DBCONFIG_DQS_DML, 1)

    @contextmanager
    def failures(self) -> Iterator[None]:
        """Translate what apsw raises."""
        try:
            yield
        except apsw.InterruptError as exc:
            raise self.watch.failure() from exc
        except apsw.Error as exc:
            raise failure(exc) from exc

    def within(self, size: int, sql: str, parameters: Sequence[object]) -> list[tuple[Any, ...]] | None:
        """Fetch a small result whole; None where a text, blob or row, read or made, has more bytes than `size`."""
        before = self._connection.limit(apsw.SQLITE_LIMIT_LENGTH, size)
        try:
            return self.rows(sql, parameters)
        except QueryFailed as exc:
            if isinstance(exc.__cause__, apsw.TooBigError):
                return None
            raise
        finally:
            self._connection.limit(apsw.SQLITE_LIMIT_LENGTH, before)

    @contextmanager
    def copying_to(self, target: apsw.Connection) -> Iterator[apsw.Backup]:
        """Lend a backup of the file into another database."""
        with self.failures(), target.backup("main", self._connection, "main") as backup:
            yield backup

    def interrupt(self) -> None:
        self.watch.interrupt()
        self.stop()

    def stop(self) -> None:
        """End the running statement, from any thread; later ones run."""
        with self._closing:
            if not self._closed:
                self._connection.interrupt()

    def close(self) -> None:
        with self._closing:
            self._closed = True
            self._connection.close(True)


def _uri(path: Path) -> str:
    return f"file:{quote(os.fsencode(path))}?mode=ro"
