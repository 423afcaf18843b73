"""What apsw raises, said in our own words."""

from collections.abc import Callable

import apsw

from exporter.failures import (
    DiskFull,
    ExportFailed,
    QueryFailed,
    SourceBusy,
    SourceCorrupt,
    SourceRefused,
    SourceUnavailable,
)

CANNOT_OPEN = (
    "the file cannot be opened; the server must be able to read it and, in WAL mode, to write to its folder"
)
NEEDS_RECOVERY = (
    "the program that wrote it stopped half way; open it once with that program, so that it is put in order"
)


_FAILURES: tuple[tuple[type[apsw.Error], Callable[[str], ExportFailed]], ...] = (
    (apsw.BusyError, lambda text: SourceBusy(reason=text)),
    (apsw.LockedError, lambda text: SourceBusy(reason=text)),
    (apsw.CorruptError, lambda text: SourceCorrupt(reason=text)),
    (apsw.NotADBError, lambda _: SourceRefused(reason="the file is not a SQLite database")),
    (apsw.CantOpenError, lambda _: SourceRefused(reason=CANNOT_OPEN)),
    (apsw.PermissionsError, lambda _: SourceRefused(reason=CANNOT_OPEN)),
    (apsw.ReadOnlyError, lambda _: SourceRefused(reason=NEEDS_RECOVERY)),
    (apsw.IOError, lambda text: SourceUnavailable(reason=text)),
    (apsw.FullError, lambda _: DiskFull()),
    (apsw.AuthError, lambda _: QueryFailed(reason="only plain SELECT statements are allowed")),
)


def failure(exc: apsw.Error) -> ExportFailed:
    """Translate any error but an interrupt, whose reason only a Watch knows."""
    make = next((make for kind, make in _FAILURES if isinstance(exc, kind)), None)
    return make(str(exc)) if make else QueryFailed(reason=str(exc))
