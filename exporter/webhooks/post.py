"""One POST to an address that was checked: no redirect, no proxy, one deadline for all of it, only the status kept."""

import http.client
import io
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, cast

from exporter.failpoints import reach
from exporter.webhooks.addresses import PORTS, Reachable

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 15.0


def post(place: Reachable, body: bytes, headers: Mapping[str, str]) -> int:
    """Give the status that is answered. Raises OSError or HTTPException."""
    deadline = time.monotonic() + TOTAL_SECONDS
    target = place.target
    with _connected(place, time.monotonic() + CONNECT_SECONDS) as wire:
        connection = http.client.HTTPConnection(target.host, target.port)
        connection.default_port = PORTS[target.scheme]
        connection.auto_open = 0
        connection.sock = cast("socket.socket", _Wire(wire, deadline))
        connection.request("POST", target.path, body, {**headers, "Connection": "close"})
        reach("webhook_sent")
        return connection.getresponse().status


def reason(fault: Exception) -> str:
    """Say in a few words why nothing was answered; nothing that the receiver says is in them."""
    if isinstance(fault, ssl.SSLCertVerificationError):
        return f"Its TLS certificate is not trusted: {fault.verify_message}"
    words: tuple[tuple[type[Exception], str], ...] = (
        (ssl.SSLError, "No TLS connection"),
        (TimeoutError, "No answer in time"),
        (ConnectionRefusedError, "Connection refused"),
        (http.client.RemoteDisconnected, "The connection was closed without an answer"),
        (ConnectionError, "The connection was closed"),
        (http.client.HTTPException, "The answer is not HTTP"),
    )
    return next((told for kind, told in words if isinstance(fault, kind)), "No connection")


def _connected(place: Reachable, deadline: float) -> socket.socket:
    """Connect to the first address that answers, and to no other than those that were checked."""
    fault: OSError = TimeoutError()
    for address in place.addresses:
        try:
            plain = socket.create_connection((str(address), place.target.port), timeout=_left(deadline))
        except OSError as exc:
            fault = exc
            continue
        return _secured(plain, place, deadline)
    raise fault


def _secured(plain: socket.socket, place: Reachable, deadline: float) -> socket.socket:
    if place.target.scheme != "https":
        return plain
    try:
        plain.settimeout(_left(deadline))
        return _context().wrap_socket(plain, server_hostname=place.target.host)
    except BaseException:
        plain.close()
        raise


@cache
def _context() -> ssl.SSLContext:
    """Trust the system's certificates, or those of SSL_CERT_FILE."""
    return ssl.create_default_context()


def _left(deadline: float) -> float:
    """Raise TimeoutError."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


class _Wire:
    """A socket as http.client uses one, with one deadline for everything: a timeout of each read would start anew."""

    def __init__(self, plain: socket.socket, deadline: float) -> None:
        self._plain = plain
        self._deadline = deadline

    def sendall(self, data: bytes) -> None:
        self._plain.settimeout(_left(self._deadline))
        self._plain.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        del mode
        return io.BufferedReader(_Incoming(self._receive))

    def close(self) -> None:
        """Whoever opened the socket closes it."""

    def _receive(self, buffer: Any) -> int:
        self._plain.settimeout(_left(self._deadline))
        return self._plain.recv_into(buffer)


class _Incoming(io.RawIOBase):
    def __init__(self, receive: Callable[[Any], int]) -> None:
        super().__init__()
        self._receive = receive

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._receive(buffer)
