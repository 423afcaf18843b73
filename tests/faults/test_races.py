"""Of several at once one wins, and what is being read stays readable."""

import hashlib
from datetime import timedelta

import pytest

from exporter.errors import StoreAway
from exporter.failpoints import probing
from exporter.jobs import runner
from tests.client import Client
from tests.faults.probes import doing, holding, together


def body(source, table="numbers", **more):
    return {"datasource": source, "format": "csv", "filters": {"table": table}, **more}


@pytest.fixture
def clients(app, admin):
    """Several connections of one user."""
    cookie = admin.http.get_cookie("exporter_session")
    made = [Client(app.test_client()) for _ in range(10)]
    for client in made:
        client.http.set_cookie("exporter_session", cookie.value)
    return made


def test_of_two_retries_at_once_one_wins(admin, clients, source):
    failed = admin.export(body(source, "orders", options={"encoding": "iso-8859-1"}))
    path = f"exports/{failed['id']}/retry/"
    with holding("after_claim"):
        answers = together(*[lambda c=c: c.post(path).status_code for c in clients[:2]])
        assert sorted(answers) == [200, 409]


def test_of_two_deletes_at_once_one_wins(admin, clients, source, services):
    job = admin.export(body(source))
    answers = together(*[lambda c=c: c.delete(f"exports/{job['id']}/").status_code for c in clients[:2]])
    assert sorted(answers) == [200, 404]
    assert services.artifacts.keys() == set()


def test_ten_equal_submits_with_one_key_make_one_job(admin, clients, source):
    send = {"headers": {"Idempotency-Key": "the same"}}
    answers = together(*[lambda c=c: c.post("exports/", body(source), **send) for c in clients])
    assert sorted(answer.status_code for answer in answers) == [200] * 9 + [201]
    assert len({answer.json["data"]["id"] for answer in answers}) == 1


@pytest.mark.parametrize("how", ["delete", "retention"])
def test_a_download_that_runs_ends_intact_whatever_happens_to_its_job(admin, source, services, how):
    job = admin.export(body(source))
    answer = admin.get(f"exports/{job['id']}/download/", buffered=False)
    if how == "delete":
        assert admin.delete(f"exports/{job['id']}/").status_code == 200
    else:
        services.sweeper._clock = lambda: services.clock() + timedelta(days=8)
        assert len(services.sweeper.sweep().expired) == 1
    assert services.artifacts.keys() == set()
    assert hashlib.sha256(answer.data).hexdigest() == job["checksum"]["value"]


def test_a_download_that_meets_the_sweep_is_told_that_the_file_expired(admin, source, services, monkeypatch):
    job = admin.export(body(source))
    services.sweeper._clock = lambda: services.clock() + timedelta(days=8)
    opened = services.artifacts.open

    def swept_first(*arguments, **options):
        services.sweeper.sweep()
        return opened(*arguments, **options)

    monkeypatch.setattr(services.artifacts, "open", swept_first)
    answer = admin.get(f"exports/{job['id']}/download/")
    assert (answer.status_code, "expired" in answer.json["error"]) == (410, True)
    assert admin.job(job["id"])["warnings"] == []


def test_a_file_altered_by_hand_at_its_size_is_410_and_the_job_says_so(admin, source, services):
    job = admin.export(body(source))
    (path,) = (services.settings.storage_path / key for key in services.artifacts.keys())  # noqa: SIM118 - a store, no dict
    whole = path.read_bytes()
    path.write_bytes(b"9" + whole[1:])
    answer = admin.get(f"exports/{job['id']}/download/")
    assert (answer.status_code, answer.json["success"]) == (410, False)
    told = admin.job(job["id"])
    assert (told["allowed_actions"], told["warnings"][-1]["code"]) == (["delete"], "artifact_gone")
    assert (
        admin.get(f"exports/{job['id']}/download/")
        .json["error"]
        .startswith("The file of this export was removed")
    )
    services.sweeper.sweep()
    assert not path.exists()


def test_a_store_that_is_away_for_a_moment_costs_no_job_its_file(admin, source, services):
    job = admin.export(body(source))
    store = services.settings.storage_path
    store.rename(store.with_name("elsewhere"))
    store.write_text("in the way")
    for method, path in (("get", f"exports/{job['id']}/download/"), ("post", "exports/")):
        answer = getattr(admin, method)(path, **({"body": body(source)} if method == "post" else {}))
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5"), answer.json
    assert admin.http.get("/readyz").status_code == 503
    store.unlink()
    store.with_name("elsewhere").rename(store)
    assert len(admin.file(job)) == job["file_size"]


def test_the_empty_mount_point_of_a_store_is_not_taken_for_it(admin, source, services):
    """Files written there would be on another disk, and hidden once the right one is back."""
    job = admin.export(body(source))
    store = services.settings.storage_path
    store.rename(store.with_name("elsewhere"))
    store.mkdir()
    assert admin.post("exports/", body(source)).status_code == 503
    assert admin.get(f"exports/{job['id']}/download/").status_code == 503
    answer = admin.http.get("/readyz")
    assert (answer.status_code, "disk mounted" in answer.json["error"]) == (503, True), answer.json
    with pytest.raises(StoreAway):
        services.sweeper.sweep()
    assert list(store.iterdir()) == []
    store.rmdir()
    store.with_name("elsewhere").rename(store)
    assert len(admin.file(job)) == job["file_size"]


def test_a_store_that_is_away_when_a_job_begins_costs_it_an_attempt(admin, source, services, monkeypatch):
    monkeypatch.setattr(runner, "BACKOFF_SECONDS", 0.0)
    admin.export(body(source))
    store = services.settings.storage_path

    def away():
        store.rename(store.with_name("elsewhere"))
        store.mkdir()

    def back():
        store.rmdir()
        store.with_name("elsewhere").rename(store)

    acts = {"after_claim": away, "before_again": back}
    with probing(lambda place: acts.get(place, lambda: None)()):
        job = admin.export(body(source))
    assert [attempt["error_code"] for attempt in job["attempts"]] == ["store_away", None]


def test_a_sweep_leaves_alone_what_is_being_written_and_published(admin, source, services):
    for place in ("batch", "before_rename", "after_rename", "before_complete"):
        with doing(place, services.sweeper.sweep):
            job = admin.export(body(source))
        assert job["status"] == "completed", (place, job)
        assert len(admin.file(job)) == job["file_size"]
