"""The steps of the page for backup and restore, run as they stand there."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.postgres_server import execute, find_binaries
from tests.server import DEADLINE_SECONDS, Server

PAGE = (Path(__file__).parents[2] / "docs/operations.md").read_text(encoding="utf-8")
SECTION = PAGE.partition("### Backup and restore")[2].partition("\n### ")[0]
BACKUP, RESTORE, DUMP, LOAD = re.findall(r"^```bash\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
HERE = "postgresql://exporter@db.example/exporter"


@pytest.fixture
def follow(tmp_path):
    """Run steps of the page with the folders and databases of this test in the places of the page's."""

    def run(steps, environ, **places):
        (tmp_path / "backups").mkdir(exist_ok=True)
        places = {"/backups": tmp_path / "backups", "/srv": tmp_path, **places}
        for there, here in places.items():
            steps = steps.replace(there, str(here))
        programs = [str(Path(sys.executable).parent), str(find_binaries() or "")]
        answer = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", steps], capture_output=True, text=True, check=False,
            timeout=DEADLINE_SECONDS, env={**environ, "PATH": os.pathsep.join([*programs, os.environ["PATH"]])},
        )  # fmt: skip
        assert answer.returncode == 0, answer.stdout + answer.stderr
        return answer.stdout

    return run


@pytest.fixture
def server(tmp_path, instance, shop):
    """An installation in the place that the page calls /srv/exporter, its source outside of it."""
    shop.rename(tmp_path / "shop.db")
    instance.rename(tmp_path / "exporter")
    return Server(tmp_path / "exporter", EXPORTER_SQLITE_ROOTS=str(tmp_path))


def used(server, tmp_path):
    """Use the installation, and give the job that it ran."""
    for command, stdin in (
        (["users", "create", "ada", "--admin"], "pw\n"),
        (["datasources", "add", "shop", f"sqlite:///{tmp_path}/shop.db"], ""),
        (["exports", "create", "shop", "--table", "orders"], ""),
    ):
        answer = server.command(*command, stdin=stdin)
        assert answer.returncode == 0, answer.stderr
    return job(server)


def job(server):
    (found,) = json.loads(server.command("exports", "list", "--json").stdout)["export_jobs"]
    return found


def test_a_backup_with_its_files_is_restored_as_it_was(server, tmp_path, follow):
    before = used(server, tmp_path)
    follow(BACKUP, server.environ)
    told = follow(RESTORE, server.environ)
    assert "datasource shop: sqlite" in told
    assert job(server) == before
    got = server.command("exports", "download", before["id"], "--output", str(tmp_path / "again.csv"))
    assert got.returncode == 0, got.stderr
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in (tmp_path / "exporter").iterdir()}
    assert (modes["secret_key"], modes["exporter.sqlite3"]) == ("0o600", "0o600")


@pytest.mark.postgres
def test_a_dump_and_the_key_are_the_installation_again(server, tmp_path, follow, postgres_database):
    binaries = find_binaries()
    if not shutil.which("pg_dump", path=f"{binaries}{os.pathsep}{os.environ['PATH']}"):
        pytest.skip("needs pg_dump")
    server.environ["EXPORTER_DATABASE_URL"] = postgres_database
    assert server.command("init").returncode == 0
    before = used(server, tmp_path)
    again = f"{postgres_database}_again"
    execute(postgres_database, f"CREATE DATABASE {again.rpartition('/')[2]}")
    try:
        places = {f"{HERE}_again": again, HERE: postgres_database}
        follow(DUMP, server.environ, **places)
        (tmp_path / "exporter" / "secret_key").unlink()
        assert "datasource shop: sqlite" in follow(LOAD, server.environ, **places)
        server.environ["EXPORTER_DATABASE_URL"] = again
        assert job(server) == before
    finally:
        execute(postgres_database, f"DROP DATABASE {again.rpartition('/')[2]} WITH (FORCE)")
