"""Our side: a throw-away installation, and real jobs in it, each in a fresh process."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import child
from bench.case import Pair
from bench.data import Place

GIVEN = "a password for the bench\n"
OPTIONS: dict[str, dict[str, Any]] = {"json": {"layout": "lines"}}


class ExportFailed(Exception):
    """One of our own jobs did not complete."""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """`run` is the whole process; `seconds` go from the first job's start to the last one's completion."""

    run: child.Run
    seconds: float
    files: tuple[Path, ...]
    jobs: tuple[dict[str, Any], ...]


class Installation:
    """An instance folder with an admin; every database that is exported from becomes a datasource of it."""

    def __init__(self, folder: Path, roots: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self.environ = {
            "EXPORTER_INSTANCE_PATH": str(folder),
            "EXPORTER_SQLITE_ROOTS": str(roots),
            "EXPORTER_MIN_FREE_BYTES": "0",
            **settings,
        }
        self._datasources: dict[str, str] = {}
        self.command("init")
        self.command("users", "create", "bench", "--admin")

    def command(self, *arguments: str) -> str:
        """Run one command of `exporter`. Raises ChildFailed."""
        return child.run(child.module("exporter", *arguments), environ=self.environ, given=GIVEN).printed

    def seed(self, count: int, *, users: int = 0) -> None:
        """Put finished jobs into the app database; with `users`, nothing but jobs of so many that wait."""
        child.run(child.module("bench.seed", str(count), str(users)), environ=self.environ)

    def datasource(self, place: Place) -> str:
        """Give the id of the datasource for a place."""
        if place.url not in self._datasources:
            name = f"{place.source}-{len(self._datasources)}"
            added = self.command("datasources", "add", name, place.exporter_url, "--json")
            self._datasources[place.url] = json.loads(added)["id"]
        return self._datasources[place.url]

    def export(self, place: Place, pair: Pair, *, count: int = 1) -> Exported:
        """Export `count` times at once, in one fresh process. Raises ExportFailed or ChildFailed."""
        request = {
            "datasource": self.datasource(place),
            "format": pair.format,
            "filters": {"table": pair.table},
            "options": OPTIONS.get(pair.format, {}),
            "count": count,
        }
        run = child.run(child.module("bench.export", json.dumps(request)), environ=self.environ)
        told = json.loads(run.printed)
        for job in told["jobs"]:
            if job["status"] != "completed":
                raise ExportFailed(f"{pair.name}: {job['status']}: {job['error_message']}")
        files = tuple(self.folder / "exports" / name for name in told["artifacts"])
        return Exported(run=run, seconds=told["seconds"], files=files, jobs=tuple(told["jobs"]))


@contextmanager
def installation(folder: Path, **settings: str) -> Iterator[Installation]:
    """Make an installation under the data folder, and remove it. Settings are named as in the environment."""
    made = Path(tempfile.mkdtemp(prefix="instance-", dir=folder))
    try:
        yield Installation(made, folder, settings)
    finally:
        shutil.rmtree(made, ignore_errors=True)
