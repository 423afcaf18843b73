"""exporter schedules: here, and on a server elsewhere by the same documents."""

import json

from exporter.blueprints.schemas import ScheduleRequestSchema


def test_a_schedule_is_made_shown_rested_and_deleted(run, shop_registered):
    told = run("schedules", "create", "nightly", "shop", "--table", "orders", "--cron", "0 2 * * *").output
    assert "runs next at" in told
    listed = json.loads(run("schedules", "list", "--json").output)["schedules"]
    assert [(each["name"], each["owner"], each["export"]["format"]) for each in listed] == [
        ("nightly", "ada", "csv")
    ]
    assert "It has not run yet" in run("schedules", "show", "nightly").output
    run("schedules", "pause", "nightly")
    assert json.loads(run("schedules", "show", "nightly", "--json").output)["next_run_at"] is None
    run("schedules", "resume", "nightly")
    assert json.loads(run("schedules", "show", "nightly", "--json").output)["next_run_at"]
    run("schedules", "delete", "nightly")
    assert "no schedules yet" in run("schedules", "list").output
    run("schedules", "show", "nightly", code=1)


def test_a_wrong_line_is_one_line_on_standard_error(run, shop_registered):
    answer = run("schedules", "create", "n", "shop", "--table", "orders", "--cron", "often", code=1)
    assert "cron: Must be a cron line" in answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 1


def test_what_a_command_sends_is_what_the_api_takes(run, shop_registered):
    run("schedules", "create", "n", "shop", "--table", "orders", "--cron", "@daily", "--catch-up")
    schedule = json.loads(run("schedules", "show", "n", "--json").output)
    sent = {name: schedule[name] for name in ScheduleRequestSchema().fields}
    assert ScheduleRequestSchema().validate(sent) == {}
