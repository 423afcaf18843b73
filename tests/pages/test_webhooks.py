"""The page of webhooks without a browser: the secret once, a try, what was sent, and sent again."""

import re

import pytest

from tests.faults.probes import eventually
from tests.receiver import receiving

PAGES = "/data-tools/"


@pytest.fixture
def app(make_app):
    return make_app(EXPORTER_WEBHOOK_HOSTS="127.0.0.1")


@pytest.fixture
def receiver():
    with receiving() as found:
        yield found


@pytest.fixture
def form(receiver):
    return {"name": "warehouse", "url": receiver.url, "events": ["job.completed", "job.failed"]}


def added(client, form):
    answer = client.http.post(f"{PAGES}webhooks/", data=form)
    assert answer.status_code == 201, answer.text
    return client.get("webhooks/").json["data"]["webhooks"][0], answer.text


def test_the_secret_is_shown_once_and_is_the_right_one(member, form, receiver):
    hook, text = added(member, form)
    secret = re.search(r'<code id="secret">(whsec_[^<]+)</code>', text)[1]
    assert "whsec_" not in member.http.get(f"{PAGES}webhooks/").text
    tested = member.http.post(f"{PAGES}webhooks/{hook['id']}/test/")
    assert "Answered with status 204" in tested.text
    assert receiver.verified(secret)


def test_a_try_that_fails_says_why(member, form, receiver):
    hook, _ = added(member, form)
    receiver.answers = [500]
    text = member.http.post(f"{PAGES}webhooks/{hook['id']}/test/").text
    assert re.search(r'<p class="fault" role="status">Answered with status 500', text)


def test_a_webhook_is_narrowed_and_says_so(member, form, source):
    hook, text = added(member, {**form, "events": ["job.cancelled"], "datasource": source})
    assert (hook["datasource"], hook["events"]) == (source, ["job.cancelled"])
    assert re.search(r"When an export of the datasource <bdi>shop</bdi>\s+is cancelled", text)


@pytest.mark.parametrize(
    ("change", "field", "told"),
    [
        ({"name": ""}, "name", "Must be 1 to"),
        ({"url": "https://10.0.0.1/"}, "url", "WEBHOOK_HOSTS"),
        ({"url": ""}, "url", "https://"),
        ({"events": []}, "events", "Must be one or more"),
        ({"schedule": "x"}, "schedule", "Schedule not found"),
    ],
)
def test_a_fault_is_at_its_field_and_nothing_typed_is_lost(member, form, change, field, told):
    answer = member.http.post(f"{PAGES}webhooks/", data={**form, **change})
    assert answer.status_code == 422
    said = re.search(rf'<p class="fault" id="{field}-fault">([^<]*)</p>', answer.text)
    assert told in said[1]
    assert 'value="warehouse"' in answer.text or "name" in change


def test_what_was_sent_is_listed_and_sent_again(member, form, source, receiver):
    hook, _ = added(member, form)
    job = member.export({"datasource": source, "format": "csv", "filters": {"table": "orders"}})
    receiver.wait(1)
    place = f"{PAGES}webhooks/{hook['id']}/"
    first = member.get(f"webhooks/{hook['id']}/deliveries/").json["data"]["deliveries"][0]
    text = member.http.get(place).text
    assert f"{PAGES}exports/{job['id']}/" in text
    assert "completes" in text
    eventually(lambda: "✓ Delivered" in member.http.get(place).text)
    assert member.http.post(f"{place}{first['id']}/redeliver/").status_code == 303
    receiver.wait(2)
    assert receiver.got[0][0]["webhook-id"] == receiver.got[1][0]["webhook-id"] == first["id"]


def test_a_webhook_rests_is_told_again_and_goes(member, form):
    hook, _ = added(member, form)
    place = f"{PAGES}webhooks/{hook['id']}/"
    member.http.post(f"{place}rest/")
    assert "Rests" in member.http.get(f"{PAGES}webhooks/").text
    assert "It rests" in member.http.get(place).text
    member.http.post(f"{place}rest/")
    assert member.get(f"webhooks/{hook['id']}/").json["data"]["is_active"] is True
    member.http.post(f"{place}delete/")
    assert "Nobody is told yet." in member.http.get(f"{PAGES}webhooks/").text


def test_somebody_elses_webhook_is_not_there(member, stranger, form):
    hook, _ = added(member, form)
    for method, path in (("GET", ""), ("POST", "test/"), ("POST", "rest/"), ("POST", "delete/")):
        assert stranger.http.open(f"{PAGES}webhooks/{hook['id']}/{path}", method=method).status_code == 404
    assert "warehouse" not in stranger.http.get(f"{PAGES}webhooks/").text
