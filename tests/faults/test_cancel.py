"""A cancel that was accepted is final, whenever it comes."""

import pytest

from tests.faults.probes import holding

BEFORE_THE_ROW = [
    "after_claim", "staging", "batch", "before_finish", "written", "before_fsync", "before_rename", "after_rename",
    "before_complete",
]  # fmt: skip


def body(source, table="numbers", **more):
    return {"datasource": source, "format": "csv", "filters": {"table": table}, **more}


def let_go(client, services, job_id):
    """Wait until the worker has let go, and hold the job to its cancel."""
    assert services.engine.stop(grace=30)
    job = client.job(job_id)
    assert (job["status"], job["stopped_at"] is not None) == ("cancelled", True), job
    assert [attempt["outcome"] for attempt in job["attempts"]] == ["cancelled"] * len(job["attempts"])
    services.sweeper.sweep()
    assert services.artifacts.keys() == services.artifacts.staged() == set()


@pytest.mark.parametrize("place", BEFORE_THE_ROW)
def test_a_cancel_at_any_point_before_the_row_is_written_wins(admin, source, services, place):
    with holding(place) as hold:
        job_id = admin.post("exports/", body(source)).json["data"]["id"]
        hold.wait()
        assert admin.post(f"exports/{job_id}/cancel/").status_code == 200
        hold.go()
        let_go(admin, services, job_id)


def test_a_cancel_after_the_row_was_written_is_too_late(admin, source, services):
    with holding("after_complete") as hold:
        job_id = admin.post("exports/", body(source)).json["data"]["id"]
        hold.wait()
        assert admin.post(f"exports/{job_id}/cancel/").status_code == 409
        hold.go()
        assert len(admin.file(admin.until(job_id, "completed"))) > 0


def test_a_pending_job_is_cancelled_once_and_only_by_its_own_user(
    admin, make_app, stranger, source, services
):
    with holding("after_claim") as hold:
        first = admin.post("exports/", body(source)).json["data"]["id"]
        second = admin.post("exports/", body(source)).json["data"]["id"]
        hold.wait()
        third = admin.post("exports/", body(source)).json["data"]["id"]
        assert stranger.post(f"exports/{third}/cancel/").status_code == 404
        told = admin.post(f"exports/{third}/cancel/")
        if told.status_code == 200:
            assert admin.post(f"exports/{third}/cancel/").status_code == 409
        hold.go()
        for job_id in (first, second):
            admin.until(job_id, "completed")
            assert admin.post(f"exports/{job_id}/cancel/").status_code == 409


def test_a_query_that_gives_no_row_is_stopped_in_the_database(admin, source, services):
    stuck = body(source, "endless", filters={"table": "endless", "where_conditions": [
        {"column": "n", "operator": "<", "value": 0}]})  # fmt: skip
    with holding("staging") as hold:
        job_id = admin.post("exports/", stuck).json["data"]["id"]
        hold.wait()
    admin.post(f"exports/{job_id}/cancel/")
    let_go(admin, services, job_id)


@pytest.mark.parametrize("ends", ["cancel", "stop"])
def test_waiting_for_a_further_attempt_ends_at_once(admin, source, services, monkeypatch, ends):
    from exporter.failures import SourceBusy
    from exporter.jobs import runner
    from tests.faults.probes import doing, eventually, raising

    monkeypatch.setattr(runner, "BACKOFF_SECONDS", 3600.0)
    monkeypatch.setattr(runner, "MOST_BACKOFF_SECONDS", 3600.0)
    with doing("batch", raising(SourceBusy(reason="for a test"))):
        job_id = admin.post("exports/", body(source)).json["data"]["id"]
        eventually(lambda: admin.job(job_id)["attempt"] == 2)
        assert admin.job(job_id)["status"] == "processing"
        if ends == "cancel":
            assert admin.post(f"exports/{job_id}/cancel/").status_code == 200
        assert services.engine.stop(grace=0 if ends == "stop" else 30)
    assert admin.job(job_id)["status"] == {"cancel": "cancelled", "stop": "pending"}[ends]
