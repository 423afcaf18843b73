"""Several connections to one file that see the same snapshot.

A Source's transaction began long before its rows are read, and SQLite cannot begin another one at the same moment. But
it tells whether the file changed: a Witness looks before the transaction begins and again after further ones have
begun. If it saw no change, all of them see the same.
"""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock

from exporter.failures import ExportFailed
from exporter.sources.limits import SourceLimits
from exporter.sources.sqlite.session import Session

TRIES = 3

Seen = tuple[int, int, int]


class Witness:
    """A connection without a transaction; it tells whether the file is as it was, and the same one."""

    def __init__(self, path: Path, limits: SourceLimits) -> None:
        self._path = path
        self._session = Session(path, limits, holding=False)

    def look(self) -> Seen:
        """Raises ExportFailed where the file is locked or gone."""
        ((version,),) = self._session.rows("PRAGMA data_version")
        try:
            found = self._path.stat()
        except OSError:
            return version, 0, 0
        return version, found.st_dev, found.st_ino

    def close(self) -> None:
        self._session.close()


class Snapshot:
    """A Source's own session, and companions of it for as long as the file has not changed since.

    A file that changes, or that a writer is about to change, gets no companions: nobody waits for them.
    """

    def __init__(self, path: Path, limits: SourceLimits) -> None:
        self._path = path
        self._impatient = replace(limits, busy_timeout=0.0)
        self._count = limits.parallel_reads if limits.parallel_reads > 1 else 0
        self._witness: Witness | None = None
        self._seen: Seen | None = None
        self._companions: list[Session] = []
        self._changing = Lock()
        try:
            self.session = self._begin(limits)
        except BaseException:
            self._release_witness()
            raise

    def companions(self) -> list[Session]:
        """Open `parallel_reads` further sessions, or none. They are closed by `dismiss` or with the snapshot."""
        opened: list[Session] = []
        if self._witness is None:
            return opened
        try:
            while len(opened) < self._count:
                opened.append(Session(self._path, self._impatient, watch=self.session.watch))
            unchanged = self._witness.look() == self._seen
        except ExportFailed:
            unchanged = False
        with self._changing:
            self._companions += opened
        if unchanged:
            return opened
        self.dismiss(opened)
        return []

    def dismiss(self, sessions: list[Session]) -> None:
        with self._changing:
            for session in sessions:
                session.close()
                self._companions.remove(session)

    def interrupt(self) -> None:
        self.session.interrupt()
        with self._changing:
            for session in self._companions:
                session.stop()

    def close(self) -> None:
        self.dismiss(list(self._companions))
        self._release_witness()
        self.session.close()

    def _release_witness(self) -> None:
        if self._witness is not None:
            self._witness.close()

    def _begin(self, limits: SourceLimits) -> Session:
        for _ in range(TRIES if self._count else 0):
            before = self._look()
            session = Session(self._path, limits)
            if before is None or before == self._look():
                self._seen = before
                return session
            session.close()
        return Session(self._path, limits)

    def _look(self) -> Seen | None:
        with suppress(ExportFailed):
            if self._witness is None:
                self._witness = Witness(self._path, self._impatient)
            return self._witness.look()
        return None
