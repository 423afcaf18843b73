"""The wall clock jumps; leases do not care."""

from datetime import timedelta

import pytest

from exporter.model import Role, utc_now
from tests.conftest import sign_in
from tests.faults.probes import eventually, holding


class Jumping:
    """A wall clock that somebody sets."""

    def __init__(self):
        self.shift = timedelta()

    def __call__(self):
        return utc_now() + self.shift


@pytest.fixture
def clock(monkeypatch):
    """Make every service use a clock that jumps."""
    jumping = Jumping()
    monkeypatch.setattr("exporter.app.utc_now", jumping)
    return jumping


@pytest.mark.parametrize("hours", [1, -1])
def test_a_clock_that_jumps_takes_no_job_from_its_worker(clock, make_app, shop, monkeypatch, hours):
    app = make_app(EXPORTER_LEASE_SECONDS="1")
    services = app.extensions["exporter"]
    admin = sign_in(app, services, "ada", Role.ADMIN)
    source = admin.post("datasources/", {"name": "s", "url": f"sqlite:///{shop}"}).json["data"]["id"]
    request = {"datasource": source, "format": "csv", "filters": {"table": "numbers"}}
    reaper, looks = services.engine._parts.reaper, []
    leases = reaper._leases
    reaper._leases = lambda: looks.append(1) or leases()
    monkeypatch.setattr(reaper, "_ours", frozenset)  # as another server's reaper would look at it
    with holding("batch") as hold:
        job_id = admin.post("exports/", request).json["data"]["id"]
        hold.wait()
        clock.shift = timedelta(hours=hours)
        seen = len(looks)
        eventually(lambda: len(looks) >= seen + 8)  # two leases
        hold.go()
        job = admin.until(job_id, "completed")
    assert job["attempt"] == 1
    assert admin.export(request)["status"] == "completed"
    assert admin.get("exports/?ordering=-created_at").status_code == 200
    assert services.sweeper.sweep().expired == ()
    assert admin.file(job)
