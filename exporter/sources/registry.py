"""The kinds of databases there are. A driver is imported when its first source is opened."""

from exporter.errors import SourceRefused
from exporter.sources.addresses import PostgresqlAddress, SqliteAddress, parse, redact
from exporter.sources.base import Source
from exporter.sources.limits import SourceLimits
from exporter.sources.sqlite.files import checked_file

__all__ = ["SourceLimits", "check_url", "describe", "open_source", "redact"]


def describe(url: str) -> str:
    """Name the kind of database: "sqlite" or "postgresql". Raises SourceRefused."""
    return "sqlite" if isinstance(parse(url), SqliteAddress) else "postgresql"


def check_url(url: str, limits: SourceLimits) -> None:
    """Refuse what could not or must not be opened, without opening it. Raises SourceRefused."""
    _checked(url, limits)


def open_source(url: str, limits: SourceLimits) -> Source:
    """Open a database in one read-only transaction. Raises SourceRefused, SourceUnavailable or SourceCorrupt."""
    address = _checked(url, limits)
    if isinstance(address, SqliteAddress):
        from exporter.sources.sqlite.source import SqliteSource

        return SqliteSource(checked_file(address.path, limits), limits)
    from exporter.sources.postgresql.source import PostgresqlSource

    return PostgresqlSource(address, limits)


def _checked(url: str, limits: SourceLimits) -> SqliteAddress | PostgresqlAddress:
    address = parse(url)
    if isinstance(address, SqliteAddress):
        checked_file(address.path, limits)
    elif limits.postgres_hosts is not None and not _allowed(address.host, limits.postgres_hosts):
        raise SourceRefused(reason=f"the host {address.host!r} is not among those that POSTGRES_HOSTS allows")
    return address


def _allowed(host: str, hosts: frozenset[str]) -> bool:
    return host.casefold() in {name.casefold() for name in hosts}
