"""Fills one table of one database: `python -m bench.load SOURCE URL TABLE COUNT`, run as a child of the bench.

COUNT is a number of rows; of lineitem it is TPC-H's scale factor.
"""

import csv
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib import metadata
from pathlib import Path

from bench import tables
from bench.tables import BenchColumn, Row

ROWS: dict[str, Callable[[int], Iterator[Row]]] = {
    "wide": tables.wide_rows,
    "texts": tables.text_rows,
    "cells": tables.cell_rows,
    "tiny": tables.tiny_rows,
}


def main() -> None:
    source, url, table, count = sys.argv[1:]
    {"sqlite": _into_sqlite, "postgresql": _into_postgresql}[source](url, table, count)


def _into_sqlite(url: str, table: str, count: str) -> None:
    with closing(sqlite3.connect(url)) as database:
        database.execute("PRAGMA synchronous=OFF")
        database.execute(f"DROP TABLE IF EXISTS {table}")
        _create(database.execute, table, [column.sqlite for column in tables.COLUMNS[table]])
        if table == "lineitem_part":
            database.execute(f"INSERT INTO {table} SELECT * FROM lineitem LIMIT {int(count)}")
        else:
            marks = ", ".join("?" * len(tables.COLUMNS[table]))
            database.executemany(f"INSERT INTO {table} VALUES ({marks})", _rows(table, count))
        database.commit()


def _into_postgresql(url: str, table: str, count: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP TABLE IF EXISTS {table}")
        _create(connection.execute, table, [column.postgresql for column in tables.COLUMNS[table]])
        if table == "lineitem_part":
            connection.execute(f"INSERT INTO {table} SELECT * FROM lineitem LIMIT {int(count)}")
        else:
            with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
                for row in _rows(table, count):
                    copy.write_row(row)
        connection.execute(f"VACUUM (FREEZE, ANALYZE) {table}")


def _create(execute: Callable[[str], object], table: str, types: list[str]) -> None:
    columns: tuple[BenchColumn, ...] = tables.COLUMNS[table]
    declared = ", ".join(f"{column.name} {kind}" for column, kind in zip(columns, types, strict=True))
    execute(f"CREATE TABLE {table} ({declared})")


def _rows(table: str, count: str) -> Iterator[Row]:
    return _lineitem(count) if table == "lineitem" else ROWS[table](int(count))


def _lineitem(scale: str) -> Iterator[Row]:
    """Give TPC-H's rows as text. SQLite's column affinity makes numbers of them: INTEGER where exact, else REAL."""
    command = [
        str(generator()),
        "csv",
        "--scale-factor",
        scale,
        "--tables",
        "lineitem",
        "--stdout",
        "--quiet",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        rows = csv.reader(process.stdout or ())
        next(rows)
        yield from map(tuple, rows)
    if process.returncode != 0:
        raise SystemExit(f"tpchgen-cli ended with {process.returncode}")


def generator() -> Path:
    """Find tpchgen-cli: a program that its wheel brings."""
    if found := shutil.which("tpchgen-cli"):
        return Path(found)
    try:
        files = metadata.distribution("tpchgen-cli").files or []
    except metadata.PackageNotFoundError:
        raise SystemExit("tpchgen-cli is not installed: pip install -e '.[bench]'") from None
    return next(Path(str(file.locate())).resolve() for file in files if file.name == "tpchgen-cli")


if __name__ == "__main__":
    main()
