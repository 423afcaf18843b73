"""The PostgreSQL app database as it looks from beside it: its processor time, its size, and whether jobs are open."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from bench.processor import parent_of, seconds_of_family

if TYPE_CHECKING:
    import psycopg

LOOK_SECONDS = 0.05
DEADLINE_SECONDS = 600
SIZES = """
    SELECT relname, pg_total_relation_size(oid) FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 2 DESC
"""
OPEN = "SELECT count(*) FROM jobs WHERE status IN ('pending', 'processing')"


class AppDatabase:
    def __init__(self, connection: "psycopg.Connection[Any]") -> None:
        self._connection = connection
        self._server = parent_of(connection.info.backend_pid)

    def cpu_seconds(self) -> float:
        """Give what its server has used with all its processes, on this machine."""
        return seconds_of_family(self._server)

    def sizes(self) -> dict[str, int]:
        """Give the bytes of each table, with its indexes and without what was deleted or replaced."""
        self._connection.execute("VACUUM FULL")
        return dict(self._connection.execute(SIZES).fetchall())

    def count_open(self) -> int:
        """Count the jobs that wait or run."""
        row = self._connection.execute(OPEN).fetchone()
        return row[0] if row is not None else 0

    def until_nothing_is_open(self) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while self.count_open():
            if time.monotonic() > deadline:
                raise TimeoutError("jobs are still open")
            time.sleep(LOOK_SECONDS)


@contextmanager
def watching(url: str) -> Iterator[AppDatabase]:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        yield AppDatabase(connection)
