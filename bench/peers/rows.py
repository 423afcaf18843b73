"""Rows as the standard drivers give them, for the peers that write workbooks."""

import sqlite3
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg


def header_and_rows(source: str, url: str, table: str) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
    if source == "sqlite":
        found = sqlite3.connect(url).execute(f"SELECT * FROM {table}")
        return [column[0] for column in found.description], found
    cursor = psycopg.connect(url).cursor(name="rows")
    cursor.itersize = 10_000
    cursor.execute(f"SELECT * FROM {table}")
    names = [column.name for column in cursor.description or ()]
    return names, (tuple(float(v) if isinstance(v, Decimal) else v for v in row) for row in cursor)
