"""A file as an answer: whole or one range, cheap for the server, inert in a browser."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from itertools import product
from typing import BinaryIO, cast
from urllib.parse import quote

from flask import Response, request

from exporter.errors import RangeUnsatisfiable
from exporter.formats import registry
from exporter.formats.base import FormatEntry

BLOCK_BYTES = 256 * 1024
DECIDING_OPTIONS = ("compression", "layout", "encoding")  # what a file's media type depends on


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """What is handed out: `etag` is the file's sha256."""

    size: int
    etag: str
    name: str
    content_type: str

    @property
    def disposition(self) -> str:
        plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%;' else "_" for c in self.name)
        return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(self.name, safe='')}"

    @property
    def headers(self) -> dict[str, str]:
        return {
            "ETag": f'"{self.etag}"',
            "Accept-Ranges": "bytes",
            "Cache-Control": "private, no-store",
            "Content-Disposition": self.disposition,
            "Content-Security-Policy": "sandbox; default-src 'none'",
            "X-Content-Type-Options": "nosniff",
        }


@dataclass(frozen=True, kw_only=True)
class Window:
    """The part of a file that is sent, in bytes."""

    start: int
    length: int


def file_response(file: BinaryIO, what: Attachment) -> Response:
    """Answer with `file`, obeying If-None-Match, If-Range and Range. Raises RangeUnsatisfiable, StoreAway.

    A range is a seeked file in the server's own file wrapper: a generator would hold a server thread for as long
    as a slow client takes.
    """
    try:
        return _answer(file, what)
    except BaseException:
        file.close()
        raise


def unchanged(what: Attachment) -> bool:
    """Tell whether the client has this very file already."""
    return request.if_none_match.contains_weak(what.etag)


def _answer(file: BinaryIO, what: Attachment) -> Response:
    if unchanged(what):
        file.close()
        return Response(status=304, headers=what.headers)
    window = _window(what.size, what.etag)
    part = window or Window(start=0, length=what.size)
    body = _body(file, part)
    response = Response(body, headers=what.headers, content_type=what.content_type, direct_passthrough=True)
    response.headers["Content-Length"] = str(part.length)
    if window is not None:
        response.status_code = 206
        end = part.start + part.length - 1
        response.headers["Content-Range"] = f"bytes {part.start}-{end}/{what.size}"
    return response


def media_types() -> tuple[str, ...]:
    """Give the media type of every kind of file that there is."""
    found = (kind for entry in registry.FORMATS.values() for kind in _media_types(entry))
    return tuple(dict.fromkeys(found))


def _media_types(entry: FormatEntry) -> Iterator[str]:
    known = entry.options().fields
    words = {name: known[name].validators[0].choices for name in DECIDING_OPTIONS if name in known}  # type: ignore[attr-defined]
    for chosen in product(*words.values()):
        yield entry.content_type(dict(zip(words, chosen, strict=True))).partition(";")[0]


def _window(size: int, etag: str) -> Window | None:
    """Give the one range asked for, or None for the whole file: several ranges may be answered with all of it."""
    asked = request.range
    if request.headers.get("Range", "").replace(" ", "") == "bytes=-0":  # the last none of the bytes
        raise RangeUnsatisfiable(size=size)
    if asked is None or asked.units != "bytes" or len(asked.ranges) != 1:
        return None
    if "If-Range" in request.headers and request.if_range.etag != etag:
        return None
    first, _ = asked.ranges[0]
    found = (max(0, size + first), size) if first < 0 < size else asked.range_for_length(size)
    if found is None:
        raise RangeUnsatisfiable(size=size)
    start, stop = found
    return Window(start=start, length=stop - start)


def _body(file: BinaryIO, part: Window) -> "Iterator[bytes]":
    file.seek(part.start)
    wrapper = request.environ.get("wsgi.file_wrapper")
    if request.method == "HEAD":
        file.close()
        return iter(())
    if not _on_disk(file):
        cast("BufferedReader", file).peek(1)  # a bucket that does not answer is told before the first byte
    elif wrapper is not None:
        wrapped: Iterator[bytes] = wrapper(file, BLOCK_BYTES)
        return wrapped
    return _blocks(file, part.length)


def _on_disk(file: BinaryIO) -> bool:
    """Tell whether a server may read it in the thread that all connections share."""
    try:
        file.fileno()
    except OSError:
        return False
    return True


def _blocks(file: BinaryIO, length: int) -> Iterator[bytes]:
    """Serve from a bucket, or under a server without a file wrapper."""
    with file:
        while length > 0 and (block := file.read(min(BLOCK_BYTES, length))):
            length -= len(block)
            yield block
