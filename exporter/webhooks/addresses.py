"""Where a webhook may go. A name is resolved once, and the connection goes to the very address that was checked.

What a user names must not reach what only this machine can: its own services, its network, its cloud's metadata.
"""

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NoReturn
from urllib.parse import SplitResult, urlsplit

from exporter.errors import AddressRefused

Address = IPv4Address | IPv6Address

PUBLIC = "public"
PORTS = {"https": 443, "http": 80}
MAX_URL = 2000
NAT64 = ip_network("64:ff9b::/96")
# Public by number, but what answers there is the machine's own host (Oracle's and Azure's clouds) or a relay.
SPECIAL = tuple(ip_network(each) for each in ("192.0.0.0/24", "168.63.129.16/32", "192.88.99.0/24"))


@dataclass(frozen=True, kw_only=True)
class Target:
    """An address of a webhook, taken apart; `path` holds the query too."""

    scheme: str
    host: str
    port: int
    path: str


@dataclass(frozen=True, kw_only=True)
class Reachable:
    """A target whose `addresses` were found allowed: connect to these, and resolve nothing again."""

    target: Target
    addresses: tuple[Address, ...]


class HostRules:
    """The setting WEBHOOK_HOSTS: names (`.example.org` for all below it), addresses, networks, `public`."""

    def __init__(self, words: frozenset[str]) -> None:
        self._public = PUBLIC in words
        networks = {word: _network(word) for word in words - {PUBLIC}}
        self._networks = tuple(each for each in networks.values() if each is not None)
        self._names = frozenset(word for word, network in networks.items() if network is None)

    def check(self, url: str) -> Reachable:
        """Take an address apart, resolve its host and judge it. Raises AddressRefused."""
        target = parse(url)
        named = self._is_named(target.host)
        found = _resolve(target)
        listed = tuple(each for each in found if named or self._is_listed(each))
        if listed:
            return Reachable(target=target, addresses=listed)
        if not (self._public and all(is_public(each) for each in found)):
            _refuse(
                "it does not lead to where this server may send. An admin may add the host to WEBHOOK_HOSTS"
            )
        if target.scheme != "https":
            _refuse("it must begin with https://")
        return Reachable(target=target, addresses=found)

    def _is_named(self, host: str) -> bool:
        return any(host == name or (name.startswith(".") and host.endswith(name)) for name in self._names)

    def _is_listed(self, address: Address) -> bool:
        return any(_is_in(address, network) for network in self._networks)


def parse(url: str) -> Target:
    """Raise AddressRefused."""
    if not (url.isascii() and url.isprintable() and " " not in url and len(url) <= MAX_URL):
        _refuse(f"it must be at most {MAX_URL} printable ASCII characters; write others as %XX or xn--")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        _refuse("it cannot be read")
    if parts.scheme not in PORTS or not parts.hostname:
        _refuse("it must begin with https:// and name a host")
    if parts.username is not None or parts.password is not None or parts.fragment:
        _refuse("it must hold no user name, no password and no #")
    if port == 0:
        _refuse("its port is not a number from 1 to 65535")
    return Target(
        scheme=parts.scheme,
        host=parts.hostname.lower().rstrip("."),
        port=port or PORTS[parts.scheme],
        path=_path(parts),
    )


def is_public(address: Address) -> bool:
    """Say whether anybody on the Internet has this address; one that stands for another is judged by that."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
        if address in NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner:
            return is_public(inner)
    if address.is_multicast or address.is_reserved or any(_is_in(address, each) for each in SPECIAL):
        return False
    return address.is_global


def _path(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _resolve(target: Target) -> tuple[Address, ...]:
    """Ask once. Raises AddressRefused."""
    try:
        told = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        _refuse("its host is not known")
    # A link-local address comes with its zone, which no rule speaks of.
    return tuple(dict.fromkeys(ip_address(str(each[4][0]).partition("%")[0]) for each in told))


def _is_in(address: Address, network: IPv4Network | IPv6Network) -> bool:
    return network.version == address.version and address in network


def _network(word: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(word)
    except ValueError:
        return None


def _refuse(reason: str) -> NoReturn:
    raise AddressRefused(reason=reason)
