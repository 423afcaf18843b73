"""Reading ahead: one thread keeps a source a bounded number of bytes ahead of the writer.

It asks for the next piece only while there is room, so that it never holds one that nobody waits for. Pieces come
out in order, and what ended the reading comes out behind the last of them.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

MAX_PIECES = 4
MAX_BYTES = 8 << 20
THREAD = "exporter-reader"

T = TypeVar("T")


@contextmanager
def reading_ahead(
    pieces: Iterable[T],
    *,
    size: Callable[[T], int],
    interrupt: Callable[[], None],
    again: tuple[type[Exception], ...] = (),
) -> Iterator[Iterator[T]]:
    """Give the pieces while a thread fetches the next ones; it has ended when the block has.

    A block that fails while the thread still reads calls `interrupt`, which must soon end a fetch; not so where it
    fails with one of `again`, after which the source is read once more.
    """
    ahead = _Ahead(pieces, size)
    try:
        yield ahead.taken()
    except BaseException as exc:
        ahead.stop()
        if not ahead.ended and not isinstance(exc, again):
            interrupt()
        raise
    finally:
        ahead.stop()
        ahead.join()


class _Ahead(Generic[T]):
    def __init__(self, pieces: Iterable[T], size: Callable[[T], int]) -> None:
        self._pieces = pieces
        self._size = size
        self._held: deque[tuple[T, int]] = deque()
        self._bytes = 0
        self._stopped = False
        self._failure: BaseException | None = None
        self._changed = threading.Condition()
        self.ended = False
        self._thread = threading.Thread(target=self._run, name=THREAD, daemon=True)
        self._thread.start()

    def taken(self) -> Iterator[T]:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._held or self.ended)
                if not self._held:
                    break
                piece, size = self._held.popleft()
                self._bytes -= size
                self._changed.notify_all()
            yield piece
            del piece  # while the next one is waited for, nobody needs it
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Fetch nothing more, and forget what was fetched."""
        with self._changed:
            self._stopped = True
            self._held.clear()
            self._changed.notify_all()

    def join(self) -> None:
        self._thread.join()
        self._failure = None  # it would hold the frames that it passed through

    def _run(self) -> None:
        try:
            self._fetch()
        except BaseException as exc:  # noqa: BLE001 - it goes on in the thread that takes the pieces
            self._failure = exc
        finally:
            with self._changed:
                self.ended = True
                self._changed.notify_all()

    def _fetch(self) -> None:
        pieces = iter(self._pieces)
        while self._has_room():
            try:
                piece = next(pieces)
            except StopIteration:
                return
            size = self._size(piece)
            with self._changed:
                self._held.append((piece, size))
                self._bytes += size
                self._changed.notify_all()
            del piece

    def _has_room(self) -> bool:
        """Wait until there is room; False once nothing more is wanted."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopped or (self._bytes < MAX_BYTES and len(self._held) < MAX_PIECES)
            )
            return not self._stopped
