"""A SQLite file as a Source."""

from pathlib import Path

import apsw

from exporter.failures import SourceOverwritten
from exporter.sources.base import (
    Form,
    Reader,
    Relation,
    RelationSummary,
    RowEstimate,
    RowText,
    Scratch,
    Snapshot,
    Statement,
    TextReader,
)
from exporter.sources.limits import SourceLimits
from exporter.sources.sqlite import reflection
from exporter.sources.sqlite.copying import copy
from exporter.sources.sqlite.files import WRITERS_WAIT
from exporter.sources.sqlite.reader import SqliteReader
from exporter.sources.sqlite.session import Session
from exporter.sources.sqlite.snapshot import Snapshot as Shared
from exporter.sources.sqlite.stillness import Stillness
from exporter.sources.sqlite.stored import row_table
from exporter.sources.sqlite.tablebatches import KINDS, TableBatches
from exporter.sources.sqlite.textreader import UTF8, StatementText, TableText


def open_copy(path: Path, limits: SourceLimits, scratch: Scratch) -> "SqliteSource":
    """Open a copy of the file, or the file itself where nobody waits for its readers. Raises as `copy`."""
    session = Session(path, limits, holding=False)
    try:
        if not session.blocks_writers:
            return SqliteSource(path, limits)
        copy(session, path, scratch)
    finally:
        session.close()
    return SqliteSource(scratch.path, limits, copied=True)


class SqliteSource:
    dialect = "sqlite"

    def __init__(self, path: Path, limits: SourceLimits, *, copied: bool = False) -> None:
        self._snapshot = Shared(path, limits)
        self._session = self._snapshot.session
        self._stillness = Stillness(path, in_wal_mode=not self._session.blocks_writers)
        self.server_version = apsw.sqlite_lib_version()
        self.snapshot = Snapshot(time=self._session.taken, id=None, copied=copied)
        waited_for = self._session.blocks_writers and not copied
        self.warnings: tuple[str, ...] = (WRITERS_WAIT,) if waited_for else ()

    def relations(self) -> list[RelationSummary]:
        return reflection.summaries(self._session)

    def relation(self, name: str) -> Relation:
        return reflection.relation(self._session, name)

    def relation_of_query(self, sql: str) -> Relation:
        return reflection.relation_of_query(self._session, sql)

    def estimate(self, statement: Statement, *, whole: Relation | None = None) -> RowEstimate | None:  # noqa: ARG002 - PostgreSQL asks it
        """SQLite's planner tells no row counts: only the rows of a whole table are estimated."""
        if whole is None or whole.query is not None:
            return None
        rows = reflection.estimated_rows(self._session, reflection.find(self._session, whole.name))
        return None if rows is None else RowEstimate(rows=rows, kind="estimate")

    def read(self, statement: Statement, form: Form, *, careful: bool = False) -> Reader:
        if not careful and self._session.encoding == UTF8:
            table = row_table(self._session, statement.whole, statement.columns)
            if table is not None and all(column.kind in KINDS[form] for column in statement.columns):
                return TableBatches(self._snapshot, table, statement.columns, form)
        return SqliteReader(self._session, statement, form, careful=careful)

    def read_text(self, statement: Statement, text: RowText) -> TextReader | None:
        """SQLite turns the texts of a UTF-16 file into UTF-8 without a word about those that are none."""
        if self._session.encoding != UTF8:
            return None
        table = row_table(self._session, statement.whole, statement.columns)
        if table is None:
            return StatementText(self._session, statement, text)
        return TableText(self._snapshot, table, statement.columns, text)

    def confirm(self) -> None:
        if self._stillness.broken:
            raise SourceOverwritten

    def interrupt(self) -> None:
        self._snapshot.interrupt()

    def close(self) -> None:
        self._snapshot.close()
