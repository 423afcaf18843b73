"""What a database is to the rest of the program: a Source of record batches.

A Source is one open, read-only connection inside one transaction: everything read through it comes from one
snapshot. It knows nothing of Flask, users or jobs.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pyarrow as pa


class Kind(StrEnum):
    """What a column's values mean, whatever Arrow type carries them."""

    INTEGER = "integer"
    FLOAT = "float"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    TEXT = "text"
    DATE = "date"
    TIME = "time"
    TIMESTAMP = "timestamp"  # without a zone
    TIMESTAMPTZ = "timestamptz"  # an instant, given in UTC
    BINARY = "binary"
    UUID = "uuid"
    JSON = "json"
    ARRAY = "array"
    OTHER = "other"  # exact as its database writes it, and no more is known
    VARIANT = "variant"  # values of several kinds in one column (SQLite): see `exporter.sources.types`


class Form(StrEnum):
    """How a writer wants its batches.

    TEXT: a column may come as its values' exact spelling (a string column whatever its kind) and, in SQLite, may
    change its Arrow type from batch to batch. TYPED: every batch has the one schema of `exporter.sources.types`.
    """

    TEXT = "text"
    TYPED = "typed"


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a relation or of a result.

    `bits` is the width of an INTEGER (16, 32, 64) or FLOAT (32, 64); `precision` and `scale` are those of a DECIMAL
    that declares them; `element` is the column that an ARRAY's items would be.
    """

    name: str
    database_type: str
    kind: Kind
    nullable: bool = True
    bits: int | None = None
    precision: int | None = None
    scale: int | None = None
    element: "Column | None" = None


@dataclass(frozen=True, kw_only=True)
class Relation:
    """A table, view or saved SELECT with its real columns.

    `schema` is None on SQLite. `query` holds the text of a saved SELECT; `name` is then only a label.
    """

    name: str
    columns: tuple[Column, ...]
    schema: str | None = None
    query: str | None = None

    @property
    def label(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


@dataclass(frozen=True, kw_only=True)
class RelationSummary:
    """One line of a list of tables; `rows` is an estimate, or None where nothing cheap is known."""

    name: str
    schema: str | None
    kind: str  # "table" or "view"
    rows: int | None

    @property
    def label(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One SELECT, ready for the driver.

    `sql` has named placeholders in the driver's style (`:name` for SQLite, `%(name)s` for PostgreSQL, where a literal
    percent sign is doubled); `columns` are the result's columns in order. `whole` is the table or view that it gives
    every row of, in no order that was asked for; a source may read such a table in several parts at once.
    """

    sql: str
    columns: tuple[Column, ...]
    parameters: Mapping[str, object] = field(default_factory=dict)
    whole: Relation | None = None


@dataclass(frozen=True, kw_only=True)
class RowEstimate:
    rows: int
    kind: str  # "exact" or "estimate"


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The moment that a Source's transaction sees; `id` is PostgreSQL's, None on SQLite.

    `copied` says that a copy of the database was read, which was made at that moment.
    """

    time: datetime
    id: str | None
    copied: bool = False


@dataclass(frozen=True, kw_only=True)
class Scratch:
    """Where a Source may make a copy of its file; whoever lends the path removes what is there.

    `check` is told, now and then, how many bytes are still to come. It raises what shall end the copying.
    """

    path: Path
    check: Callable[[int], None]


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A counted fact about values that a reader had to represent otherwise: it becomes a warning of the job.

    `count` is None where nobody counted; a notice of 0 is none.
    """

    code: str
    count: int | None
    message: str


class SchemaBroken(Exception):
    """A value does not fit the type that the reader announced for its column.

    Raised by a TYPED read only. The same Source, asked again with `careful=True`, first looks at every value's type
    and then announces types that hold them all.
    """


class Cells(StrEnum):
    """How a cell is spelled in a row of text.

    CSV: a NULL is nothing, a text stands in double quotes (doubled within), any other value is bare, as
    PostgreSQL's COPY or SQLite spells it. JSON: as the writer of JSON spells it, compact.
    """

    CSV = "csv"
    JSON = "json"


@dataclass(frozen=True, kw_only=True)
class RowText:
    """Rows as a writer spells them, so that a database may spell them itself, byte for byte.

    A row is `before[n]` and cell n for each column, then `end`; rows are joined by `between`.
    """

    cells: Cells
    before: tuple[str, ...]
    end: str
    between: str


@dataclass(frozen=True, kw_only=True)
class TextChunk:
    """Whole rows, joined, with nothing after the last; `rows` is the database's own count of them."""

    data: bytes
    rows: int


class TextReader(Protocol):
    """One running SELECT that gives its rows as text; else like a Reader."""

    columns: tuple[Column, ...]

    def chunks(self) -> Iterator[TextChunk]:
        """Yield non-empty chunks of bounded size. Raises ExportFailed."""
        ...

    def notices(self) -> tuple[Notice, ...]: ...

    def close(self) -> None: ...


class Reader(Protocol):
    """One running SELECT.

    `columns` are the result's columns as they are delivered. `notices` are final once `batches` is exhausted.
    """

    columns: tuple[Column, ...]

    def batches(self) -> "Iterator[pa.RecordBatch]":
        """Yield non-empty batches of bounded size, in the query's order. Raises ExportFailed or SchemaBroken."""
        ...

    def notices(self) -> tuple[Notice, ...]: ...

    def close(self) -> None:
        """Stop early or release; never raises. The Source stays usable."""
        ...


class Source(Protocol):
    """One open database. Not for sharing between threads, but for `interrupt`."""

    dialect: str  # "sqlite" or "postgresql"
    server_version: str
    snapshot: Snapshot

    @property
    def warnings(self) -> tuple[str, ...]:
        """What an admin should know, e.g. a superuser role."""
        ...

    def relations(self) -> list[RelationSummary]: ...

    def relation(self, name: str) -> Relation:
        """Reflect a table or view, `schema.name` or `name`. Raises NoSuchRelation."""
        ...

    def relation_of_query(self, sql: str) -> Relation:
        """Reflect the result of a saved SELECT. Raises QueryFailed."""
        ...

    def estimate(self, statement: Statement, *, whole: Relation | None = None) -> RowEstimate | None:
        """Cheap only: the planner's estimate or a count that needs no scan; None where neither exists.

        `whole` is the relation that the statement gives every row of: no condition, grouping or limit.
        """
        ...

    def read(self, statement: Statement, form: Form, *, careful: bool = False) -> Reader: ...

    def read_text(self, statement: Statement, text: RowText) -> TextReader | None:
        """Let the database spell the rows; None where it would not spell them exactly as the writer does."""
        ...

    def confirm(self) -> None:
        """Raise SourceOverwritten if what was read so far is worth nothing: the file was written over meanwhile."""
        ...

    def interrupt(self) -> None:
        """End the running query soon, from any thread; the reader then raises QueryFailed or ends. Never raises.

        It holds for good: a Source that was interrupted before or between its queries reads nothing more.
        """
        ...

    def close(self) -> None: ...
