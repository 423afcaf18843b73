"""A copy of a SQLite file that is read in its place, so that the file's owner need not wait for the reading.

SQLite's backup goes in steps and holds its lock for the length of one. A file that is written to before the last step
is copied anew; how often, is bounded.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from exporter.failures import DiskFull, SourceBusy, StoreFailed
from exporter.sources.base import Scratch
from exporter.sources.sqlite.session import Session
from exporter.sources.sqlite.stillness import stamp

STEP_BYTES = 2 << 20
TRIES = 10
OFTEN = "it is written more often than a copy of it can be made; in WAL mode it would need none"


def copy(session: Session, path: Path, scratch: Scratch) -> None:
    """Copy the file at `path`, which `session` has open without a transaction. Raises ExportFailed, or as `check`."""
    for _ in range(TRIES):
        if _copied(session, path, scratch):
            return
    raise SourceBusy(reason=OFTEN)


def _copied(session: Session, path: Path, scratch: Scratch) -> bool:
    """Copy once; say whether the file stayed as it was all the while."""
    before = stamp(path)
    scratch.check(before.size if before is not None else 0)
    pages = max(1, STEP_BYTES // session.page_bytes)
    with _target(scratch.path) as target, session.copying_to(target) as backup:
        while not backup.step(pages):
            scratch.check(backup.remaining * session.page_bytes)
            session.watch.check()
            if stamp(path) != before:
                return False
    return stamp(path) == before


@contextmanager
def _target(path: Path) -> Iterator[apsw.Connection]:
    """Open a new database that nobody else may read and that no crash need spare."""
    try:
        path.unlink(missing_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    except (OSError, apsw.CantOpenError) as exc:
        raise StoreFailed(reason=f"the copy of the database cannot be made: {exc}") from exc
    try:
        connection.execute("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF")
        yield connection
    except apsw.FullError as exc:
        raise DiskFull from exc
    finally:
        connection.close(True)
