"""Figures for Prometheus, read back by its own parser."""

import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from prometheus_client.parser import text_string_to_metric_families

from exporter.model import Role
from exporter.version import __version__
from tests.conftest import sign_in
from tests.faults.probes import eventually
from tests.receiver import receiving

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


def figures(answer):
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_jobs_are_counted_by_status_and_slots_with_them(admin, source):
    body = {"datasource": source, "format": "csv", "filters": {"table": "orders"}}
    before = figures(admin.http.get("/metrics"))
    assert before["exporter_jobs", "completed"] == 0
    assert before["exporter_oldest_pending_seconds",] == 0
    admin.export(body)
    running = admin.post("exports/", {**body, "filters": {"table": "endless"}}).json["data"]["id"]
    admin.until(running, "processing")
    after = figures(admin.http.get("/metrics"))
    admin.post(f"exports/{running}/cancel/")
    assert after["exporter_jobs", "completed"] == 1
    assert after["exporter_jobs", "processing"] == 1
    assert after["exporter_slots_busy",] == 1
    assert after["exporter_slots",] == 2
    assert after["exporter_oldest_pending_seconds",] == 0


def test_the_oldest_pending_job_tells_how_long_it_waits(make_app, shop):
    app = make_app(EXPORTER_WORKERS="1")
    client = sign_in(app, app.extensions["exporter"], "ada", Role.ADMIN)
    source = client.post("datasources/", {"name": "s", "url": f"sqlite:///{shop}"}).json["data"]["id"]
    body = {"datasource": source, "format": "csv", "filters": {"table": "endless"}}
    running, *waiting = [client.post("exports/", body).json["data"]["id"] for _ in range(3)]
    client.until(running, "processing")
    queued = datetime.fromisoformat(client.job(waiting[0])["created_at"])
    with time_machine.travel(queued + timedelta(seconds=90), tick=False):
        found = figures(client.http.get("/metrics"))
        for job_id in (*waiting, running):
            assert client.post(f"exports/{job_id}/cancel/").status_code == 200
    assert found["exporter_jobs", "pending"] == 2
    assert 89 <= found["exporter_oldest_pending_seconds",] <= 90


def test_deliveries_of_webhooks_are_counted_and_the_oldest_that_waits_tells_how_long(make_app, shop):
    app = make_app(EXPORTER_WEBHOOK_HOSTS="127.0.0.1")
    client = sign_in(app, app.extensions["exporter"], "ada", Role.ADMIN)
    source = client.post("datasources/", {"name": "s", "url": f"sqlite:///{shop}"}).json["data"]["id"]
    with receiving() as receiver:
        hook = {"name": "hook", "url": receiver.url}
        made = client.post("webhooks/", hook).json["data"]
        client.export({"datasource": source, "format": "csv", "filters": {"table": "orders"}})
        receiver.wait(1)
        delivered = ("exporter_webhook_deliveries", "delivered")
        eventually(lambda: figures(client.http.get("/metrics"))[delivered] == 1)
        receiver.answers.append(500)
        client.export({"datasource": source, "format": "csv", "filters": {"table": "orders"}})
        receiver.wait(2)
        waiting = ("exporter_webhook_deliveries", "pending")
        eventually(lambda: figures(client.http.get("/metrics"))[waiting] == 1)
    queued = client.get(f"webhooks/{made['id']}/deliveries/").json["data"]["deliveries"][0]["created_at"]
    with time_machine.travel(datetime.fromisoformat(queued) + timedelta(seconds=25), tick=False):
        assert 24 <= figures(client.http.get("/metrics"))["exporter_oldest_delivery_seconds",] <= 25
        client.patch(f"webhooks/{made['id']}/", {"is_active": False})
        rests = figures(client.http.get("/metrics"))
    assert rests["exporter_oldest_delivery_seconds",] == 0
    assert (rests[waiting], rests[delivered]) == (1, 1)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1"])
def test_a_program_of_this_machine_needs_no_user(app, address):
    client = app.test_client()
    assert client.get("/metrics", environ_overrides={"REMOTE_ADDR": address}).status_code == 200


@pytest.mark.parametrize(
    ("address", "headers"),
    [("10.0.0.7", {}), ("2001:db8::1", {}), ("", {}), ("127.0.0.1", {"X-Forwarded-For": "10.0.0.7"})],
)
def test_anybody_else_needs_a_token(app, member, address, headers):
    client = app.test_client()
    place = {"REMOTE_ADDR": address}
    assert client.get("/metrics", headers=headers, environ_overrides=place).status_code == 401
    token = member.post("auth/tokens/", {"name": "prometheus"}).json["data"]["token"]
    signed = {**headers, "Authorization": f"Bearer {token}"}
    assert client.get("/metrics", headers=signed, environ_overrides=place).status_code == 200


def test_no_name_is_told(admin, source):
    text = admin.http.get("/metrics").text
    assert "ada" not in text
    assert "shop" not in text


def families(answer):
    """Give each metric's name as a query spells it, with the labels that were seen."""
    return {
        family.name + ("_total" if family.type == "counter" else ""): {
            name for sample in family.samples for name in sample.labels if name != "le"
        }
        for family in text_string_to_metric_families(answer.text)
    }


def test_the_figures_are_those_of_the_page(admin, source):
    admin.export({"datasource": source, "format": "csv", "filters": {"table": "orders"}})
    fails(admin, source)
    admin.get("exports/no-such-job/")
    rows = re.findall(
        r"^\| `((?:exporter|process)_[a-z_]+)`(?: \| |: )([^|]*)\|", OPERATIONS.read_text(), re.MULTILINE
    )
    told = {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}
    assert families(admin.http.get("/metrics")) == told


def fails(admin, source):
    body = {
        "datasource": source,
        "format": "csv",
        "filters": {"table": "orders"},
        "options": {"encoding": "iso-8859-1"},
    }
    assert admin.export(body)["error_code"] == "value_unwritable"


def test_an_attempt_counts_once_with_its_rows_bytes_and_wait(admin, source):
    job = admin.export({"datasource": source, "format": "json", "filters": {"table": "orders"}})
    fails(admin, source)
    found = figures(admin.http.get("/metrics"))
    assert found["exporter_attempt_seconds_count", "json", "completed"] == 1
    assert found["exporter_attempt_seconds_count", "csv", "failed"] == 1
    assert found["exporter_attempt_failures_total", "value_unwritable"] == 1
    assert found["exporter_rows_total", "json"] == 4
    assert found["exporter_bytes_total", "json"] == job["file_size"]
    assert found["exporter_queue_seconds_count",] == 2
    assert ("exporter_rows_total", "csv") not in found


def test_a_cancelled_attempt_counts_as_stopped_and_its_slot_is_free_again(admin, source, services):
    running = admin.post(
        "exports/", {"datasource": source, "format": "csv", "filters": {"table": "endless"}}
    ).json["data"]["id"]
    admin.until(running, "processing")
    admin.post(f"exports/{running}/cancel/")
    services.engine.stop(grace=30)
    found = figures(admin.http.get("/metrics"))
    assert found["exporter_attempt_seconds_count", "csv", "stopped"] == 1
    assert found["exporter_slots_busy",] == 0


def test_requests_are_counted_by_route_and_refusals_by_code(admin):
    for unknown in ("one", "two"):
        admin.get(f"exports/{unknown}/")
    admin.http.get("/nowhere/at-all")
    admin.http.open("/healthz", method="BREW")
    found = figures(admin.http.get("/metrics"))
    route = "/data-tools/api/v1/exports/<job_id>/"
    assert found["exporter_request_seconds_count", "GET", route, "404"] == 2
    assert found["exporter_refusals_total", "job_not_found"] == 2
    assert found["exporter_request_seconds_count", "GET", "none", "404"] == 1
    assert found["exporter_request_seconds_count", "other", "none", "405"] == 1


def test_the_buckets_of_a_histogram_add_up_to_its_count(app):
    client = app.test_client()
    client.get("/healthz")
    samples = [
        (float(sample.labels["le"]), sample.value)
        for family in text_string_to_metric_families(client.get("/metrics").text)
        for sample in family.samples
        if sample.name == "exporter_request_seconds_bucket"
    ]
    bounds, counts = zip(*samples, strict=True)
    assert list(bounds) == sorted(bounds)
    assert list(counts) == sorted(counts)
    assert (bounds[-1], counts[-1]) == (float("inf"), 1)


def test_the_version_is_told(app):
    assert figures(app.test_client().get("/metrics"))["exporter_version", __version__] == 1
