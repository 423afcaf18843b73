"""The bench's databases, made locally once and kept in the data folder."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import child, postgres, tables

FULL_SCALE = 0.4
FULL_ROWS = {"wide": 5_000, "texts": 100_000}
FULL_CELLS, LEAST_CELLS = 100, 3
TINY_ROWS = 10
LEAST_ROWS = 50


@dataclass(frozen=True, kw_only=True)
class Place:
    """One database that holds bench tables: a SQLite path or a PostgreSQL URL."""

    source: str
    url: str

    @property
    def exporter_url(self) -> str:
        return f"sqlite:///{self.url}" if self.source == "sqlite" else self.url


class Data:
    """Databases of one scale: a SQLite file, and a database in the bench's own PostgreSQL if that is served."""

    def __init__(self, folder: Path, server: str | None) -> None:
        self._folder = folder
        self._server = server

    def place(self, source: str, table: str, scale: float) -> Place:
        """Give the database that holds the table at that scale; it is filled on first use."""
        place = self._database(source, scale)
        if table == "lineitem_part":
            self._filled(place, "lineitem", scale)
        self._filled(place, table, scale)
        return place

    def _database(self, source: str, scale: float) -> Place:
        if source == "sqlite":
            self._folder.mkdir(parents=True, exist_ok=True)
            return Place(source=source, url=str(self._folder / f"scale-{scale:g}.db"))
        name = f"scale_{scale:g}".replace(".", "_")
        return Place(source=source, url=self._made(name))

    @contextmanager
    def empty_database(self) -> Iterator[str]:
        """Give the URL of a PostgreSQL database that is dropped afterwards."""
        name = f"empty_{secrets.token_hex(4)}"
        try:
            yield self._made(name)
        finally:
            child.run(child.module("bench.database", str(self._server), name, "drop"))

    def _made(self, name: str) -> str:
        if self._server is None:
            raise postgres.NoPostgres(postgres.NoPostgres.__doc__)
        child.run(child.module("bench.database", self._server, name))
        return f"{self._server.rpartition('/')[0]}/{name}"

    def _filled(self, place: Place, table: str, scale: float) -> None:
        made = self._folder / "made.json"
        done = json.loads(made.read_text()) if made.exists() else []
        key = f"{place.source} {table} {scale:g}"
        if key not in done:
            child.run(child.module("bench.load", place.source, place.url, table, rows_of(table, scale)))
            made.write_text(json.dumps([*done, key], indent=1))


def rows_of(table: str, scale: float) -> str:
    """Say how much of a table there is at a scale: rows, or of lineitem the scale factor."""
    if table == "lineitem":
        return f"{scale:g}"
    if table == "lineitem_part":
        return str(tables.EXCEL_ROWS)
    if table == "tiny":
        return str(TINY_ROWS)
    if table == "cells":
        return str(min(FULL_CELLS, max(LEAST_CELLS, round(FULL_CELLS * scale / FULL_SCALE))))
    return str(max(LEAST_ROWS, round(FULL_ROWS[table] * scale / FULL_SCALE)))


@contextmanager
def opened(folder: Path, *, with_postgres: bool) -> Iterator[Data]:
    """Open the data folder, with the bench's PostgreSQL served out of it if asked for."""
    folder.mkdir(parents=True, exist_ok=True)
    if not with_postgres:
        yield Data(folder, None)
        return
    with postgres.serving(folder / "postgres") as server:
        yield Data(folder, server)
