"""A SQLite file as a Source."""

from pathlib import Path

import apsw

from exporter.sources.base import (
    Form,
    Reader,
    Relation,
    RelationSummary,
    RowEstimate,
    RowText,
    Snapshot,
    Statement,
    TextReader,
)
from exporter.sources.limits import SourceLimits
from exporter.sources.sqlite import reflection
from exporter.sources.sqlite.reader import SqliteReader
from exporter.sources.sqlite.snapshot import Snapshot as Shared
from exporter.sources.sqlite.stored import row_table
from exporter.sources.sqlite.tablebatches import KINDS, TableBatches
from exporter.sources.sqlite.textreader import UTF8, StatementText, TableText

WRITERS_WAIT = (
    "Programs that write to this database wait while an export reads it, because it is not in WAL mode."
    " Its owner can change that with PRAGMA journal_mode=WAL."
)


class SqliteSource:
    dialect = "sqlite"

    def __init__(self, path: Path, limits: SourceLimits) -> None:
        self._snapshot = Shared(path, limits)
        self._session = self._snapshot.session
        self.server_version = apsw.sqlite_lib_version()
        self.snapshot = Snapshot(time=self._session.taken, id=None)
        self.warnings: tuple[str, ...] = (WRITERS_WAIT,) if self._session.blocks_writers else ()

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
        if form is Form.TYPED and not careful and self._session.encoding == UTF8:
            table = row_table(self._session, statement.whole, statement.columns)
            if table is not None and all(column.kind in KINDS for column in statement.columns):
                return TableBatches(self._snapshot, table, statement.columns)
        return SqliteReader(self._session, statement, form, careful=careful)

    def read_text(self, statement: Statement, text: RowText) -> TextReader | None:
        """SQLite turns the texts of a UTF-16 file into UTF-8 without a word about those that are none."""
        if self._session.encoding != UTF8:
            return None
        table = row_table(self._session, statement.whole, statement.columns)
        if table is None:
            return StatementText(self._session, statement, text)
        return TableText(self._snapshot, table, statement.columns, text)

    def interrupt(self) -> None:
        self._snapshot.interrupt()

    def close(self) -> None:
        self._snapshot.close()
