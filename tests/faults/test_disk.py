"""A disk that refuses: the job says so, nothing is left behind, and the server goes on."""

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from exporter.model import Role
from tests.conftest import sign_in
from tests.faults.lives import live
from tests.faults.probes import doing, raising
from tests.faults.test_kill_loop import come_back, rows

FORMATS = ["csv", "json", "parquet", "excel"]
FULL = OSError(28, "No space left on device")


def body(source, table="numbers", **more):
    return {"datasource": source, "format": "csv", "filters": {"table": table}, **more}


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_file_that_outgrows_what_the_system_allows_fails_as_disk_full(born, cradle, format_name):
    """RLIMIT_FSIZE, in a process of its own: the real system refuses, in the middle of a write."""
    folder = born()
    assert live(folder, f"outgrow {format_name}") == 0, (folder / "stderr").read_text()
    assert rows(folder, "SELECT status, error_code FROM jobs") == [("failed", "disk_full")]
    come_back(folder, cradle)


@pytest.fixture
def small_disk(instance):
    """A store on a file system of one megabyte."""
    store = instance / "exports"
    store.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(store)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root may mount a small file system")
    yield store
    subprocess.run(["umount", "-l", str(store)], check=True)


@pytest.fixture
def read_only(cradle, tmp_path):
    """The folder of a life whose instance no one may write to, with the database's log as a killed server leaves it."""
    place = tmp_path / "instance"
    shutil.copytree(cradle[0], place)
    with closing(sqlite3.connect(place / "exporter.sqlite3")) as connection:
        connection.execute("SELECT count(*) FROM jobs").fetchall()
        shutil.copytree(place, tmp_path / "killed")
    shutil.rmtree(place)
    (tmp_path / "killed").rename(place)
    for options in (["--bind"], ["-o", "remount,ro,bind"]):
        command = ["mount", *options, str(place), str(place)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("only root may mount a folder read-only")
    yield tmp_path
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_an_instance_that_cannot_be_written_to_is_told_in_a_line_and_by_doctor(read_only):
    def ran(*words):
        environ = {**os.environ, "EXPORTER_INSTANCE_PATH": str(read_only / "instance")}
        command = [sys.executable, "-m", "exporter", *words]
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)

    served = ran("serve", "--port", "0")
    assert (served.returncode, served.stderr.count("\n")) == (1, 1), served.stderr
    assert "The instance folder cannot be written to: Read-only file system" in served.stderr
    found = ran("doctor")
    assert found.returncode == 1
    assert "WRONG app database" in found.stdout
    assert "WRONG store" in found.stdout


def test_a_real_full_disk_is_told_and_the_next_small_export_fits(small_disk, make_app, shop):
    app = make_app(EXPORTER_MIN_FREE_BYTES="0")
    admin = sign_in(app, app.extensions["exporter"], "ada", Role.ADMIN)
    source = admin.post("datasources/", {"name": "s", "url": f"sqlite:///{shop}"}).json["data"]["id"]
    for format_name in FORMATS:
        job = admin.export(body(source, "endless", format=format_name))
        assert (job["status"], job["error_code"]) == ("failed", "disk_full"), job
        assert [path.name for path in small_disk.rglob("*")] == [".staged"]
    assert admin.export(body(source))["status"] == "completed"


@pytest.mark.parametrize(
    "place", ["staging", "batch", "before_finish", "before_fsync", "before_rename", "after_rename"]
)
@pytest.mark.parametrize("format_name", FORMATS)
def test_a_disk_that_is_full_at_any_point_fails_the_job_and_leaves_nothing(
    admin, source, services, place, format_name
):
    with doing(place, raising(FULL)):
        job = admin.export(body(source, format=format_name))
    assert (job["status"], job["error_code"]) == ("failed", "disk_full"), job
    assert services.artifacts.keys() == services.artifacts.staged() == set()
    assert admin.export(body(source, format=format_name))["status"] == "completed"


def test_a_disk_with_too_little_room_takes_no_new_job_and_stops_a_running_one(
    admin, source, services, monkeypatch
):
    from exporter.storage.staging import StoreLimits

    low = StoreLimits(min_free=2**62, max_file=None)
    with doing("after_claim", lambda: monkeypatch.setattr(services.artifacts, "_limits", low)):
        job = admin.export(body(source))
    assert (job["status"], job["error_code"]) == ("failed", "disk_full"), job
    answer = admin.post("exports/", body(source))
    assert (answer.status_code, "too little free disk" in answer.json["error"]) == (507, True)
