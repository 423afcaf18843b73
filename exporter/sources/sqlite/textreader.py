"""Rows that SQLite spells itself, as CSV or JSON."""

from collections.abc import Iterator
from functools import lru_cache
from itertools import islice

import apsw

from exporter.failures import QueryFailed, ValueUnwritable
from exporter.sources.base import Cells, Column, Notice, RowText, Statement, TextChunk
from exporter.sources.sqlite import textsql
from exporter.sources.sqlite.illegible import as_blobs, legible, unwritable, unwritable_in
from exporter.sources.sqlite.parts import PART_BYTES, Part, Parts, Range
from exporter.sources.sqlite.query import around, chunked
from exporter.sources.sqlite.reflection import quoted
from exporter.sources.sqlite.session import Session
from exporter.sources.sqlite.snapshot import Snapshot
from exporter.sources.sqlite.stored import RowTable
from exporter.sources.sqlite.textsql import CsvBytes, Marks

UTF8 = "UTF-8"
SOME_ROWS = 64
SURVEYED = 500  # columns in one look


class _Speller:
    """The expression of a row, and what its bytes become."""

    def __init__(self, columns: tuple[Column, ...], text: RowText) -> None:
        self._columns = columns
        self._text = text
        self._marks = Marks.fresh() if text.cells is Cells.CSV else None
        self._csv = CsvBytes(text, self._marks) if self._marks else None

    def row(self, cells: list[str]) -> str:
        names = [column.name for column in self._columns]
        return textsql.row(cells, names, self._text)

    def cell(self, name: str, *, bare: bool = False, nullable: bool = True) -> str:
        value = name if bare else textsql.guarded(name, self._marks)
        return f"ifnull({value}, json('{self._marks.null}'))" if self._marks and nullable else value

    def finished(self, data: bytes, rows: int) -> bytes:
        return self._csv.of(data, rows) if self._csv else data


class TableText:
    """Every row of a table with row ids, in parts.

    A part is spelled with bare columns and proves in the same step that they could be; else it is spelled once more,
    all guarded. A column in which a part found a value to be guarded is guarded from then on.
    """

    def __init__(
        self, snapshot: Snapshot, table: RowTable, columns: tuple[Column, ...], text: RowText
    ) -> None:
        self.columns = columns
        self._session = snapshot.session
        self._session.watch.start()
        self._table = table
        self._names = [quoted(column.name) for column in columns]
        self._speller = _Speller(columns, text)
        self._between = textsql.literal(text.between)
        self._all = frozenset(range(len(columns)))
        self._to_guard = frozenset(place for place in self._all if table.columns[place] is None)
        self._rows = 0
        self._parts: Parts[TextChunk | Range] = Parts(snapshot, table.row_ids, self._read)

    def chunks(self) -> Iterator[TextChunk]:
        for part in self._parts:
            if isinstance(part.value, Range):
                raise unwritable_in(self._session, self._table.row_ids, part.value, self._rows, self.columns)
            self._rows += part.rows
            yield part.value

    def notices(self) -> tuple[Notice, ...]:
        return ()

    def close(self) -> None:
        self._parts.close()

    def _read(self, session: Session, part: Range, most: int) -> Part[TextChunk | Range] | None:
        """Give the range itself where a text in it is not valid."""
        found = self._spelled(session, part, most)
        if found is None:
            return None
        data, rows = found
        if not legible(data, UTF8):
            return Part(part, rows, len(data))
        chunk = TextChunk(data=self._speller.finished(data, rows), rows=rows)
        return Part(chunk, rows, len(data))

    def _spelled(self, session: Session, part: Range, most: int) -> tuple[bytes, int] | None:
        guarded = self._to_guard
        try:
            found = self._asked(session, part, most, guarded)
        except QueryFailed:
            if guarded == self._all:
                raise
            found = (b"", 0, True)
        if found is None or not (found[2] or textsql.may_be_infinite(found[0])):
            return found and found[:2]
        self._to_guard |= self._offenders(session, part)
        found = self._asked(session, part, most, self._all)
        return found and found[:2]

    def _asked(
        self, session: Session, part: Range, most: int, guarded: frozenset[int]
    ) -> tuple[bytes, int, bool] | None:
        rows = session.within(most, self._sql(guarded), (part.low, part.high))
        if rows is None:
            return None
        ((data, count, offends),) = rows
        return data or b"", count, bool(offends)

    @lru_cache(maxsize=8)  # noqa: B019 - a reader lives as long as one read
    def _sql(self, guarded: frozenset[int]) -> str:
        bare = [name for place, name in enumerate(self._names) if place not in guarded]
        row = self._speller.row(
            [self._cell(place, bare=place not in guarded) for place in range(len(self._names))]
        )
        return (
            f"SELECT CAST(group_concat({row}, {self._between}) AS BLOB), count(*),"
            f" count(CASE WHEN {textsql.has_blob(bare)} THEN 1 END){self._table.row_ids.within}"
        )

    def _cell(self, place: int, *, bare: bool) -> str:
        stored = self._table.columns[place]
        return self._speller.cell(
            self._names[place], bare=bare, nullable=not bare or stored is None or stored.nullable
        )

    def _offenders(self, session: Session, part: Range) -> frozenset[int]:
        """Find the columns of a part that hold a value to be guarded."""
        found: list[int] = []
        for places in chunked(range(len(self._names)), SURVEYED):
            counts = [f"max({textsql.must_be_guarded(self._names[place])})" for place in places]
            (row,) = session.rows(
                f"SELECT {', '.join(counts)}{self._table.row_ids.within}", (part.low, part.high)
            )
            found += [place for place, offends in zip(places, row, strict=True) if offends]
        return frozenset(found)


class StatementText:
    """The rows of any statement, one by one, all columns guarded."""

    def __init__(self, session: Session, statement: Statement, text: RowText) -> None:
        self.columns = statement.columns
        self._session = session
        self._statement = statement
        self._speller = _Speller(statement.columns, text)
        self._between = text.between.encode()
        self._names = [f"c{place}" for place in range(len(statement.columns))]
        self._rows = 0
        self._cursor: apsw.Cursor | None = None
        session.watch.start()

    def chunks(self) -> Iterator[TextChunk]:
        rows: list[bytes] = []
        size = 0
        row = self._speller.row([self._speller.cell(name) for name in self._names])
        sql = around(self._statement, f"CAST({row} AS BLOB)")
        cursor = self._cursor = self._session.execute(sql, self._statement.parameters)
        while more := self._some(cursor):
            rows += more
            size += sum(map(len, more))
            if size >= PART_BYTES:
                yield self._chunk(rows)
                rows, size = [], 0
        if rows:
            yield self._chunk(rows)

    def notices(self) -> tuple[Notice, ...]:
        return ()

    def close(self) -> None:
        if self._cursor is not None:
            self._cursor.close(True)

    def _some(self, cursor: apsw.Cursor) -> list[bytes]:
        """Fetch a few rows, or one that is large."""
        self._session.watch.check()
        rows: list[bytes] = []
        size = 0
        with self._session.failures():
            for (row,) in islice(cursor, SOME_ROWS):
                rows.append(row)
                size += len(row)
                if size > PART_BYTES:
                    break
        return rows

    def _chunk(self, rows: list[bytes]) -> TextChunk:
        data = self._between.join(rows)
        if not legible(data, UTF8):
            raise self._misspelt(next(place for place, row in enumerate(rows) if not legible(row, UTF8)))
        self._rows += len(rows)
        return TextChunk(data=self._speller.finished(data, len(rows)), rows=len(rows))

    def _misspelt(self, place: int) -> ValueUnwritable:
        before = self._rows + place
        sql = f"{around(self._statement, as_blobs(self._names))} LIMIT 1 OFFSET {before}"
        rows = self._session.execute(sql, self._statement.parameters)
        return unwritable(rows, before, self.columns, UTF8)
