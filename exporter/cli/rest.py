"""Calling a server's REST API with the standard library alone."""

import http.client
import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPErrorProcessor, Request, build_opener

from exporter import errors
from exporter.cli.backend import Document
from exporter.version import __version__

API = "/data-tools/api/v1"
TIMEOUT_SECONDS = 60.0  # of silence; a server may well take half of it to try a database
BLOCK_BYTES = 1024 * 1024
NOT_MODIFIED = 304

# What a refusal means; a 400 is told apart by its body, and all the rest is an ExporterError.
KINDS: Mapping[int, type[errors.ExporterError]] = MappingProxyType(
    {
        401: errors.NotSignedIn,
        403: errors.Forbidden,
        404: errors.NotFound,
        409: errors.Conflict,
        410: errors.ArtifactGone,
        422: errors.KeyReused,
        507: errors.DiskLow,
    }
)
LATER: Mapping[int, type[errors.Later]] = MappingProxyType({429: errors.TooMany, 503: errors.Unavailable})
# The first that fits; what fits none speaks for itself.
REASONS: Mapping[type[Exception], str] = MappingProxyType(
    {
        ssl.SSLError: "no TLS there; is it https?",
        TimeoutError: f"no answer within {TIMEOUT_SECONDS:.0f} seconds",
        ConnectionRefusedError: "connection refused; is it running?",
        socket.gaierror: "its name is not known",
        http.client.RemoteDisconnected: "it closed the connection",
        http.client.IncompleteRead: "it closed the connection",
        ConnectionError: "it closed the connection",
        http.client.HTTPException: "it does not speak HTTP there",
    }
)


class ServerAway(errors.ExporterError):
    """The server at {server} cannot be reached: {reason}"""

    code = "server_away"


class NotExporter(errors.ExporterError):
    """{server} does not answer as an Exporter server does: {reason}"""

    code = "not_exporter"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """`data` of the envelope, None where it is what the `etag` of the request stood for; `retry_after` in seconds."""

    data: Document | None
    etag: str | None
    retry_after: int | None


class _AsItIs(HTTPErrorProcessor):
    """Hands over whatever was answered. A redirect is not followed: it would carry the token elsewhere."""

    def http_response(self, request: Request, response: Any) -> Any:
        del request
        return response

    https_response = http_response


class Client:
    """One server and one token. Methods raise ServerAway, NotExporter or the error that the server tells."""

    def __init__(self, server: str, token: str) -> None:
        """Take `server` as `server_url` gives it."""
        self.server = server
        self._token = token
        self._opener = build_opener(_AsItIs)

    def get(self, path: str, *, etag: str | None = None) -> Answer:
        with self._answer("GET", path, headers={"If-None-Match": etag} if etag else {}) as answer:
            fresh = answer.status != NOT_MODIFIED
            return Answer(
                data=self._data(answer.read()) if fresh else None,
                etag=answer.headers.get("ETag"),
                retry_after=_seconds(answer.headers.get("Retry-After")),
            )

    def data(self, path: str, **query: object) -> Document:
        return self.get(f"{path}?{urlencode(query)}" if query else path).data or {}

    def send(self, method: str, path: str, body: Document | None = None) -> Document:
        with self._answer(method, path, body=body) as answer:
            return self._data(answer.read())

    def blocks(self, path: str) -> Iterator[bytes]:
        """Give a body piece by piece. It may end too early without a word: whoever knows the size checks it."""
        with self._answer("GET", path, onward=True) as answer:
            while block := answer.read(BLOCK_BYTES):
                yield block

    @contextmanager
    def _answer(
        self,
        method: str,
        path: str,
        *,
        body: Document | None = None,
        headers: Mapping[str, str] | None = None,
        onward: bool = False,
    ) -> Iterator[http.client.HTTPResponse]:
        """Give an answer of success, or a 304; a connection that breaks while it is read is ServerAway too.

        `onward` goes where the server says that the file is.
        """
        request = Request(  # noqa: S310 - `server_url` lets http and https pass, nothing else
            f"{self.server}{API}/{path}",
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={
                "Authorization": f"Bearer {self._token}",
                "Accept": "*/*",
                "Content-Type": "application/json",
                "User-Agent": f"exporter/{__version__}",
                **(headers or {}),
            },
        )
        try:
            with ExitStack() as opened:
                answer = opened.enter_context(self._opener.open(request, timeout=TIMEOUT_SECONDS))
                if onward and (elsewhere := _elsewhere(answer)):
                    answer = opened.enter_context(self._opener.open(elsewhere, timeout=TIMEOUT_SECONDS))
                if answer.status >= http.HTTPStatus.MULTIPLE_CHOICES and answer.status != NOT_MODIFIED:
                    raise self._refusal(answer)
                yield answer
        except (OSError, http.client.HTTPException) as exc:
            raise ServerAway(server=self.server, reason=_reason(exc)) from exc

    def _data(self, body: bytes) -> Document:
        data = self._envelope(body, "its answer is not the expected JSON").get("data")
        if not isinstance(data, dict):
            raise NotExporter(server=self.server, reason="its answer holds no data")
        return data

    def _refusal(self, answer: http.client.HTTPResponse) -> errors.ExporterError:
        if location := answer.headers.get("Location"):
            return NotExporter(server=self.server, reason=f"it sends on to {location}; name that server")
        told = self._envelope(answer.read(), f"status {answer.status}").get("error")
        if isinstance(told, dict):
            return errors.Invalid(told)
        if later := LATER.get(answer.status):
            return later(str(told), retry_after=_seconds(answer.headers.get("Retry-After")) or 1)
        return KINDS.get(answer.status, errors.ExporterError)(str(told))

    def _envelope(self, body: bytes, otherwise: str) -> Document:
        try:
            value = json.loads(body)
        except ValueError:
            value = None
        if not isinstance(value, dict) or "success" not in value:
            raise NotExporter(server=self.server, reason=otherwise)
        return value


def _elsewhere(answer: http.client.HTTPResponse) -> Request | None:
    """Give the request for a file that lies in a bucket, without the token: its address alone opens it.

    A redirect that names the file by its ETag is Exporter's own; others are not followed.
    """
    location = answer.headers.get("Location", "")
    ours = answer.status == http.HTTPStatus.FOUND and "ETag" in answer.headers
    if not ours or urlsplit(location).scheme not in {"http", "https"}:
        return None
    return Request(location, headers={"User-Agent": f"exporter/{__version__}"})  # noqa: S310 - looked at above


def server_url(text: str) -> str:
    """Give `scheme://host[:port][/prefix]` of an address as people copy it. Raises ValueError with a sentence."""
    parts = urlsplit(text.strip())
    sound = parts.scheme in {"http", "https"} and parts.hostname and not (parts.query or parts.fragment)
    if not sound or parts.username is not None or not text.strip().isprintable() or " " in text.strip():
        raise ValueError(f"{text!r} is not of the form http://host:port or https://host")
    parts.port  # noqa: B018 - raises ValueError where it is no number of a port
    path = parts.path.rstrip("/").removesuffix("/api/v1").removesuffix("/data-tools").rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path}"


def _seconds(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None


def _reason(fault: object) -> str:
    """Say in a few words why there is no connection."""
    if isinstance(fault, URLError):
        return _reason(fault.reason)
    if isinstance(fault, ssl.SSLCertVerificationError):
        return f"its TLS certificate is not trusted: {fault.verify_message}"
    return next((words for kind, words in REASONS.items() if isinstance(fault, kind)), str(fault))
