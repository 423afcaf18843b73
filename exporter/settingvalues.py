"""How the value of a setting is read, whether it is a variable's text or comes from `config.toml`.

Each reader takes the setting's name and its value, and raises SettingInvalid.
"""

import os
import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import urlsplit

from exporter import storageurl
from exporter.errors import SettingInvalid

HOST = re.compile(r"\.?(?:[a-z0-9_-]+\.)*[a-z][a-z0-9_-]*")


def refuse(name: str, value: object, expected: str) -> SettingInvalid:
    """Make the error that names the setting, what it was set to and what would be right."""
    return SettingInvalid(name=name, value=value, expected=expected)


def whole(minimum: int) -> Callable[[str, object], int]:
    def parse(name: str, value: object) -> int:
        try:
            number = int(str(value))
        except ValueError:
            number = minimum - 1
        if number < minimum or isinstance(value, bool):
            raise refuse(name, value, f"a whole number of at least {minimum}")
        return number

    return parse


def boolean(name: str, value: object) -> bool:
    meanings = {
        "1": True,
        "true": True,
        "yes": True,
        "on": True,
        "0": False,
        "false": False,
        "no": False,
        "off": False,
    }
    try:
        return meanings[str(value).lower()]
    except KeyError:
        raise refuse(name, value, "true or false") from None


def database_url(name: str, value: object) -> str:
    url = str(value)
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        return url
    if scheme in {"postgresql", "postgres", "postgresql+psycopg"} and _is_address(url):
        return f"postgresql+psycopg://{rest}"
    expected = (
        "sqlite:///path or postgresql://user:password@host:port/database, with @ in the password as %40"
    )
    raise refuse(name, scheme, expected)


def _is_address(url: str) -> bool:
    """Say whether the part with the host can be read in one way only."""
    try:
        parts = urlsplit(url)
        return parts.netloc.count("@") <= 1 and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def storage_url(name: str, value: object) -> str:
    """Echo no value: somebody may have put a secret into it."""
    url = str(value)
    if url.startswith("file:///"):
        return url
    scheme = url.partition("://")[0] + "://…"
    try:
        if url.startswith("s3://"):
            storageurl.parse_s3_url(url)
            return url
    except ValueError as exc:
        raise refuse(name, scheme, str(exc)) from None
    raise refuse(name, scheme, storageurl.EXPECTED)


def scheduler(name: str, value: object) -> str:
    url = str(value)
    try:
        parts = urlsplit(url)
        if parts.scheme == "tcp" and parts.hostname and parts.port and not parts.path:
            return url
    except ValueError:
        pass
    raise refuse(name, url, "tcp://host:port, such as tcp://scheduler.example:8786")


def choice(*allowed: str) -> Callable[[str, object], str]:
    def parse(name: str, value: object) -> str:
        if value not in allowed:
            raise refuse(name, value, f"one of {', '.join(allowed)}")
        return str(value)

    return parse


def words(_name: str, value: object) -> frozenset[str]:
    items = value if isinstance(value, list) else str(value).replace(",", " ").split()
    return frozenset(str(item) for item in items)


def hosts(name: str, value: object) -> frozenset[str]:
    """Read `public`, names of hosts, addresses and networks, in small letters."""
    found = frozenset(word.lower() for word in words(name, value))
    if not found or not all(_is_host(word) for word in found):
        raise refuse(name, value, "public, names such as hooks.example or .example, addresses or networks")
    return found


def _is_host(word: str) -> bool:
    try:
        ip_network(word)
    except ValueError:
        return HOST.fullmatch(word) is not None
    return True


def networks(name: str, value: object) -> frozenset[IPv4Network | IPv6Network]:
    try:
        return frozenset(ip_network(word) for word in words(name, value))
    except ValueError:
        raise refuse(name, value, "addresses or networks, such as 127.0.0.1 or 10.0.0.0/8") from None


def paths(name: str, value: object) -> tuple[Path, ...]:
    items = value if isinstance(value, list) else str(value).split(os.pathsep)
    found = tuple(Path(str(item)).expanduser() for item in items if item)
    if not found or not all(path.is_absolute() for path in found):
        raise refuse(name, value, f"absolute folders, separated by {os.pathsep!r}")
    return tuple(path.resolve() for path in found)


def text(name: str, value: object) -> str:
    if not str(value).strip():
        raise refuse(name, value, "a text that is not empty")
    return str(value)
