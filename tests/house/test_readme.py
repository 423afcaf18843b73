"""The commands under "Start your own" in the README, run one after another as they stand there."""

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import apsw
import openpyxl
import pytest

from tests.server import DEADLINE_SECONDS, Server

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("## Start your own")[2].partition("\n## ")[0]
SETTING_UP, EXPORTING, CURL = re.findall(r"^```\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
PASSWORD = "…"  # as the page spells it
CRM = "postgresql://reader:secret@db.example:5432/crm"


class Reader:
    """Somebody who types what the page says, on a machine with other folders and another port."""

    def __init__(self, folder, crm):
        self.folder = (
            folder / "desk"
        )  # not beside an instance called exporter, which Python would take for a package
        self.folder.mkdir()
        self.places = {"/srv": str(folder), ".venv/bin/exporter": f"{sys.executable} -m exporter", CRM: crm}
        self.server = Server(folder / "exporter", EXPORTER_SQLITE_ROOTS=str(folder / "data"))

    def types(self, command):
        for there, here in self.places.items():
            command = command.replace(there, here)
        answer = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", command], input=f"{PASSWORD}\n", cwd=self.folder, env=self.server.environ,
            capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False,
        )  # fmt: skip
        assert answer.returncode == 0, (command, answer.stdout, answer.stderr)
        return answer.stdout


@pytest.fixture
def reader(tmp_path, postgres_database):
    (tmp_path / "data").mkdir()
    orders = apsw.Connection(str(tmp_path / "data" / "sales.db"))
    orders.execute("CREATE TABLE orders (id INTEGER, total REAL)")
    orders.executemany("INSERT INTO orders VALUES (?, ?)", [(1, 99.5), (2, 100.0), (3, 250.25)])
    orders.close()
    reader = Reader(tmp_path, postgres_database)
    yield reader
    if reader.server.process is not None:
        reader.server.kill()


def lines(block):
    return block.replace("\\\n", " ").strip().splitlines()


@pytest.mark.postgres
@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_whoever_types_what_the_readme_says_has_an_export_in_the_end(reader):
    exports, *commands, serve = lines(SETTING_UP)
    settings = dict(re.findall(r"EXPORTER_(\w+)=(\S+)", exports))
    assert settings == {"INSTANCE_PATH": "/srv/exporter", "SQLITE_ROOTS": "/srv/data"}
    assert re.match(r"\.venv/bin/exporter serve +# (http://127\.0\.0\.1:8000/data-tools/)$", serve)
    for command in commands:
        reader.types(command)
    reader.server.start()
    reader.places["http://127.0.0.1:8000"] = reader.server.url

    reader.types(EXPORTING)
    rows = list(openpyxl.load_workbook(reader.folder / "big.xlsx").active.values)
    assert rows == [("id", "total"), (2, 100), (3, 250.25)]

    listed = reader.types(".venv/bin/exporter datasources list --json")
    reader.places["<id>"] = next(
        each["id"] for each in json.loads(listed)["datasources"] if each["name"] == "sales"
    )
    log_in, create, show, download = lines(CURL)
    assert json.loads(reader.types(log_in))["success"]
    reader.places["<job id>"] = json.loads(reader.types(create))["data"]["id"]
    deadline = time.monotonic() + DEADLINE_SECONDS
    while (job := json.loads(reader.types(show))["data"])["status"] != "completed":
        assert time.monotonic() < deadline, job
    reader.types(download)
    (file,) = reader.folder.glob("*.csv")
    assert file.read_text() == '"id","total"\n1,99.5\n2,100.0\n3,250.25\n'
