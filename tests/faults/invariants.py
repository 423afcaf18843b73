"""What must hold after every fault, once a server has come back: asked of the rows and the disk themselves."""

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.faults.lives import PROMISES


def check(folder: Path, source_digest: str) -> None:
    """Hold an instance to its promises. `source_digest` is the source's from before."""
    with closing(sqlite3.connect(folder / "instance" / "exporter.sqlite3")) as connection:
        connection.row_factory = sqlite3.Row
        jobs = {row["id"]: row for row in connection.execute("SELECT * FROM jobs")}
        attempts = list(connection.execute("SELECT * FROM attempts"))
        deliveries = list(connection.execute("SELECT * FROM webhook_deliveries"))
    store = folder / "instance" / "exports"
    completed_is_its_file(jobs.values(), store)
    nothing_is_left_over(jobs.values(), store)
    everything_has_ended(jobs.values(), attempts)
    one_file_at_most(jobs, attempts)
    every_end_is_told_and_no_other(jobs, deliveries)
    promises_were_kept(folder, jobs)
    assert digest(folder / "instance" / "shop.db") == source_digest, "the source was touched"


def completed_is_its_file(jobs, store):
    for job in jobs:
        assert job["artifact"] is None or job["status"] == "completed", dict(job)
        if job["artifact"] is not None:
            path = store / job["artifact"]
            assert path.stat().st_size == job["file_size"], dict(job)
            assert digest(path) == job["checksum"], dict(job)


def nothing_is_left_over(jobs, store):
    assert list((store / ".staged").iterdir()) == []
    found = {path.name for path in store.iterdir() if path.is_file()}
    assert found == {job["artifact"] for job in jobs if job["artifact"]}


def everything_has_ended(jobs, attempts):
    assert {job["status"] for job in jobs} <= {"completed", "failed", "cancelled"}
    assert [dict(job) for job in jobs if job["stopped_at"] is None] == []
    assert [dict(attempt) for attempt in attempts if attempt["ended_at"] is None] == []


def one_file_at_most(jobs, attempts):
    completed = [attempt["job_id"] for attempt in attempts if attempt["outcome"] == "completed"]
    assert sorted(completed) == sorted(job_id for job_id, job in jobs.items() if job["status"] == "completed")


def every_end_is_told_and_no_other(jobs, deliveries):
    """The cradle's webhook listens for every end; what was retried has ended more than once."""
    told = [(each["job_id"], each["event"]) for each in deliveries if each["job_id"] in jobs]
    ends = {(job_id, f"job.{job['status']}") for job_id, job in jobs.items()}
    assert ends <= set(told)
    completed = [job_id for job_id, event in told if event == "job.completed"]
    assert sorted(completed) == sorted(job_id for job_id, job in jobs.items() if job["status"] == "completed")


def promises_were_kept(folder, jobs):
    """A job whose creation was told exists until its deletion is asked for; an accepted cancel never completes."""
    last: dict[str, str] = {}
    for line in (folder / PROMISES).read_text().splitlines():
        word, job_id = line.split()
        last[job_id] = word
    for job_id, word in last.items():
        match word:
            case "deleted":
                assert job_id not in jobs
            case "deleting":
                pass  # it was asked and not answered: both are right
            case "cancelled":
                assert jobs[job_id]["status"] == "cancelled"
            case _:
                assert job_id in jobs


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
