"""What an installation allows its datasources to reach."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class SourceLimits:
    """All times are seconds.

    Relative SQLite paths start at `instance`. `forbidden_files` are the server's own databases. `postgres_hosts` are
    compared without regard to case; None allows any host. `busy_timeout` is how long a locked SQLite file is tried.
    `parallel_reads` is how many connections may read one table's parts at once.
    """

    instance: Path
    sqlite_roots: tuple[Path, ...]
    forbidden_files: frozenset[Path] = frozenset()
    postgres_hosts: frozenset[str] | None = None
    statement_timeout: float = 3600.0
    connect_timeout: float = 10.0
    busy_timeout: float = 5.0
    parallel_reads: int = 2
