"""One table in several ranges of its pages, read through several sessions that share one snapshot.

Every row version that a snapshot sees has one place, its ctid, so ranges of places that neither overlap nor leave
gaps hold each row once. The reading transaction locks the table against being rewritten before it is measured.
"""

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from functools import partial
from threading import Lock
from typing import Generic, TypeVar

from exporter.errors import ExportFailed
from exporter.sources.base import Relation
from exporter.sources.gathering import Gathering
from exporter.sources.postgresql.copyblocks import Block, CopyStream
from exporter.sources.postgresql.session import Session

log = logging.getLogger(__name__)

T = TypeVar("T")
Convert = Callable[[Block], T]

SMALLEST = 16 << 20  # bytes; below, a second session costs more than it gains
PART = 32 << 20  # bytes of a table; sessions take parts in turn, so that none waits long for another
RANGES = 140000  # the first server version that seeks a range of ctids
MEASURE = """
    SELECT pg_relation_size(c.oid), current_setting('block_size')::int
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_am a ON a.oid = c.relam
    WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'm') AND a.amname = 'heap'
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhparent = c.oid)
      AND has_table_privilege(c.oid, 'SELECT')  -- a right to single columns is none to ctid
      AND has_function_privilege('pg_catalog.pg_export_snapshot()', 'EXECUTE')
"""


def parts_of(session: Session, select: bytes, whole: Relation | None) -> list[bytes]:
    """Cut a SELECT of a whole table into some that give each row once; only itself where that does not pay."""
    if whole is None or whole.query is not None or session.connection.info.server_version < RANGES:
        return [select]
    lock = b"SELECT FROM (\n" + select + b"\n) AS whole LIMIT 0"  # for as long as the transaction lives
    session.rows(lock)
    measured = session.rows(MEASURE, [whole.schema, whole.name])
    size, block = measured[0] if measured else (0, 1)
    if size < SMALLEST:
        return [select]
    places = range(0, size // block, max(1, PART // block))
    return [
        select + f"\nWHERE ctid >= '({start},0)'{_below(end)}".encode()
        for start, end in zip(places, [*places[1:], None], strict=True)
    ]


def _below(end: int | None) -> str:
    """The last part has no end: the table may have grown since."""
    return "" if end is None else f" AND ctid < '({end},0)'"


class Rows(Generic[T]):
    """All rows of the parts, block by block, each block turned into what the reader wants.

    `conversions` has one for each session that may take part. With one of them, or one part, no thread is started.
    """

    def __init__(
        self,
        session: Session,
        parts: Sequence[bytes],
        conversions: Sequence[Convert[T]],
        options: bytes = b"",
    ) -> None:
        self._session = session
        self._left = iter(parts)
        self._taking = Lock()
        self._options = options
        own, *others = conversions[: len(parts)]
        self._alone = self._read(session, own)
        makers: list[Callable[[], Generator[T, None, None]]] = [lambda: self._alone]
        makers += [partial(self._beside, convert) for convert in others]
        self._gathering: Gathering[T] | None = Gathering(makers) if others else None

    def items(self) -> Iterator[T]:
        """Yield what the blocks became. Raises ExportFailed, and what a conversion raises."""
        self._session.watch.start()
        if self._gathering is None:
            return self._alone
        self._session.share()
        return self._gathering.items()

    def close(self) -> None:
        """Stop early or release; never raises."""
        if self._gathering is None:
            self._alone.close()
            return
        self._session.unshare()
        self._gathering.close()

    def _read(self, session: Session, convert: Convert[T]) -> Generator[T, None, None]:
        while (part := self._next()) is not None:
            with closing(CopyStream(session, part, self._options)) as stream:
                for block in stream.blocks():
                    yield convert(block)
        self._session.unshare(ready=False)  # who has not joined by now is waited for no longer

    def _next(self) -> bytes | None:
        with self._taking:
            return next(self._left, None)

    def _beside(self, convert: Convert[T]) -> Generator[T, None, None]:
        """Take part through a session of its own; one that cannot be had is done without."""
        try:
            session = self._session.beside()
        except ExportFailed as exc:
            log.info("a table is read in one stream, for a further connection failed: %s", exc)
            return
        with closing(session):
            yield from self._read(session, convert)
