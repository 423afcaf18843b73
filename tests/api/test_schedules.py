"""Recurring exports: what an owner says of them, and that each due time makes one job."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from exporter.errors import DatabaseAway
from exporter.schedules.scheduler import Scheduler
from tests.conftest import PASSWORD

MORNING = datetime(2026, 1, 5, 5, 59, tzinfo=UTC)
CRON = "0 6 * * *"
DAYS = timedelta(days=3)


@pytest.fixture
def body(source):
    export = {"datasource": source, "format": "csv", "filters": {"table": "orders"}}
    return {"name": "orders", "cron": CRON, "export": export}


@pytest.fixture
def clock(services):
    """The scheduler ticks by hand: its own thread looks at the real clock."""
    services.engine.close_door()
    with time_machine.travel(MORNING, tick=False) as traveller:
        yield traveller


@pytest.fixture
def schedule(clock, admin, body):
    created = admin.post("schedules/", body)
    assert created.status_code == 201, created.json
    assert created.headers["Location"].endswith(f"schedules/{created.json['data']['id']}/")
    return created.json["data"]


def sign_in_again(client, name="ada"):
    """A session ends after hours."""
    assert client.post("auth/login/", {"username": name, "password": PASSWORD}).status_code == 200


def runs(client, schedule):
    return client.get(f"schedules/{schedule['id']}/runs/").json["data"]["runs"]


def jobs(client):
    return client.get("exports/").json["data"]["export_jobs"]


def test_a_schedule_says_when_it_runs_next(schedule):
    assert schedule["next_run_at"] == "2026-01-05T06:00:00Z"
    assert (schedule["timezone"], schedule["catch_up"], schedule["is_active"]) == ("UTC", False, True)


def test_a_due_time_makes_one_job_of_its_owner(schedule, services, admin, clock):
    services.scheduler.tick()
    assert not jobs(admin)
    clock.shift(timedelta(minutes=1))
    services.scheduler.tick()
    services.scheduler.tick()
    (job,) = jobs(admin)
    assert (job["name"], job["format"], job["datasource"]["name"]) == ("orders", "csv", "shop")
    (run,) = runs(admin, schedule)
    assert run == {
        "due_at": "2026-01-05T06:00:00Z",
        "started_at": "2026-01-05T06:00:00Z",
        "outcome": "submitted",
        "job": {"id": job["id"], "status": "pending"},
        "error": None,
    }
    assert admin.get(f"schedules/{schedule['id']}/").json["data"]["next_run_at"] == "2026-01-06T06:00:00Z"


def test_a_crash_between_the_job_and_the_note_makes_no_second_job(
    schedule, services, admin, clock, monkeypatch
):
    def die(*_, **__):
        raise DatabaseAway(retry_after=1)

    clock.shift(timedelta(minutes=1))
    with monkeypatch.context() as patch:
        patch.setattr(services.scheduler._store, "advance", die)
        with pytest.raises(DatabaseAway):
            services.scheduler.tick()
    assert len(jobs(admin)) == 1
    services.scheduler.tick()
    assert len(jobs(admin)) == 1
    assert [run["outcome"] for run in runs(admin, schedule)] == ["submitted"]


def test_of_two_servers_that_see_the_same_time_one_makes_the_job(
    schedule, services, admin, clock, monkeypatch
):
    clock.shift(timedelta(minutes=1))
    first = services.scheduler
    second = Scheduler(first._store, first._jobs, first._user_of, first._clock)
    due, meet = first._store.due, first._meet

    def both(*arguments):
        second.tick()
        meet(*arguments)

    monkeypatch.setattr(first, "_meet", both)
    first.tick()
    assert len(due(datetime.now(UTC))) == 0
    assert len(jobs(admin)) == len(runs(admin, schedule)) == 1


def test_what_was_missed_is_noted_and_not_made(schedule, services, admin, clock):
    clock.shift(DAYS)
    sign_in_again(admin)
    services.scheduler.tick()
    assert not jobs(admin)
    (run,) = runs(admin, schedule)
    assert (run["outcome"], run["job"], run["due_at"]) == ("missed", None, "2026-01-05T06:00:00Z")
    assert "did not run" in run["error"]


def test_what_was_missed_is_made_once_where_the_schedule_catches_up(schedule, services, admin, clock):
    admin.patch(f"schedules/{schedule['id']}/", {"catch_up": True})
    clock.shift(DAYS)
    sign_in_again(admin)
    services.scheduler.tick()
    services.scheduler.tick()
    assert len(jobs(admin)) == 1
    assert admin.get(f"schedules/{schedule['id']}/").json["data"]["next_run_at"] == "2026-01-08T06:00:00Z"


def test_a_request_that_no_longer_fits_is_noted_with_its_reason_and_tried_again(
    schedule, services, admin, clock, source
):
    services.datasources.delete(services.datasources.get(source, None))
    clock.shift(timedelta(minutes=1))
    services.scheduler.tick()
    (run,) = runs(admin, schedule)
    assert run["outcome"] == "refused"
    assert "datasource" in run["error"]
    clock.shift(timedelta(days=1))
    sign_in_again(admin)
    services.scheduler.tick()
    assert len(runs(admin, schedule)) == 2


def test_a_full_queue_leaves_it_due(schedule, make_app, admin, services, clock, monkeypatch):
    clock.shift(timedelta(minutes=1))
    with monkeypatch.context() as patch:
        patch.setattr(services.jobs._artifacts, "has_room", lambda: False)
        services.scheduler.tick()
    assert not runs(admin, schedule)
    services.scheduler.tick()
    assert [run["outcome"] for run in runs(admin, schedule)] == ["submitted"]


def test_a_schedule_that_rests_is_not_due(schedule, services, admin, clock):
    rested = admin.patch(f"schedules/{schedule['id']}/", {"is_active": False}).json["data"]
    assert rested["next_run_at"] is None
    clock.shift(timedelta(days=1))
    sign_in_again(admin)
    services.scheduler.tick()
    assert not jobs(admin)


def test_a_disabled_owner_makes_no_jobs(clock, services, admin, member, source, body):
    made = member.post("schedules/", body).json["data"]
    services.accounts.disable(services.accounts.user_named("max"))
    clock.shift(timedelta(minutes=1))
    services.scheduler.tick()
    (run,) = runs(admin, made)
    assert (run["outcome"], run["job"]) == ("refused", None)


def test_a_run_out_of_turn_is_a_job_and_a_line_of_the_list(schedule, admin):
    job = admin.post(f"schedules/{schedule['id']}/run/")
    assert job.status_code == 201
    assert [run["job"]["id"] for run in runs(admin, schedule)] == [job.json["data"]["id"]]


def test_all_faults_are_told_at_once(admin, source):
    export = {"datasource": source, "format": "odd", "filters": {"table": "orders", "columns": ["nope"]}}
    answer = admin.post(
        "schedules/", {"name": "", "cron": "x", "timezone": "Mars/Base", "export": export, "odd": 1}
    )
    assert answer.status_code == 400
    faults = answer.json["error"]
    assert set(faults) == {"name", "cron", "timezone", "export", "odd"}
    assert set(faults["export"]) == {"format", "filters"}
    never = admin.post("schedules/", {"name": "n", "cron": "0 0 31 2 *", "export": export}).json["error"]
    assert "never" in never["cron"]


def test_a_name_is_unique_for_its_owner(schedule, admin, body):
    assert admin.post("schedules/", body).status_code == 409


def test_somebody_elses_schedule_does_not_exist(schedule, member, admin):
    for call in (member.get, member.delete):
        assert call(f"schedules/{schedule['id']}/").status_code == 404
    assert member.post(f"schedules/{schedule['id']}/run/").status_code == 404
    assert member.get("schedules/").json["data"]["schedules"] == []
    assert len(admin.get("schedules/").json["data"]["schedules"]) == 1


def test_a_deleted_schedule_leaves_its_jobs(schedule, admin):
    admin.post(f"schedules/{schedule['id']}/run/")
    assert admin.delete(f"schedules/{schedule['id']}/").status_code == 200
    assert len(jobs(admin)) == 1
    assert admin.get(f"schedules/{schedule['id']}/").status_code == 404


def test_a_schedule_whose_request_no_longer_fits_can_rest_but_not_run_again(
    schedule, services, admin, source
):
    services.datasources.delete(services.datasources.get(source, None))
    path = f"schedules/{schedule['id']}/"
    assert admin.patch(path, {"is_active": False}).json["data"]["next_run_at"] is None
    assert "export" in admin.patch(path, {"is_active": True}).json["error"]
    changed = {**schedule["export"], "format": "json"}
    assert "export" in admin.patch(path, {"is_active": False, "export": changed}).json["error"]
