"""exporter webhooks: here, and by the same documents that the API takes and gives."""

import json
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from exporter.blueprints.schemas import EVENTS, WebhookRequestSchema
from exporter.cli.webhooks import JOB_EVENTS, STATUSES
from exporter.outbox import DeliveryStatus
from tests.receiver import receiving
from tests.server import serving

HERE = {"WEBHOOK_HOSTS": "127.0.0.1"}


@pytest.fixture
def receiver():
    with receiving() as found:
        yield found


def test_a_webhook_is_made_tried_shown_rested_and_deleted(run, shop_registered, receiver):
    made = run("webhooks", "create", "hook", receiver.url, "--datasource", "shop", **HERE)
    secret = made.stdout.strip()
    assert secret.startswith("whsec_")
    assert "It arrived: status 204" in run("webhooks", "test", "hook", **HERE).output
    assert receiver.verified(secret)["type"] == "webhook.test"
    (listed,) = json.loads(run("webhooks", "list", "--json").output)["webhooks"]
    assert (listed["name"], listed["owner"], listed["events"]) == (
        "hook",
        "ada",
        ["job.completed", "job.failed"],
    )
    assert "hook" in run("webhooks", "list").output
    shown = run("webhooks", "show", "hook").output
    assert receiver.url in shown
    assert secret not in shown
    run("webhooks", "pause", "hook")
    assert json.loads(run("webhooks", "show", "hook", "--json").output)["is_active"] is False
    run("webhooks", "resume", "hook")
    run("webhooks", "delete", "hook")
    assert "no webhooks yet" in run("webhooks", "list").output
    run("webhooks", "show", "hook", code=1)


def test_what_a_command_ended_waits_for_a_server_and_can_be_queued_again(run, shop_registered, receiver):
    run("webhooks", "create", "hook", receiver.url, "--event", "job.completed", **HERE)
    run("exports", "create", "shop", "--table", "orders", **HERE)
    (waiting,) = json.loads(run("webhooks", "deliveries", "hook", "--json").output)["deliveries"]
    assert (waiting["event"], waiting["status"], waiting["attempt"]) == ("job.completed", "pending", 0)
    assert receiver.got == []
    assert "queued again" in run("webhooks", "redeliver", "hook", waiting["id"]).output
    assert waiting["id"] in run("webhooks", "deliveries", "hook", "--status", "pending").output
    assert "Nothing was sent" in run("webhooks", "deliveries", "hook", "--status", "failed").output
    run("webhooks", "redeliver", "hook", "nonsense", code=1)


def test_doctor_tells_what_was_sent_and_warns_of_what_has_waited_for_long(run, shop_registered, receiver):
    assert "webhooks" not in run("doctor").output
    run("webhooks", "create", "hook", receiver.url, "--event", "job.completed", **HERE)
    run("webhooks", "test", "hook", **HERE)
    run("exports", "create", "shop", "--table", "orders", **HERE)
    assert "ok    webhooks: 1 delivered, 1 pending\n" in run("doctor").output
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=16), tick=False):
        assert "warn  webhooks: 1 delivered, 1 pending; since 20" in run("doctor").output


def test_a_test_that_does_not_arrive_is_an_error_with_its_reason(run, shop_registered, receiver):
    run("webhooks", "create", "hook", receiver.url, **HERE)
    receiver.answers = [500]
    assert "did not arrive: status 500" in run("webhooks", "test", "hook", code=1, **HERE).stderr
    assert "refused" in run("webhooks", "test", "hook", code=1).stderr  # no longer listed
    assert "url:" in run("webhooks", "create", "other", receiver.url, code=1).stderr


def test_the_words_are_the_servers(run, shop_registered, receiver):
    assert JOB_EVENTS == EVENTS
    assert tuple(DeliveryStatus) == STATUSES
    made = json.loads(run("webhooks", "create", "hook", receiver.url, "--json", **HERE).output)
    sent = {name: made[name] for name in WebhookRequestSchema().fields}
    assert WebhookRequestSchema().validate(sent) == {}


def test_a_new_key_reads_the_webhooks(run, shop_registered, receiver):
    secret = run("webhooks", "create", "hook", receiver.url, **HERE).stdout.strip()
    assert "1 datasource URLs and 1 webhooks" in run("rotate-key").output
    run("webhooks", "test", "hook", **HERE)
    assert receiver.verified(secret)


def test_a_server_sends_what_waited_for_it_and_the_same_commands_reach_it(
    run, instance, shop, receiver, monkeypatch
):
    with serving(instance, shop) as server:
        monkeypatch.setenv("EXPORTER_SERVER", server.url)
        monkeypatch.setenv("EXPORTER_TOKEN", server.token)
        secret = run("webhooks", "create", "hook", receiver.url, "--datasource", "shop").stdout.strip()
        server.stop()
        monkeypatch.undo()
        run("exports", "create", "shop", "--table", "orders", **HERE)
        assert receiver.got == []
        server.start()
        receiver.wait(1)
        assert receiver.verified(secret)["type"] == "job.completed"
        monkeypatch.setenv("EXPORTER_SERVER", server.url)
        monkeypatch.setenv("EXPORTER_TOKEN", server.token)
        assert "arrived" in run("webhooks", "test", "hook").output
        listed = json.loads(run("webhooks", "deliveries", "hook", "--json").output)["deliveries"]
        first = next(each for each in listed if each["event"] == "job.completed")
        assert "queued again" in run("webhooks", "redeliver", "hook", first["id"]).output
        receiver.wait(3)
        assert receiver.got[2][0]["webhook-id"] == first["id"]
        run("webhooks", "redeliver", "hook", "../..", code=1)
        run("webhooks", "pause", "hook")
        run("webhooks", "delete", "hook")
        run("webhooks", "show", "hook", code=1)
