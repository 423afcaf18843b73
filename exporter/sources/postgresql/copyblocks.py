"""COPY … TO STDOUT as blocks of whole rows, straight from libpq.

psycopg's own copy iterator spends several times longer on each row; so does joining rows that were kept, for each
then has memory of its own. libpq is read without waiting inside it, for it holds the interpreter while it waits; the
wait is a poll of the socket, with the deadline beside it.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from select import POLLIN, poll
from time import monotonic
from typing import NoReturn

import psycopg
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from exporter.failures import ExportFailed, QueryFailed, SourceUnavailable
from exporter.sources.postgresql.session import Session

BLOCK_BYTES = 2 << 20
BLOCK_ROWS = 1 << 16
GRACE = 5.0  # seconds that a server has to answer a cancel
MINIMAL_WAIT = 0.01  # seconds
LONGEST_WAIT = 1.0  # seconds; so soon is an interrupt seen that the server does not answer


@dataclass(frozen=True, kw_only=True)
class Block:
    """Whole rows in one of COPY's formats for text, each ended by a newline."""

    data: bytes
    rows: int


class CopyStream:
    """One COPY inside a savepoint, so that its end, however early, leaves the transaction and its snapshot alive."""

    def __init__(self, session: Session, select: bytes, options: bytes = b"") -> None:
        self._session = session
        self._pgconn = session.connection.pgconn
        self._copy = b"COPY (\n" + select + b"\n) TO STDOUT" + options
        self._running = False
        self._ended = True
        self._patience: float | None = None  # until when a cancelled server may still answer
        self._poll = poll()

    def blocks(self) -> Iterator[Block]:
        """Yield the rows in blocks. Raises ExportFailed; also when the rows stop before the server says so.

        The time limit runs from when the session's watch was started.
        """
        try:
            with self._session.failures():
                self._start()
            rows = 0
            while not self._ended:
                block = self._block()
                rows += block.rows
                if block.rows:
                    yield block
            with self._session.failures():
                self._finish(rows)
        finally:
            self.close()

    def close(self) -> None:
        """End the COPY wherever it stands. Never raises."""
        if not self._running:
            return
        self._running = False
        with suppress(psycopg.Error, ExportFailed):
            self._session.cancel()
            self._patience = monotonic() + GRACE
            self._drain()
            self._session.connection.execute("ROLLBACK TO SAVEPOINT copying")
            self._session.connection.execute("RELEASE SAVEPOINT copying")
            return
        self._session.close()

    def _start(self) -> None:
        self._session.watch.check()
        self._session.connection.execute("SAVEPOINT copying")
        self._running = True
        self._poll.register(self._pgconn.socket, POLLIN)
        self._pgconn.send_query_params(self._copy, None)
        while self._pgconn.flush():
            self._wait()
        result = self._result()
        if result is None or result.status != ExecStatus.COPY_OUT:
            self._fail(result)
        self._ended = False

    def _block(self) -> Block:
        """Gather rows; fewer than would fit, or none, at the end."""
        take = self._pgconn.get_copy_data
        gathered = BytesIO()
        add = gathered.write
        size = rows = 0
        with self._session.failures():
            self._session.watch.check()
            while size < BLOCK_BYTES and rows < BLOCK_ROWS:
                length, row = take(1)
                if length > 0:
                    size += add(row)
                    rows += 1
                elif length == 0:
                    self._wait()
                else:
                    self._ended = True
                    break
        return Block(data=gathered.getvalue(), rows=rows)

    def _wait(self) -> None:
        """Wait for the server, at most until the deadline and, past it, for as long as patience lasts."""
        watch = self._session.watch
        if watch.over and self._patience is None:
            self._patience = monotonic() + GRACE
            self._session.cancel()
        if self._patience is not None and monotonic() > self._patience:
            raise watch.failure()
        seconds = min(LONGEST_WAIT, max(watch.remaining, MINIMAL_WAIT))
        if self._poll.poll(seconds * 1000):
            self._pgconn.consume_input()

    def _result(self) -> PGresult | None:
        while self._pgconn.is_busy():
            self._wait()
        return self._pgconn.get_result()

    def _finish(self, rows: int) -> None:
        result = self._result()
        if result is None or result.status != ExecStatus.COMMAND_OK:
            self._fail(result)
        while self._result() is not None:
            pass
        self._running = False
        self._session.connection.execute("RELEASE SAVEPOINT copying")
        if result.command_tuples != rows:
            reason = f"it sent {rows} rows but counted {result.command_tuples}"
            raise SourceUnavailable(reason=reason)

    def _drain(self) -> None:
        while not self._ended:
            length, _ = self._pgconn.get_copy_data(1)
            if length == 0:
                self._wait()
            self._ended = length < 0
        while self._result() is not None:
            pass

    def _fail(self, result: PGresult | None) -> NoReturn:
        if result is None:
            raise SourceUnavailable(reason="it ended the connection")
        if result.status == ExecStatus.FATAL_ERROR:
            raise error_from_result(result, encoding="utf-8")
        raise QueryFailed(reason="it cannot be read with COPY")
