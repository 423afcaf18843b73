"""The same commands against a server elsewhere: a real `exporter serve` process."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from uuid import uuid4

import pytest
from click.testing import CliRunner

from exporter import create_app
from exporter.cli.main import cli
from exporter.settings import load_settings
from tests.conftest import close, make_shop
from tests.server import DEADLINE_SECONDS, INTERRUPTIBLE, serving


@pytest.fixture(scope="module")
def served(tmp_path_factory, migrated):
    folder = tmp_path_factory.mktemp("served") / "instance"
    shutil.copytree(migrated, folder)
    make_shop(folder / "shop.db")
    with serving(folder, folder / "shop.db") as server:
        server.instance = folder
        yield server


@pytest.fixture
def remote(served):
    """Run one command against the server; nothing of this machine's installation may be touched."""

    def untouchable():
        pytest.fail("the command built an app")

    def run(*arguments, code=0, server=None, token=None):
        variables = {"EXPORTER_SERVER": server or served.url, "EXPORTER_TOKEN": token or served.token}
        answer = CliRunner().invoke(
            cli, list(arguments), obj=untouchable, env=variables, catch_exceptions=False
        )
        assert answer.exit_code == code, answer.output
        if code == 1:
            assert len(answer.stderr.strip().splitlines()) == 1
        return answer

    return run


@pytest.fixture
def here(served):
    """Run one command in the server's own installation."""

    def run(*arguments, code=0):
        apps = []

        def build():
            apps.append(create_app(load_settings({"EXPORTER_INSTANCE_PATH": str(served.instance)})))
            return apps[-1]

        unset = {"EXPORTER_SERVER": None, "EXPORTER_TOKEN": None}
        answer = CliRunner().invoke(cli, list(arguments), obj=build, env=unset, catch_exceptions=False)
        for app in apps:
            close(app)
        assert answer.exit_code == code, answer.output
        return answer

    return run


def test_an_export_is_made_watched_and_downloaded(remote, tmp_path):
    target = tmp_path / "out.csv"
    answer = remote(
        "exports", "create", "shop", "--table", "orders", "--columns", "id,city", "--where", "amount >= 10",
        "--order-by", "id DESC", "--option", "delimiter=tab", "--option", "line_terminator=crlf",
        "--output", str(target),
    )  # fmt: skip
    assert "3 rows" in answer.output
    assert target.read_bytes().count(b"\r\n") == 4
    with target.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file, delimiter="\t"))
    assert rows == [["id", "city"], ["4", "東京"], ["2", "Köln"], ["1", "Zürich"]]
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


def test_a_receipt_from_the_server_verifies_the_download(remote, tmp_path):
    job = json.loads(remote("exports", "create", "shop", "--table", "orders", "--json").output)
    assert (job["status"], job["row_count"]) == ("completed", 4)
    remote("exports", "download", job["id"], "--output", str(tmp_path))
    remote("exports", "receipt", job["id"], "--output", str(tmp_path / "r.json"))
    assert json.loads(remote("exports", "receipt", job["id"]).output)["job_id"] == job["id"]
    whole = remote("verify", str(tmp_path / job["file_name"]), "--receipt", str(tmp_path / "r.json"))
    assert "whole, 4 rows" in whole.output
    remote("exports", "delete", job["id"])
    assert "Export job not found" in remote("exports", "show", job["id"], code=1).stderr


def test_an_export_without_output_says_how_to_fetch_it_from_there(remote, served):
    output = remote("exports", "create", "shop", "--table", "orders").output
    assert f" --server {served.url}" in output


def test_both_ways_print_the_same_documents(remote, here, tmp_path):
    path = tmp_path / "t.json"
    path.write_text(json.dumps({"format": "json", "filters": {"table": "orders", "limit": 2}}))
    remote("templates", "create", "two", "--file", str(path), "--description", "Two rows")
    job = json.loads(remote("exports", "create", "shop", "--template", "two", "--json").output)
    assert job["template"]["name"] == "two"
    for arguments in (
        ("exports", "list"),
        ("exports", "list", "--status", "completed", "--limit", "1"),
        ("exports", "show", job["id"]),
        ("exports", "receipt", job["id"]),
        ("templates", "list"),
        ("templates", "show", "two"),
        ("datasources", "list"),
        ("datasources", "tables", "shop"),
        ("datasources", "columns", "shop", "--table", "orders"),
    ):
        there = json.loads(remote(*arguments, "--json").output)
        assert there == json.loads(here(*arguments, "--json").output), arguments
        assert remote(*arguments).output == here(*arguments).output, arguments
    remote("templates", "delete", "two")


def test_a_datasource_is_added_tested_and_removed(remote, served):
    remote("datasources", "add", "again", f"sqlite:///{served.instance / 'shop.db'}", "--shared")
    assert json.loads(remote("datasources", "test", "again", "--json").output)["server_version"]
    assert "again answers: sqlite 3." in remote("datasources", "test", "again").output
    remote("datasources", "remove", "again")
    assert "no datasource named 'again'" in remote("datasources", "test", "again", code=1).stderr
    gone = remote("datasources", "add", "away", "sqlite:///away.db", code=1)
    assert "url: " in gone.stderr


def test_a_long_list_comes_in_pages(remote, served):
    for _ in range(3):
        remote("exports", "create", "shop", "--table", "numbers")
    document = json.loads(remote("exports", "list", "--limit", "2", "--json").output)
    assert len(document["export_jobs"]) == 2
    assert document["pagination"]["has_next"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--columns", "id,nope"), "filters.columns"),
        (("--limit", "0"), "filters.limit"),
        (("--option", "colour=red"), "options.colour"),
        (("--where", "id ~ 3"), "--where"),
        (("--template", "nope"), "Export template not found"),
        (("--template", str(uuid4())), "Export template not found"),
    ],
)
def test_a_faulty_export_is_told_as_here(remote, here, arguments, told):
    command = ("exports", "create", "shop", "--table", "orders", *arguments)
    there = remote(*command, code=1).stderr
    assert told in there
    assert there == here(*command, code=1).stderr


def test_names_that_there_are_not_are_told(remote):
    assert "no datasource named 'nope'" in remote("exports", "create", "nope", code=1).stderr
    assert "Export job not found" in remote("exports", "show", str(uuid4()), code=1).stderr
    assert "Export job not found" in remote("exports", "show", "..", code=1).stderr
    assert "Export job not found" in remote("exports", "download", "", code=1).stderr


def test_a_wrong_token_is_one_line(remote):
    answer = remote("exports", "list", token="exp_nonsense", code=1)
    assert "This token is unknown, expired or revoked" in answer.stderr


def test_a_server_that_is_away_is_one_line(remote):
    assert "connection refused" in remote("exports", "list", server="http://127.0.0.1:1", code=1).stderr
    unknown = remote("exports", "list", server="http://nowhere.invalid", code=1)
    assert "its name is not known" in unknown.stderr


def test_an_address_is_taken_as_people_copy_it(remote, served):
    for address in ("/", "/data-tools/", "/data-tools/api/v1/", "/data-tools/api/v1"):
        remote("datasources", "list", server=served.url + address)


@pytest.mark.parametrize(
    "address", ["localhost:8000", "ftp://x", "http://", "http://x:port", "http://a:b@x", "http://x/?q=1"]
)
def test_a_wrong_address_is_wrong_usage(remote, address):
    assert "--server" in remote("exports", "list", server=address, code=2).stderr


def test_a_server_needs_a_token_and_a_token_has_its_user(remote, served):
    lone = CliRunner().invoke(
        cli,
        ["exports", "--server", served.url, "list"],
        env={"EXPORTER_TOKEN": None, "EXPORTER_SERVER": None},
    )
    assert lone.exit_code == 2
    assert "EXPORTER_TOKEN" in lone.stderr
    assert "--user" in remote("exports", "list", "--user", "ada", code=2).stderr


def test_the_server_may_be_named_before_the_verb_or_behind_it(served):
    bare = {"EXPORTER_SERVER": "http://127.0.0.1:1", "EXPORTER_TOKEN": "exp_other"}
    named = ["--server", served.url, "--token", served.token]
    for arguments in (["exports", *named, "list"], ["exports", "list", *named]):
        answer = CliRunner().invoke(cli, arguments, env=bare)
        assert answer.exit_code == 0, answer.output


def test_a_process_leaves_no_trace_on_its_own_machine(served, tmp_path):
    instance = tmp_path / "instance"
    environ = {
        **os.environ,
        "EXPORTER_SERVER": served.url,
        "EXPORTER_TOKEN": served.token,
        "EXPORTER_INSTANCE_PATH": str(instance),
    }
    code = (
        "import sys; from exporter.__main__ import main\ntry: main()\nfinally:"
        " print([m for m in ('flask', 'sqlalchemy', 'pyarrow') if m in sys.modules], file=sys.stderr)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, "datasources", "list"],
        env=environ, cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "shop" in answer.stdout
    assert answer.stderr.strip() == "[]"
    assert list(tmp_path.iterdir()) == []


def running_job(served) -> str:
    """The id of the job that another process's command started."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (jobs := served.data("GET", "exports/?status=processing")["export_jobs"]):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return jobs[0]["id"]


def test_ctrl_c_cancels_the_job(served, tmp_path):
    environ = {**os.environ, "EXPORTER_SERVER": served.url, "EXPORTER_TOKEN": served.token}
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTIBLE, "exports", "create", "shop", "--table", "endless",
         "--output", str(tmp_path / "x.csv")],
        env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    job_id = running_job(served)
    process.send_signal(signal.SIGINT)
    _, log = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 1
    assert log.strip() == "Error: Interrupted: the export was cancelled"
    assert served.data("GET", f"exports/{job_id}/")["status"] == "cancelled"
    assert list(tmp_path.iterdir()) == []


def test_a_job_that_somebody_cancels_ends_the_watching(served):
    environ = {**os.environ, "EXPORTER_SERVER": served.url, "EXPORTER_TOKEN": served.token}
    process = subprocess.Popen(
        [sys.executable, "-m", "exporter", "exports", "create", "shop", "--table", "endless", "--json"],
        env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    job_id = running_job(served)
    served.data("POST", f"exports/{job_id}/cancel/")
    output, log = process.communicate(timeout=DEADLINE_SECONDS)
    assert process.returncode == 1
    assert log.strip() == "Error: The export was cancelled"
    assert json.loads(output)["status"] == "cancelled"


def test_a_cancelled_job_runs_again(remote, served, tmp_path):
    job_id = served.submit("endless")
    cancelled = json.loads(remote("exports", "cancel", job_id, "--json").output)
    assert cancelled["status"] == "cancelled"
    again = remote("exports", "cancel", job_id, code=1)
    assert "Cannot cancel a job that is cancelled" in again.stderr
    pending = remote("exports", "download", job_id, "--output", str(tmp_path / "x"), code=1)
    assert "only a completed job has a file" in pending.stderr
    assert list(tmp_path.iterdir()) == []
