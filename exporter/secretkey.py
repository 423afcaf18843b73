"""The secret key that an instance folder keeps, and its change in steps that a crash may interrupt anywhere.

While a change is under way the old key lies beside the new one, so that whatever either encrypted can be read.
"""

import os
import secrets
from pathlib import Path

KEY, PREVIOUS = "secret_key", "secret_key.previous"
KEY_BYTES = 48


def kept(folder: Path) -> str:
    """Read the key, or make it; two processes that start at once end up with the same one."""
    path = folder / KEY
    if not path.exists():
        fresh = _written(path.with_name(f"{KEY}.{os.getpid()}"), secrets.token_urlsafe(KEY_BYTES))
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return _read(path)


def previous(folder: Path) -> str | None:
    """Read the key that was replaced, as long as its change is not complete."""
    path = folder / PREVIOUS
    return _read(path) if path.exists() else None


def is_kept(folder: Path, key: str) -> bool:
    """Tell whether the key in use is the folder's, and not one from a variable or a file of settings."""
    path = folder / KEY
    return path.exists() and _read(path) == key


def replace(folder: Path) -> str:
    """Lay a new key down and keep the old one beside it."""
    old = _written(folder / f"{PREVIOUS}.{os.getpid()}", kept(folder))
    old.replace(folder / PREVIOUS)
    _settle(folder)
    new = _written(folder / f"{KEY}.{os.getpid()}", secrets.token_urlsafe(KEY_BYTES))
    new.replace(folder / KEY)
    _settle(folder)
    return kept(folder)


def forget_previous(folder: Path) -> None:
    (folder / PREVIOUS).unlink(missing_ok=True)
    _settle(folder)


def _read(path: Path) -> str:
    return path.read_text(encoding="ascii").strip()


def _written(path: Path, key: str) -> Path:
    path.unlink(missing_ok=True)  # of a process that died here under the same number
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(key)
        file.flush()
        os.fsync(file.fileno())
    return path


def _settle(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
