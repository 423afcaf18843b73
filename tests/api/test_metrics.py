"""Figures for Prometheus, read back by its own parser."""

from datetime import datetime, timedelta

import pytest
import time_machine
from prometheus_client.parser import text_string_to_metric_families

from exporter.model import Role
from tests.conftest import sign_in


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
