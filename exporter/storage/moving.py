"""The whole app database, copied: into a file beside it, or into an empty database of another kind."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, delete, func, insert, inspect, select
from sqlalchemy.exc import OperationalError, ProgrammingError

from exporter.errors import ExporterError
from exporter.storage.database import Database, away, engine_options, prepare_engine
from exporter.storage.tables import Base, TemplateRow

BATCH_ROWS = 500
MIGRATIONS = Path(__file__).parents[1] / "migrations"


class CopyFailed(ExporterError):
    """The app database cannot be copied to {path}: {reason}"""

    code = "copy_failed"


class TargetAway(ExporterError):
    """The database at that URL cannot be used: {reason}"""

    code = "target_away"


class NotOurs(ExporterError):
    """The other database holds the table {table} already: it must be empty"""

    code = "not_ours"


class NotEmpty(ExporterError):
    """The other database holds {rows} rows of {table} already: it must be empty"""

    code = "not_empty"


class CopyDiffers(ExporterError):
    """{table} has {read} rows here but {written} there: nothing was kept"""

    code = "copy_differs"


def copy_file(database: Database, path: Path) -> None:
    """Write an embedded database, as it is at one moment, into a new file; its users may go on."""
    with away():
        connection = database.engine.raw_connection()
    with closing(connection):
        try:
            connection.cursor().execute("VACUUM INTO ?", (str(path),))  # outside of a transaction
        except sqlite3.OperationalError as exc:
            raise CopyFailed(path=path, reason=exc) from exc
    path.chmod(0o600)


def move_into(url: str, database: Database) -> dict[str, int]:
    """Set up the schema of the database at `url` and copy everything into it: see `copy_all`."""
    target = create_engine(url, **engine_options(url))
    try:
        with _reaching():
            _check_ours(target)
            prepare_engine(target)
            upgrade(target)
        return copy_all(database.engine, target)
    finally:
        target.dispose()


@contextmanager
def _reaching() -> Iterator[None]:
    """Tell a target that cannot be used from our own database. Raises TargetAway."""
    try:
        yield
    except (OperationalError, ProgrammingError) as exc:
        told = str(exc.orig).strip().splitlines()
        raise TargetAway(reason=told[0] if told else "no reason is told") from exc


def _check_ours(target: Engine) -> None:
    """Keep our tables, and our pragmas, out of somebody else's database. Raises NotOurs."""
    with target.connect() as connection:
        for name in inspect(connection).get_table_names():
            if name not in {*Base.metadata.tables, "alembic_version"}:
                raise NotOurs(table=name)
    target.dispose()  # the next connection is one with our pragmas


def upgrade(engine: Engine) -> None:
    """Bring a database to this version's schema, whichever app is running."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["engine"] = engine
    command.upgrade(config, "head")


def copy_all(source: Engine, target: Engine) -> dict[str, int]:
    """Copy every row, all or none, and give the rows of each table, counted in the target.

    The target has this version's schema and nothing in it but the templates that come with it; those give way to
    the source's. Raises NotEmpty, CopyDiffers, DatabaseAway.
    """
    tables = Base.metadata.sorted_tables
    with away(), source.connect() as reading, target.begin() as writing:
        writing.execute(delete(TemplateRow).where(TemplateRow.owner_id.is_(None)))
        for table in tables:
            if rows := _count(writing, table):
                raise NotEmpty(rows=rows, table=table.name)
        counts = {table.name: _copied(table, reading, writing) for table in tables}
        _count_on(tables, writing)
        return counts


def _copied(table: Table, reading: Connection, writing: Connection) -> int:
    read = 0
    for batch in reading.execute(select(table)).mappings().partitions(BATCH_ROWS):
        rows: list[dict[str, Any]] = [dict(row) for row in batch]
        writing.execute(insert(table), rows)
        read += len(rows)
    written = _count(writing, table)
    if written != read:
        raise CopyDiffers(table=table.name, read=read, written=written)
    return written


def _count_on(tables: list[Table], connection: Connection) -> None:
    """Let PostgreSQL number new rows behind those that were copied with their numbers."""
    if connection.dialect.name != "postgresql":
        return
    for table in tables:
        column = table.autoincrement_column
        if column is not None:
            sequence = func.pg_get_serial_sequence(table.name, column.name)
            following = select(func.coalesce(func.max(column), 0) + 1).scalar_subquery()
            connection.execute(select(func.setval(sequence, following, False)))


def _count(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()
