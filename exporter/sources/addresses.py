"""A datasource's URL, parsed and judged without opening anything. No text made here ever holds a password."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from exporter.failures import SourceRefused

POSTGRESQL_SCHEMES = frozenset({"postgresql", "postgres", "postgresql+psycopg"})
POSTGRESQL_OPTIONS = frozenset({"host", "port", "user", "password", "dbname", "sslmode", "sslrootcert"})
DEFAULT_PORT = 5432
MAX_PORT = 65535

_PASSWORD = re.compile(r"(?s)^([^:/?#]*://[^:/@]*):(.*)@")
_PASSWORD_OPTION = re.compile(r"(?i)([?&;](?:password|passwd|pwd)=)[^&]*")
_UNPARSED_PORT = re.compile(r"(?s)^([^:/?#]*://[^:/@\[]*):(?!\*\*\*@)(?!\d*(?:[/?#]|$)).*$")


@dataclass(frozen=True, kw_only=True)
class SqliteAddress:
    path: Path  # as written: relative ones start at the instance folder


@dataclass(frozen=True, kw_only=True)
class PostgresqlAddress:
    host: str
    port: int
    dbname: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    sslmode: str | None = None
    sslrootcert: str | None = None


def parse(url: str) -> SqliteAddress | PostgresqlAddress:
    """Parse a URL of the contract. Raises SourceRefused."""
    if any(character < " " or "\ud800" <= character <= "\udfff" for character in url):
        _refuse("the URL holds control characters")
    try:
        parts = urlsplit(url)
    except ValueError:
        _refuse("the URL cannot be read")
    if parts.scheme == "sqlite":
        return _sqlite(parts)
    if parts.scheme not in POSTGRESQL_SCHEMES:
        _refuse("the URL must begin with sqlite:/// or postgresql://")
    return _postgresql(parts)


def redact(url: str) -> str:
    """Replace the password by stars, also in a URL too odd to parse."""
    shown = _PASSWORD_OPTION.sub(r"\1***", _PASSWORD.sub(r"\1:***@", url))
    return _UNPARSED_PORT.sub(r"\1:***", shown) if not shown.startswith("sqlite:") else shown


def _sqlite(parts: SplitResult) -> SqliteAddress:
    if parts.netloc:
        _refuse("a SQLite URL has three slashes: sqlite:///path.db, or four for an absolute path")
    if parts.query or parts.fragment:
        _refuse("a SQLite URL takes no options; write ? as %3F and # as %23 in a file name")
    path = unquote(parts.path[1:])
    if not path or path == ":memory:" or "\0" in path:
        _refuse("the URL names no file")
    return SqliteAddress(path=Path(path))


def _postgresql(parts: SplitResult) -> PostgresqlAddress:
    if parts.fragment:
        _refuse("the URL holds a #; write it as %23")
    options = _options(parts)
    try:
        options = {"port": str(parts.port or ""), **options}
    except ValueError:
        _refuse("the port is not a number; in a user name or password write / as %2F, @ as %40, : as %3A")
    options = {
        "host": unquote(parts.hostname or ""),
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "dbname": unquote(parts.path[1:]),
        **options,
    }
    if any("\0" in value for value in options.values()):
        _refuse("the URL holds a zero byte")
    return PostgresqlAddress(
        host=_host(options["host"]),
        port=_port(options["port"]),
        dbname=options["dbname"] or options["user"] or _refuse("the URL names no database"),
        user=options["user"] or None,
        password=options["password"] or None,
        sslmode=options.get("sslmode"),
        sslrootcert=options.get("sslrootcert"),
    )


def _options(parts: SplitResult) -> Mapping[str, str]:
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    for name, _ in pairs:
        if name not in POSTGRESQL_OPTIONS:
            _refuse(f"the option {name[:40]!r} is not allowed in a PostgreSQL URL")
    return dict(pairs)


def _host(host: str) -> str:
    if not host:
        _refuse("the URL names no host")
    if "," in host:
        _refuse("the URL must name one host")
    return host


def _port(port: str) -> int:
    if not port:
        return DEFAULT_PORT
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= MAX_PORT):
        _refuse("the port is not a number from 1 to 65535")
    return int(port)


def _refuse(reason: str) -> NoReturn:
    raise SourceRefused(reason=reason)
