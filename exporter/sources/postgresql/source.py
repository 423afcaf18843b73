"""A PostgreSQL database as a Source."""

from dataclasses import replace

from exporter.sources.addresses import PostgresqlAddress
from exporter.sources.base import (
    Column,
    Form,
    Relation,
    RelationSummary,
    RowEstimate,
    RowText,
    Snapshot,
    Statement,
)
from exporter.sources.limits import SourceLimits
from exporter.sources.postgresql import reflection
from exporter.sources.postgresql.pages import Part
from exporter.sources.postgresql.parts import Help, parts_of
from exporter.sources.postgresql.reader import PostgresqlReader
from exporter.sources.postgresql.session import Session
from exporter.sources.postgresql.textreader import PostgresqlTextReader, copy_options
from exporter.sources.sharing import Helpers, Portion, Way


class PostgresqlSource:
    dialect = "postgresql"

    def __init__(
        self,
        address: PostgresqlAddress,
        limits: SourceLimits,
        *,
        helpers: Helpers | None = None,
        portion: Portion | None = None,
    ) -> None:
        """Open a database; with `portion`, every statement gives the rows there alone, on that snapshot."""
        self._session = Session(address, limits, portion=portion)
        self._streams = limits.parallel_reads
        self._helpers = helpers
        self._portion = portion
        self.server_version = self._session.server_version
        self.snapshot = Snapshot(time=self._session.taken, id=self._session.snapshot_id)
        self.warnings = self._session.warnings

    def relations(self) -> list[RelationSummary]:
        return reflection.summaries(self._session)

    def relation(self, name: str) -> Relation:
        return reflection.relation(self._session, name)

    def relation_of_query(self, sql: str) -> Relation:
        return reflection.relation_of_query(self._session, sql)

    def estimate(self, statement: Statement, *, whole: Relation | None = None) -> RowEstimate | None:  # noqa: ARG002
        """Ask the planner, which also knows about conditions."""
        select = self.select(statement)
        ((plans,),) = self._session.rows(b"EXPLAIN (FORMAT JSON) " + select)
        return RowEstimate(rows=int(plans[0]["Plan"]["Plan Rows"]), kind="estimate")

    def read(self, statement: Statement, form: Form, *, careful: bool = False) -> PostgresqlReader:
        """Read; a careful read takes its columns' types from the server and not from the statement."""
        select = self.select(statement)
        columns = self._described(statement, select) if careful else statement.columns
        parts = self._parts(statement, select)
        shared = self._shared(Way.CAREFUL if careful else Way.BATCHES)
        return PostgresqlReader(self._session, parts, columns, form, self._streams, shared=shared)

    def _described(self, statement: Statement, select: bytes) -> tuple[Column, ...]:
        columns = reflection.columns_of(self._session, select)
        return tuple(
            replace(column, name=wanted.name)
            for column, wanted in zip(columns, statement.columns, strict=True)
        )

    def read_text(self, statement: Statement, text: RowText) -> PostgresqlTextReader | None:
        """Let COPY write CSV, which is what the writer of CSV imitates."""
        options = copy_options(statement.columns, text)
        if options is None:
            return None
        parts = self._parts(statement, self.select(statement))
        shared = self._shared(Way.TEXT)
        return PostgresqlTextReader(
            self._session, parts, statement.columns, text, self._streams, options, shared=shared
        )

    def select(self, statement: Statement) -> bytes:
        """Give the statement as it is sent, but for where it is cut."""
        return self._session.bound(statement.sql, statement.parameters)

    def _parts(self, statement: Statement, select: bytes) -> list[Part]:
        if self._portion is not None:
            return [Part(select=select, start=self._portion.start, end=self._portion.end)]
        if self._streams == 1 and self._helpers is None:
            return [Part(select=select)]
        return parts_of(self._session, select, statement.whole)

    def _shared(self, way: Way) -> Help | None:
        return Help(helpers=self._helpers, way=way) if self._helpers is not None else None

    def confirm(self) -> None:
        """Do nothing: a server keeps its promises about a transaction, or breaks it off."""

    def interrupt(self) -> None:
        self._session.interrupt()

    def close(self) -> None:
        self._session.close()
