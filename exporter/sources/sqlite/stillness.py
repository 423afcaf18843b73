"""Whether a file was overwritten under its reader, by a program that knows nothing of SQLite's locks.

While a read transaction is open nobody who keeps to the locks writes to a file with a rollback journal. To one in WAL
mode nobody does either if the log was empty when the transaction began: it then holds the lock that a checkpoint needs.
With a log that is not empty a checkpoint may write at any time, so nothing can be said.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Stamp:
    """What the system says of a file."""

    device: int
    inode: int
    size: int
    modified: int


def stamp(path: Path) -> Stamp | None:
    """Look at a file without opening it; None where it cannot be reached."""
    try:
        found = path.stat()
    except OSError:
        return None
    return Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


class Stillness:
    """Remembers a file as it was when a transaction on it had just begun."""

    def __init__(self, path: Path, *, in_wal_mode: bool) -> None:
        self._path = path
        self._seen = stamp(path) if not in_wal_mode or _is_empty(path.with_name(f"{path.name}-wal")) else None

    @property
    def broken(self) -> bool:
        """Say whether the file was written to. One that was replaced is still read as it was, and nobody's now."""
        now = stamp(self._path)
        seen = self._seen
        if seen is None or now is None or (now.device, now.inode) != (seen.device, seen.inode):
            return False
        return now != seen


def _is_empty(path: Path) -> bool:
    try:
        return path.stat().st_size == 0
    except FileNotFoundError:
        return True
    except OSError:
        return False
