"""Sources over real databases: files made by apsw, and a PostgreSQL server."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exporter.sources.base import Source
from exporter.sources.registry import open_source
from tests.postgres_server import execute, fresh_database
from tests.sources.reading import limits, open_file

Open = Callable[..., Source]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Open SQLite files; closed after the test."""
    sources: list[Source] = []

    def opening(path: Path, **changes: object) -> Source:
        sources.append(open_file(path, **changes))
        return sources[-1]

    yield opening
    for source in sources:
        source.close()


@pytest.fixture(scope="module")
def postgres_module(postgres_url) -> Iterator[str]:
    """The URL of a database for the tests of one file."""
    with fresh_database(postgres_url) as url:
        yield url


@pytest.fixture
def connected(tmp_path, postgres_module) -> Iterator[Open]:
    """Run statements in the module's database, then open it; closed after the test."""
    sources: list[Source] = []

    def opening(*statements: str, url: str = postgres_module, **changes: object) -> Source:
        if statements:
            execute(url, *statements)
        sources.append(open_source(url, limits(tmp_path, **changes)))
        return sources[-1]

    yield opening
    for source in sources:
        source.close()
