"""What goes wrong inside an export ends its job truthfully, leaves no file and frees the slot."""

import gc
import os
import sys

import pytest

from exporter.failures import ExportFailed
from exporter.formats.csv import CsvWriter
from exporter.model import Role
from exporter.sources.sqlite.reader import SqliteReader
from exporter.sources.sqlite.tablebatches import TableBatches
from exporter.sources.sqlite.textreader import TableText
from exporter.storage.staging import StoreLimits
from exporter.storage.transitions import JobTransitions
from tests.conftest import sign_in

# Rows go from the database to the file as text, or as batches where the options ask for more.
WAYS = pytest.mark.parametrize("options", [{}, {"quoting": "all"}], ids=["text", "batches"])


def body(source, table="orders", **more):
    return {"datasource": source, "format": "csv", "filters": {"table": table}, **more}


def fails(client, services, request, code):
    job = client.export(request)
    assert (job["status"], job["error_code"]) == ("failed", code), job
    assert job["attempts"][-1]["error_message"] == job["error_message"]
    assert services.artifacts.staged() == services.artifacts.keys() == set()
    return job


@WAYS
@pytest.mark.parametrize("fault", [MemoryError, SystemExit, RuntimeError, KeyboardInterrupt])
def test_whatever_a_writer_raises_fails_the_job_and_the_next_one_runs(
    admin, source, services, monkeypatch, fault, options
):
    with monkeypatch.context() as patch:
        for way in ("write", "write_text"):
            patch.setattr(CsvWriter, way, lambda *_: (_ for _ in ()).throw(fault("inside")))
        job = fails(admin, services, body(source, options=options), "internal")
    assert "inside" not in job["error_message"]
    assert admin.export(body(source))["status"] == "completed"
    assert admin.post(f"exports/{job['id']}/retry/").status_code == 200
    assert admin.until(job["id"], "completed")["attempt"] == 2


@WAYS
def test_rows_that_got_lost_on_the_way_fail_the_job(admin, source, services, monkeypatch, options):
    monkeypatch.setattr(CsvWriter, "rows_in_file", property(lambda _: 3))
    job = fails(admin, services, body(source, options=options), "receipt_mismatch")
    assert "4 rows were read but" in job["error_message"]


@pytest.mark.parametrize(
    ("reader", "pieces", "options", "filters"),
    [
        (TableText, "chunks", {}, {}),
        (TableBatches, "batches", {"quoting": "all"}, {}),
        (SqliteReader, "batches", {"quoting": "all"}, {"limit": 4}),
    ],
)
def test_a_database_that_breaks_off_never_makes_a_short_file(
    admin, source, services, monkeypatch, reader, pieces, options, filters
):
    whole = getattr(reader, pieces)

    def broken(reader):
        yield from whole(reader)
        raise ExportFailed("the line went dead")

    monkeypatch.setattr(reader, pieces, broken)
    request = body(source, options=options, filters={"table": "orders", **filters})
    job = fails(admin, services, request, "export_failed")
    assert job["error_message"] == "the line went dead"


def test_a_file_past_the_servers_limit_fails_with_the_limit(make_app, shop):
    app = make_app(EXPORTER_MAX_FILE_BYTES="100")
    services = app.extensions["exporter"]
    client = sign_in(app, services, "ada", Role.ADMIN)
    source = client.post("datasources/", {"name": "s", "url": f"sqlite:///{shop}"}).json["data"]["id"]
    job = fails(client, services, body(source, "numbers"), "file_too_large")
    assert "100 bytes" in job["error_message"]


@pytest.mark.parametrize("format_name", ["csv", "json", "parquet", "excel"])
def test_no_format_makes_a_noise_when_its_last_byte_is_one_too_many(
    admin, source, services, monkeypatch, format_name
):
    request = body(source, "numbers", format=format_name)
    job = admin.export(request)
    admin.delete(f"exports/{job['id']}/")
    limits = StoreLimits(min_free=0, max_file=job["file_size"] - 1)
    monkeypatch.setattr(services.artifacts, "_limits", limits)
    ignored = []
    monkeypatch.setattr(sys, "unraisablehook", ignored.append)
    fails(admin, services, request, "file_too_large")
    assert services.engine.stop(grace=10)
    gc.collect()
    assert ignored == []


def test_a_disk_that_is_full_at_the_last_moment_fails_the_job(admin, source, services, monkeypatch):
    def full(_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("exporter.storage.artifacts.os.fsync", full)
    job = fails(admin, services, body(source), "disk_full")
    assert "disk is full" in job["error_message"]


def test_a_value_that_the_format_cannot_hold_is_named_with_its_row(admin, source, services):
    request = body(source, options={"encoding": "iso-8859-1"})
    job = fails(admin, services, request, "value_unwritable")
    assert "Row 4" in job["error_message"]
    assert "'city'" in job["error_message"]


def test_a_cancel_between_the_last_byte_and_the_row_wins(admin, source, services, monkeypatch):
    complete = JobTransitions.complete

    def cancelled_just_before(self, job_id, *arguments, **options):
        assert self.cancel(job_id, now=services.clock())
        return complete(self, job_id, *arguments, **options)

    monkeypatch.setattr(JobTransitions, "complete", cancelled_just_before)
    job = admin.export(body(source))
    assert job["status"] == "cancelled"
    assert services.engine.stop(grace=10)
    assert admin.job(job["id"])["stopped_at"]
    assert services.artifacts.keys() == set()


def test_an_answer_lost_after_the_row_was_written_does_not_cost_the_file(
    admin, source, services, monkeypatch
):
    from exporter.errors import DatabaseAway

    complete, calls = JobTransitions.complete, []

    def answer_lost(self, *arguments, **options):
        done = complete(self, *arguments, **options)
        calls.append(done)
        if len(calls) == 1:
            raise DatabaseAway(retry_after=1)
        return done

    monkeypatch.setattr(JobTransitions, "complete", answer_lost)
    job = admin.export(body(source))
    assert services.engine.stop(grace=10)
    assert calls == [True, False]
    assert len(admin.file(admin.job(job["id"]))) == job["file_size"]


def test_expired_files_are_swept_and_told_as_410(admin, source, services):
    from datetime import timedelta

    job = admin.export(body(source))
    services.sweeper._clock = lambda: services.clock() + timedelta(days=8)
    assert len(services.sweeper.sweep(dry_run=True).expired) == 1
    assert admin.get(f"exports/{job['id']}/download/").status_code == 200
    services.sweeper.sweep()
    assert services.artifacts.keys() == set()
    answer = admin.get(f"exports/{job['id']}/download/")
    assert answer.status_code == 410
    assert admin.job(job["id"])["allowed_actions"] == ["delete"]
