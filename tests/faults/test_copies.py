"""Exports that read a copy of a SQLite file: its owner works on, and the copy never outlives its attempt."""

import os
import shutil
from contextlib import closing

import apsw
import pytest

from exporter.jobs import runner
from exporter.sources.sqlite import copying
from exporter.storage.artifacts import StoreLimits
from tests.faults.probes import doing, holding


def body(source, **more):
    return {"datasource": source, "format": "json", "filters": {"table": "numbers"}, **more}


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(runner, "BACKOFF_SECONDS", 0.0)
    monkeypatch.setattr(copying, "STEP_BYTES", 4096)


@pytest.fixture
def copied(admin, shop):
    """The id of a datasource that is read from a copy."""
    request = {"name": "copied", "url": f"sqlite:///{shop}", "snapshot_copy": True}
    answer = admin.post("datasources/", request)
    assert answer.json["data"]["warnings"] == []
    assert answer.json["data"]["snapshot_copy"] is True
    return answer.json["data"]["id"]


def files(services):
    return services.artifacts.keys() | services.artifacts.staged()


def test_an_export_from_a_copy_says_so_and_leaves_no_copy(admin, copied, source, services):
    job = admin.export(body(copied))
    assert admin.get(f"exports/{job['id']}/receipt/").json["data"]["snapshot"]["copied"] is True
    assert files(services) == {f"{job['id']}-1"}
    direct = admin.export(body(source))
    assert admin.get(f"exports/{direct['id']}/receipt/").json["data"]["snapshot"]["copied"] is False
    assert admin.file(job) == admin.file(direct)


def test_the_owner_writes_while_the_export_reads_its_copy(admin, copied, shop):
    with holding("batch") as hold, closing(apsw.Connection(str(shop))) as owner:
        job_id = admin.post("exports/", body(copied)).json["data"]["id"]
        hold.wait()
        owner.execute("DELETE FROM numbers")
    assert admin.until(job_id, "completed")["row_count"] == 1000
    assert admin.export(body(copied))["row_count"] == 0


def test_a_cancel_ends_the_copying(admin, copied, services):
    with holding("copy_step") as hold:
        job_id = admin.post("exports/", body(copied)).json["data"]["id"]
        hold.wait()
        assert admin.post(f"exports/{job_id}/cancel/").status_code == 200
    assert services.engine.stop(grace=30)
    assert admin.job(job_id)["stopped_at"] is not None
    assert files(services) == set()


def test_a_copy_that_does_not_fit_the_disk_is_not_begun(admin, copied, services, monkeypatch, shop):
    free = services.artifacts.free_bytes()
    monkeypatch.setattr(services.artifacts, "free_bytes", lambda: free)
    tight = StoreLimits(min_free=free - shop.stat().st_size + 1, max_file=None)
    with doing("after_claim", lambda: monkeypatch.setattr(services.artifacts, "_limits", tight)) as reached:
        job = admin.export(body(copied))
    assert (job["status"], job["error_code"]) == ("failed", "disk_full"), job
    assert reached.count("copy_step") == 1
    assert files(services) == set()


def test_a_source_written_at_every_step_is_busy_in_the_end(admin, copied, shop, services):
    with closing(apsw.Connection(str(shop))) as owner:
        write = lambda: owner.execute("UPDATE numbers SET n = n + 1")  # noqa: E731 - one line says it
        with doing("copy_step", write, times=10**6):
            job = admin.export(body(copied))
    assert [attempt["error_code"] for attempt in job["attempts"]] == ["source_busy"] * 3
    assert files(services) == set()


def test_a_sweep_leaves_alone_a_copy_that_is_read_and_removes_one_of_nobody(admin, copied, services):
    with doing("batch", services.sweeper.sweep):
        job = admin.export(body(copied))
    assert job["status"] == "completed", job
    left = services.artifacts.scratch(f"{job['id']}-1")
    left.write_text("a worker was killed")
    assert services.sweeper.sweep().staged == (left.name,)
    assert not left.exists()


def test_only_a_sqlite_file_is_copied(admin):
    request = {"name": "crm", "url": "postgresql://nobody@127.0.0.1:1/none", "snapshot_copy": True}
    answer = admin.post("datasources/", request)
    assert (answer.status_code, list(answer.json["error"])) == (400, ["snapshot_copy"])


def test_a_preview_reads_the_file_itself(admin, copied, services):
    with doing("copy_step", lambda: None) as reached:
        assert admin.post(f"datasources/{copied}/preview/", {"table": "numbers"}).status_code == 200
    assert reached == []


@pytest.mark.parametrize("overwritten", [1, 99])
def test_a_file_overwritten_during_the_export_costs_an_attempt_and_at_last_the_job(
    admin, source, shop, services, tmp_path, overwritten
):
    other = tmp_path / "other.db"
    with closing(apsw.Connection(str(other))) as connection:
        connection.execute("CREATE TABLE numbers (n INTEGER); INSERT INTO numbers VALUES (7)")
    with doing("before_finish", lambda: shutil.copyfile(other, shop), times=overwritten):
        job = admin.export(body(source))
    seen = [attempt["error_code"] for attempt in job["attempts"]]
    if overwritten == 1:
        assert (seen, job["row_count"]) == (["source_overwritten", None], 1)
    else:
        assert (seen, job["status"]) == (["source_overwritten"] * 3, "failed")
        assert files(services) == set()


def test_damage_that_an_overwriting_did_is_called_that(admin, source, shop, services):
    """A file cut short under its reader looks damaged to SQLite."""
    fill = (
        "INSERT INTO numbers WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 400000)"
    )
    with closing(apsw.Connection(str(shop))) as connection:
        connection.execute(f"{fill} SELECT n FROM c")
    with doing("staging", lambda: os.truncate(shop, 8192)):
        job = admin.export(body(source))
    assert job["attempts"][0]["error_code"] == "source_overwritten", job
    assert files(services) == set()
