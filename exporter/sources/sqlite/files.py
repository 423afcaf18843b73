"""Which files may be opened as a SQLite source.

Only `stat` looks at a file here: opening and closing it would drop the locks that SQLite holds on it.
"""

import os
import stat
import time
from collections.abc import Hashable
from pathlib import Path
from typing import NoReturn

from exporter.failures import SourceRefused
from exporter.sources.limits import SourceLimits

WRITERS_WAIT = (
    "Programs that write to this database wait while an export reads it, because it is not in WAL mode."
    " Its owner can change that with PRAGMA journal_mode=WAL; or set snapshot_copy on this datasource:"
    " each export then reads a copy."
)
SETTLED_SECONDS = 2.0  # longer than the grain of any file system's time stamps


def checked_file(path: Path, limits: SourceLimits) -> Path:
    """Give the real path of an allowed regular file. Raises SourceRefused."""
    try:
        real = (limits.instance / path).resolve()
    except (OSError, RuntimeError):
        _refuse(path, "cannot be followed")
    if not any(real.is_relative_to(root.resolve()) for root in limits.sqlite_roots):
        _refuse(path, "is outside the folders that SQLITE_ROOTS allows")
    found = _stat(real, path)
    if stat.S_ISDIR(found.st_mode):
        _refuse(path, "is a folder")
    if not stat.S_ISREG(found.st_mode):
        _refuse(path, "is not a regular file")
    if any(_same(real, found, own) for own in limits.forbidden_files):
        _refuse(path, "is the server's own database")
    return real


def proof_of(real: Path) -> Hashable | None:
    """Give what changes with whatever is written to the database; None where it was written to a moment ago.

    Every commit writes to the file or to one of its logs, which moves a time stamp, unless the last one is so fresh
    that the next may fall on the same. Nothing that a program sets by hand moves the time of change back.
    """
    files = (real, real.with_name(f"{real.name}-wal"), real.with_name(f"{real.name}-journal"))
    stamps = [_stamp(each) for each in files]
    fresh = (time.time() - SETTLED_SECONDS) * 1e9
    if any(stamp is not None and max(stamp[-2:]) > fresh for stamp in stamps):
        return None
    return (str(real), *stamps)


def _stamp(path: Path) -> tuple[int, ...] | None:
    """Give identity, size and times of a file; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _stat(real: Path, path: Path) -> os.stat_result:
    try:
        return real.stat()
    except FileNotFoundError:
        _refuse(path, "does not exist")
    except OSError as exc:
        _refuse(path, f"cannot be reached ({exc.strerror})")


def _same(real: Path, found: os.stat_result, own: Path) -> bool:
    """Compare by name and, for hard links, by what the name leads to."""
    if real == own.resolve():
        return True
    try:
        return os.path.samestat(found, own.stat())
    except OSError:
        return False


def _refuse(path: Path, what: str) -> NoReturn:
    raise SourceRefused(reason=f"the file {path.name!r} {what}")
