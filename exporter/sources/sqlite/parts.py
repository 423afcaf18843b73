"""Reading a whole table in parts: ranges of row ids, by several connections on one snapshot, in the row ids' order."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Generic, TypeVar

from exporter.failures import QueryFailed
from exporter.sources.sqlite.session import Session
from exporter.sources.sqlite.snapshot import Snapshot

LAST_ROWID = 2**63 - 1
FIRST_ROWS, MOST_ROWS = 64, 4096
GROWTH = 4
PART_BYTES = 1 << 19  # aimed at: what is made of it stays in the processor's cache
LARGEST_PART = 8 << 20  # a part that would be larger is cut; a single row may be of any size
LARGEST_ROW = 10**9  # SQLite's own limit
AHEAD = 2  # parts under way for each connection

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Range:
    """Row ids, both ends inclusive. `rows` is how many there are at most."""

    low: int
    high: int
    rows: int


@dataclass(frozen=True, slots=True)
class Part(Generic[T]):
    value: T
    rows: int
    size: int


@dataclass(frozen=True, kw_only=True)
class RowIds:
    """A table as SQL names it, and the name of its row ids."""

    table: str
    name: str

    @property
    def within(self) -> str:
        """Select from a range, given as the two parameters of its ends."""
        return f" FROM {self.table} WHERE {self.name} BETWEEN ?1 AND ?2"

    def first(self, session: Session) -> int | None:
        rows = session.rows(f"SELECT {self.name} FROM {self.table} ORDER BY {self.name} LIMIT 1")
        return int(rows[0][0]) if rows else None

    def after(self, session: Session, low: int, rows: int) -> int | None:
        """Give the row id that comes `rows` rows after `low`."""
        found = session.rows(
            f"SELECT {self.name} FROM {self.table} WHERE {self.name} >= ?1 ORDER BY {self.name} LIMIT 1 OFFSET ?2",
            (low, rows),
        )
        return int(found[0][0]) if found else None

    def count(self, session: Session, part: Range) -> int:
        ((rows,),) = session.rows(f"SELECT count(*){self.within}", (part.low, part.high))
        return int(rows)


class Parts(Generic[T]):
    """Gives what `read` makes of each part. `read` gets a session, a range and the bytes it may take.

    It gives None where these do not suffice. The source's own session finds the ranges; companions read them.
    """

    def __init__(
        self, snapshot: Snapshot, row_ids: RowIds, read: Callable[[Session, Range, int], Part[T] | None]
    ) -> None:
        self._snapshot = snapshot
        self._session = snapshot.session
        self._row_ids = row_ids
        self._read = read
        self._rows = FIRST_ROWS
        self._companions = snapshot.companions()
        self._free: SimpleQueue[Session] = SimpleQueue()
        for session in self._companions:
            self._free.put(session)
        self._pool = ThreadPoolExecutor(max(1, len(self._companions)), thread_name_prefix="exporter-read")
        self._under_way: deque[tuple[Range, Future[Part[T] | None]]] = deque()

    def __iter__(self) -> Iterator[Part[T]]:
        for part in self._ranges():
            if not self._companions or part.rows == 1:
                yield from self._delivered(all_of=True)
                yield from self._alone(part)
                continue
            self._under_way.append((part, self._pool.submit(self._lent, part)))
            yield from self._delivered()
        yield from self._delivered(all_of=True)

    def close(self) -> None:
        """Stop what is under way, and wait for it."""
        for session in self._companions:
            session.stop()
        self._pool.shutdown(cancel_futures=True)
        self._snapshot.dismiss(self._companions)
        self._companions = []
        self._under_way.clear()

    def _ranges(self) -> Iterator[Range]:
        low = self._row_ids.first(self._session)
        while low is not None:
            self._session.watch.check()
            rows = self._rows
            following = self._row_ids.after(self._session, low, rows)
            yield Range(low, LAST_ROWID if following is None else following - 1, rows)
            low = following

    def _delivered(self, *, all_of: bool = False) -> Iterator[Part[T]]:
        while self._under_way and (all_of or len(self._under_way) > AHEAD * len(self._companions)):
            part, future = self._under_way.popleft()
            found = future.result()
            if found is None:
                yield from self._cut(part)
            else:
                yield from self._measured(found)

    def _lent(self, part: Range) -> Part[T] | None:
        session = self._free.get()
        try:
            session.watch.check()
            return self._read(session, part, LARGEST_PART)
        finally:
            self._free.put(session)

    def _alone(self, part: Range) -> Iterator[Part[T]]:
        self._session.watch.check()
        found = self._read(self._session, part, LARGEST_PART if part.rows > 1 else LARGEST_ROW)
        if found is not None:
            yield from self._measured(found)
        elif part.rows > 1:
            yield from self._cut(part)
        else:
            raise QueryFailed(reason=f"a row is larger than the {LARGEST_ROW} bytes that SQLite allows")

    def _cut(self, part: Range) -> Iterator[Part[T]]:
        """Read a part that was too large in halves."""
        rows = self._row_ids.count(self._session, part)
        if rows == 1:
            yield from self._alone(Range(part.low, part.high, 1))
            return
        middle = self._row_ids.after(self._session, part.low, rows // 2)
        if middle is not None:
            yield from self._alone(Range(part.low, middle - 1, rows // 2))
            yield from self._alone(Range(middle, part.high, rows - rows // 2))

    def _measured(self, part: Part[T]) -> Iterator[Part[T]]:
        """Aim at parts of equal size by the size of the last one."""
        if part.rows:
            fitting = PART_BYTES * part.rows // max(1, part.size)
            self._rows = max(1, min(fitting, GROWTH * self._rows, MOST_ROWS))
            yield part
