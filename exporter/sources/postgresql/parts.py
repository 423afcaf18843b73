"""One table in several ranges of its pages, read through several sessions that share one snapshot.

Sessions of this process take ranges from one list; so do hands, each of which has its range read by a worker
elsewhere. The reading transaction locks the table against being rewritten before it is measured.
"""

import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Generic, TypeVar, cast

from exporter.failures import ExportFailed
from exporter.sources.base import Relation
from exporter.sources.gathering import Gathering
from exporter.sources.postgresql.copyblocks import Block, CopyStream
from exporter.sources.postgresql.pages import Part, cut
from exporter.sources.postgresql.ranges import Ranges
from exporter.sources.postgresql.session import Session
from exporter.sources.sharing import Errand, Fetched, Helpers, Lost, NotFetched, Portion, Way

log = logging.getLogger(__name__)

T = TypeVar("T")
Convert = Callable[[Block], T]

SMALLEST = 16 << 20  # bytes; below, a second session costs more than it gains
PART = 32 << 20  # bytes of a table; sessions take parts in turn, so that none waits long for another
SHARED = 8  # parts of the smallest table of which others read some: below, it is read before they have begun
RANGES = 140000  # the first server version that seeks a range of ctids
MEASURE = """
    SELECT pg_relation_size(c.oid) / current_setting('block_size')::int, pg_table_size(c.oid)
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_am a ON a.oid = c.relam
    WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'm') AND a.amname = 'heap'
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhparent = c.oid)
      AND has_table_privilege(c.oid, 'SELECT')  -- a right to single columns is none to ctid
      AND has_function_privilege('pg_catalog.pg_export_snapshot()', 'EXECUTE')
"""


def parts_of(session: Session, select: bytes, whole: Relation | None) -> list[Part]:
    """Cut a SELECT of a whole table into some that give each row once; only itself where that does not pay."""
    if whole is None or whole.query is not None or session.connection.info.server_version < RANGES:
        return [Part(select=select)]
    lock = b"SELECT FROM (\n" + select + b"\n) AS whole LIMIT 0"  # for as long as the transaction lives
    session.rows(lock)
    measured = session.rows(MEASURE, [whole.schema, whole.name])
    pages, size = measured[0] if measured else (0, 0)
    if not pages or size < SMALLEST:
        return [Part(select=select)]
    return cut(select, pages=pages, size=size, part=PART)


@dataclass(frozen=True, kw_only=True)
class Help:
    """Who else reads parts of a statement, and in which way."""

    helpers: Helpers
    way: Way

    def fetch(self, session: Session, part: Part, wanted: Callable[[], bool]) -> Fetched | None:
        """Have a part read on the snapshot that the session shares. Raises NotFetched."""
        portion = Portion(
            snapshot=session.shared,
            snapshot_id=session.snapshot_id or "",
            start=part.start or 0,
            end=part.end,
        )
        return self.helpers.fetch(Errand(portion=portion, way=self.way, select=part.select), wanted)


class Rows(Generic[T]):
    """All rows of the parts, block by block, each block turned into what the reader wants.

    `conversions` has one for each session that may take part. With one of them, or one part, no thread is started.
    `lost` counts what became NULL in the parts that were read elsewhere.
    """

    def __init__(
        self,
        session: Session,
        parts: Sequence[Part],
        conversions: Sequence[Convert[T]],
        options: bytes = b"",
        shared: Help | None = None,
    ) -> None:
        self._session = session
        self._ranges = Ranges(parts, session.watch)
        self._options = options
        self.lost: list[Lost] = []
        own, *others = conversions[: len(parts)]
        self._alone = self._read(session, own)
        makers: list[Callable[[], Generator[T, None, None]]] = [lambda: self._alone]
        makers += [partial(self._beside, convert) for convert in others]
        if shared is not None and len(parts) >= SHARED:
            makers += [partial(self._elsewhere, shared)] * shared.helpers.hands
        several = len(makers) > 1
        self._gathering: Gathering[T] | None = Gathering(makers, self._ranges.stop) if several else None

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
        while (part := self._ranges.take()) is not None:
            began = monotonic()
            with closing(CopyStream(session, part.sql, self._options)) as stream:
                for block in stream.blocks():
                    yield convert(block)
            self._ranges.took(monotonic() - began)
        self._session.unshare(ready=False)  # who has not joined by now is waited for no longer

    def _beside(self, convert: Convert[T]) -> Generator[T, None, None]:
        """Take part through a session of its own; one that cannot be had is done without."""
        try:
            session = self._session.beside()
        except ExportFailed as exc:
            log.info("a table is read in one stream, for a further connection failed: %s", exc)
            return
        with closing(session):
            yield from self._read(session, convert)

    def _elsewhere(self, shared: Help) -> Generator[T, None, None]:
        """Take part through workers; what they do not read is read here, and then says why."""
        while (part := self._ranges.hand_out()) is not None:
            try:
                fetched = shared.fetch(self._session, part, partial(self._ranges.is_wanted, part))
            except NotFetched as exc:
                log.warning("a part of a table was not read elsewhere, and is read here: %s", exc)
                self._ranges.give_back(part)
                if exc.lasting:
                    return
                continue
            if fetched is not None:
                yield from self._taken(part, fetched)

    def _taken(self, part: Part, fetched: Fetched) -> Iterator[T]:
        with closing(fetched):
            if self._ranges.arrived(part):
                self.lost.append(fetched.lost)
                yield from cast("Iterator[T]", fetched.pieces())
