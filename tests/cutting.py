"""A TCP proxy that cuts connections: what networks do to an upload."""

import socket
import threading
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit


class Cutter:
    """Stands before `endpoint`; cuts the first `times` connections that send more than `after` bytes."""

    def __init__(self, endpoint: str, *, after: int, times: int) -> None:
        place = urlsplit(endpoint)
        self._place = (place.hostname, place.port)
        self._after = after
        self._left = times
        self.cut = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        for end in self._ends:
            _shut(end)
        for thread in self._threads[1:]:
            thread.join()
        for end in (self._listener, *self._ends):
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                server = socket.create_connection(self._place)
                self._ends += [client, server]
                limit = self._after if self._left > 0 else None
                for ends in ((client, server, limit), (server, client, None)):
                    self._threads.append(threading.Thread(target=self._carry, args=ends))
                    self._threads[-1].start()

    def _carry(self, come: socket.socket, go: socket.socket, limit: int | None) -> None:
        carried = 0
        with suppress(OSError):
            while data := come.recv(65536):
                carried += len(data)
                if limit is not None and carried > limit and self._left > 0:
                    self._left -= 1
                    self.cut += 1
                    break
                go.sendall(data)
        _shut(come)
        _shut(go)


def _shut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
