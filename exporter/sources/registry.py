"""The kinds of databases there are. A driver is imported when its first source is opened."""

from collections.abc import Hashable
from typing import TYPE_CHECKING

from exporter.failures import SourceRefused
from exporter.sources.addresses import PostgresqlAddress, SqliteAddress, parse, redact
from exporter.sources.base import Scratch, Source
from exporter.sources.limits import SourceLimits
from exporter.sources.sharing import Helpers, Portion
from exporter.sources.sqlite import files
from exporter.sources.sqlite.files import WRITERS_WAIT, checked_file

if TYPE_CHECKING:
    from exporter.sources.postgresql.source import PostgresqlSource

__all__ = [
    "WRITERS_WAIT",
    "SourceLimits",
    "check_url",
    "describe",
    "open_portion",
    "open_source",
    "proof_of",
    "redact",
]


def describe(url: str) -> str:
    """Name the kind of database: "sqlite" or "postgresql". Raises SourceRefused."""
    return "sqlite" if isinstance(parse(url), SqliteAddress) else "postgresql"


def check_url(url: str, limits: SourceLimits) -> None:
    """Refuse what could not or must not be opened, without opening it. Raises SourceRefused."""
    _checked(url, limits)


def proof_of(url: str, limits: SourceLimits) -> Hashable | None:
    """Give what tells, without opening a source, that nothing in it has changed; None where only asking it tells.

    Raises SourceRefused.
    """
    address = parse(url)
    return files.proof_of(checked_file(address.path, limits)) if isinstance(address, SqliteAddress) else None


def open_source(
    url: str, limits: SourceLimits, scratch: Scratch | None = None, helpers: Helpers | None = None
) -> Source:
    """Open a database in one read-only transaction. Raises SourceRefused, SourceUnavailable or SourceCorrupt.

    With `scratch`, a file whose writers would wait for that transaction is copied there, and the copy opened.
    `helpers` read parts of a large table of a server, where that can be had.
    """
    address = _checked(url, limits)
    if isinstance(address, SqliteAddress):
        from exporter.sources.sqlite.source import SqliteSource, open_copy

        path = checked_file(address.path, limits)
        return SqliteSource(path, limits) if scratch is None else open_copy(path, limits, scratch)
    from exporter.sources.postgresql.source import PostgresqlSource

    return PostgresqlSource(address, limits, helpers=helpers)


def open_portion(url: str, limits: SourceLimits, portion: Portion) -> "PostgresqlSource":
    """Open a server's database on a snapshot that somebody exported. Raises SourceRefused, SourceUnavailable."""
    address = _checked(url, limits)
    if isinstance(address, SqliteAddress):
        raise SourceRefused(reason="a file has no snapshot to be joined")
    from exporter.sources.postgresql.source import PostgresqlSource

    return PostgresqlSource(address, limits, portion=portion)


def _checked(url: str, limits: SourceLimits) -> SqliteAddress | PostgresqlAddress:
    address = parse(url)
    if isinstance(address, SqliteAddress):
        checked_file(address.path, limits)
    elif limits.postgres_hosts is not None and not _allowed(address.host, limits.postgres_hosts):
        raise SourceRefused(reason=f"the host {address.host!r} is not among those that POSTGRES_HOSTS allows")
    return address


def _allowed(host: str, hosts: frozenset[str]) -> bool:
    return host.casefold() in {name.casefold() for name in hosts}
