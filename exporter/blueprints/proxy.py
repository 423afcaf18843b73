"""Believing a reverse proxy, and nobody else, about whom it asks for and whether they came over https."""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


PROXIED = (
    "exporter.proxied"  # in the environ of what came through a proxy of ours; no client can put it there
)


class TrustedProxies:
    """WSGI middleware: takes X-Forwarded-For and X-Forwarded-Proto of the addresses in `networks`."""

    def __init__(self, app: "WSGIApplication", networks: frozenset[IPv4Network | IPv6Network]) -> None:
        self._app = app
        self._networks = networks

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if self._trusts(environ.get("REMOTE_ADDR", "")):
            environ[PROXIED] = True
            environ["REMOTE_ADDR"] = self._client(environ)
            scheme = _last(environ.get("HTTP_X_FORWARDED_PROTO", "")).lower()
            if scheme in {"http", "https"}:
                environ["wsgi.url_scheme"] = scheme
        return self._app(environ, start_response)

    def _client(self, environ: "WSGIEnvironment") -> str:
        """Walk from the last hop back to the first that is no proxy of ours; what stands before may be invented."""
        client: str = environ["REMOTE_ADDR"]
        for hop in _backwards(environ.get("HTTP_X_FORWARDED_FOR", "")):
            if not _is_address(hop):
                return client
            client = hop
            if not self._trusts(hop):
                return client
        return client

    def _trusts(self, address: str) -> bool:
        return _is_address(address) and any(ip_address(address) in network for network in self._networks)


def _backwards(hops: str) -> Iterator[str]:
    yield from (hop.strip() for hop in reversed(hops.split(",")))


def _last(words: str) -> str:
    return next(_backwards(words))


def _is_address(text: Any) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
