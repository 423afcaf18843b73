"""Webhooks: what their owners say of them, what is sent, and that it arrives whatever happens."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from standardwebhooks import WebhookVerificationError

from exporter.cli.base import upgrade_schema
from exporter.failpoints import probing
from exporter.jobs.requests import JobRequest
from exporter.model import Role
from exporter.storage.deliveries import DeliveryStore
from exporter.webhooks import post as posting
from exporter.webhooks.sender import AGAIN_AFTER, again_after
from exporter.webhooks.signing import new_secret
from tests.conftest import PASSWORD, sign_in
from tests.faults.probes import eventually
from tests.receiver import DEADLINE_SECONDS, bodies, receiving

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
CSV = {"format": "csv", "filters": {"table": "orders"}}
NOWHERE = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def receiver():
    with receiving() as found:
        yield found


@pytest.fixture
def app(make_app):
    return make_app(EXPORTER_WEBHOOK_HOSTS="127.0.0.1 public")


@pytest.fixture
def deliveries(services):
    return DeliveryStore(services.database)


@pytest.fixture
def still(services):
    """No thread of the server works and the clock stands: the test sends, and says what time it is."""
    services.engine.close_door()
    with time_machine.travel(NOON, tick=False) as clock:
        yield clock


def make(client, receiver, **more):
    events = ["job.completed", "job.failed", "job.cancelled"]
    made = client.post("webhooks/", {"name": "hook", "url": receiver.url, "events": events, **more})
    assert made.status_code == 201, made.json
    return made.json["data"]


def cancelled(services, source, name="ada", **more):
    """End a job: one that waits ends by being cancelled. The door is closed to requests for one."""
    request = JobRequest(datasource=source, **CSV, **more)
    job, _ = services.jobs.submit(request, services.accounts.user_named(name))
    services.jobs.cancel(job)
    return job.id


def send_due(services, deliveries):
    count = 0
    while (seen := deliveries.due(services.clock())) is not None and services.sender.send(seen):
        count += 1
    return count


def logged(client, hook):
    return client.get(f"webhooks/{hook['id']}/deliveries/").json["data"]["deliveries"]


def detail(client, hook, number=0):
    path = f"webhooks/{hook['id']}/deliveries/{logged(client, hook)[number]['id']}/"
    return client.get(path).json["data"]


def sign_in_again(client, name="ada"):
    assert client.post("auth/login/", {"username": name, "password": PASSWORD}).status_code == 200


def test_a_completed_job_is_told_with_its_facts_and_a_signature_that_others_verify(admin, source, receiver):
    hook = make(admin, receiver)
    job = admin.export({"datasource": source, "name": "Tages-Export ✓", **CSV})
    receiver.wait(1)
    told = receiver.verified(hook["secret"])
    assert told["type"] == "job.completed"
    data = told["data"]
    shown = admin.job(job["id"])
    for name in ("status", "name", "attempt", "row_count", "file_size", "file_name", "checksum", "download_url",
                 "created_at", "started_at", "completed_at", "expires_at", "error_code", "format", "template"):  # fmt: skip
        assert data[name] == shown[name], name
    assert (data["job_id"], data["datasource"]) == (job["id"], shown["datasource"])
    assert admin.http.get(data["download_url"]).status_code == 200
    headers, body = receiver.got[0]
    assert headers["Content-Type"] == "application/json"
    assert b"filters" not in body
    with pytest.raises(WebhookVerificationError):
        receiver.verified(new_secret())


def test_what_the_document_shows_verifies_a_request(admin, source, receiver):
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
    shown = {}
    exec(page.partition("standard library:\n\n```python\n")[2].partition("```")[0], shown)
    secret = make(admin, receiver)["secret"]
    admin.export({"datasource": source, **CSV})
    headers, body = receiver.wait(1)[0]
    assert shown["is_ours"](headers, body, secret)
    assert not shown["is_ours"](headers, body + b" ", secret)
    assert not shown["is_ours"](headers, body, new_secret())
    assert not shown["is_ours"]({**headers, "webhook-timestamp": "1"}, body, secret)


def test_a_failed_job_is_told_with_its_reason(admin, source, receiver):
    hook = make(admin, receiver)
    job = admin.export({"datasource": source, **CSV, "options": {"encoding": "iso-8859-1"}})
    assert job["status"] == "failed"
    receiver.wait(1)
    told = receiver.verified(hook["secret"])
    assert (told["type"], told["data"]["error_code"]) == ("job.failed", job["error_code"])
    assert (told["data"]["error_message"], told["data"]["download_url"]) == (job["error_message"], None)


def test_only_what_was_asked_for_is_told(admin, member, source, receiver, services, still, deliveries):
    make(admin, receiver, events=["job.completed"])
    cancelled(services, source)
    make(member, receiver, name="other")
    cancelled(services, source)  # somebody else's
    assert send_due(services, deliveries) == 0
    cancelled(services, source, "max")
    assert send_due(services, deliveries) == 1


def test_a_webhook_may_be_narrowed_to_a_template_a_datasource_or_a_schedule(
    admin, source, receiver, services, still, deliveries
):
    template = admin.post("export-templates/", {"name": "t", "configuration": CSV}).json["data"]["id"]
    export = {"datasource": source, **CSV}
    schedule = admin.post("schedules/", {"name": "s", "cron": "0 6 * * *", "export": export}).json["data"][
        "id"
    ]
    narrowed = {"template": template, "datasource": source, "schedule": schedule}
    hooks = {name: make(admin, receiver, name=name, **{name: value}) for name, value in narrowed.items()}
    cancelled(services, source)
    cancelled(services, source, template=template)
    ada = services.accounts.user_named("ada")
    services.jobs.cancel(services.scheduler.run_now(services.schedules.get(schedule, ada)))
    counts = {name: len(logged(admin, hook)) for name, hook in hooks.items()}
    assert counts == {"template": 1, "datasource": 3, "schedule": 1}
    admin.delete(f"schedules/{schedule}/")
    assert admin.get(f"webhooks/{hooks['schedule']['id']}/").status_code == 404  # never broader than it was


def test_a_failing_receiver_is_asked_again_later_with_the_same_id_until_it_answers(
    admin, source, receiver, services, still, deliveries
):
    hook = make(admin, receiver)
    receiver.answers = [500, 503]
    cancelled(services, source)
    assert send_due(services, deliveries) == 1
    (told,) = logged(admin, hook)
    assert told["status"] == "pending"
    assert "2026-01-05T12:00:24Z" <= told["next_at"] <= "2026-01-05T12:00:36Z"
    still.shift(timedelta(seconds=36))
    assert send_due(services, deliveries) == 1
    still.shift(timedelta(seconds=95))
    assert send_due(services, deliveries) == 0
    still.shift(timedelta(seconds=50))
    assert send_due(services, deliveries) == 1
    found = detail(admin, hook)
    assert (found["status"], found["attempt"], found["next_at"]) == ("delivered", 3, None)
    assert [each["status_code"] for each in found["attempts"]] == [500, 503, 204]
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert len({body for _, body in receiver.got}) == 1
    assert receiver.got[0][0]["webhook-signature"] != receiver.got[-1][0]["webhook-signature"]


def test_after_the_last_try_it_has_failed_and_can_be_sent_again_by_hand(
    admin, source, receiver, services, still, deliveries
):
    hook = make(admin, receiver)
    receiver.answers = [500] * 6
    cancelled(services, source)
    for _ in range(6):
        assert send_due(services, deliveries) == 1
        still.shift(timedelta(hours=5))
    sign_in_again(admin)
    assert send_due(services, deliveries) == 0
    found = detail(admin, hook)
    assert (found["status"], found["attempt"]) == ("failed", 6)
    path = f"webhooks/{hook['id']}/deliveries/{found['id']}/redeliver/"
    assert admin.post(path).json["data"]["status"] == "pending"
    assert send_due(services, deliveries) == 1
    found = detail(admin, hook)
    assert (found["status"], found["attempt"]) == ("delivered", 7)
    assert admin.post(path).status_code == 200  # also what had arrived
    assert send_due(services, deliveries) == 1
    assert len(receiver.got) == 8


def test_the_waits_grow_and_scatter():
    waits = [again_after(tries, 0.5) for tries in range(1, 8)]
    assert [wait.total_seconds() if wait else None for wait in waits] == [*AGAIN_AFTER, None, None]
    assert again_after(1, 0.0) == timedelta(seconds=24)
    assert again_after(1, 1.0) == timedelta(seconds=36)


def redirect(handler):
    handler.send_response(302)
    handler.send_header("Location", "/elsewhere")
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def hang_up(handler):
    handler.close_connection = True


def speak_nonsense(handler):
    handler.wfile.write(b"220 smtp.example ready\r\n")


def answer_hugely(handler):
    handler.send_response(500)
    handler.end_headers()
    piece = b"secret of the receiver" * 10_000
    try:
        for _ in range(10_000):
            handler.wfile.write(piece)
    except OSError:
        handler.close_connection = True


@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
        (redirect, 302, None),
        (hang_up, None, "The connection was closed without an answer"),
        (speak_nonsense, None, "The answer is not HTTP"),
        (answer_hugely, 500, None),
        (404, 404, None),
    ],
)
def test_whatever_is_no_success_is_noted_and_tried_again(
    admin, source, receiver, services, still, deliveries, answer, status, error
):
    hook = make(admin, receiver)
    receiver.answers = [answer]
    cancelled(services, source)
    assert send_due(services, deliveries) == 1
    found = detail(admin, hook)
    assert found["status"] == "pending"
    assert [(each["status_code"], each["error"]) for each in found["attempts"]] == [(status, error)]
    assert "secret of the receiver" not in str(found)
    assert len(receiver.got) == 1


@pytest.mark.parametrize("drip", [False, True])
def test_a_receiver_that_hangs_or_drips_costs_a_limited_time(
    admin, source, receiver, services, still, deliveries, drip, monkeypatch
):
    released = threading.Event()

    def hang(handler):
        if drip:
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not released.wait(0.02):
            if drip:
                handler.wfile.write(b"x")
        handler.close_connection = True

    monkeypatch.setattr(posting, "TOTAL_SECONDS", 0.3)
    hook = make(admin, receiver)
    receiver.answers = [hang]
    cancelled(services, source)
    try:
        assert send_due(services, deliveries) == 1
    finally:
        released.set()
    (attempt,) = detail(admin, hook)["attempts"]
    assert (attempt["status_code"], attempt["error"]) == (None, "No answer in time")


def test_nobody_there_is_a_failure_like_any_other(admin, source, services, still, deliveries):
    with receiving() as gone:
        hook = make(admin, gone)
    cancelled(services, source)
    assert send_due(services, deliveries) == 1
    assert detail(admin, hook)["attempts"][0]["error"] == "Connection refused"


def test_a_sending_that_a_crash_cut_off_is_done_again_when_its_lease_is_over(
    admin, source, receiver, services, still, deliveries
):
    class Killed(BaseException):
        pass

    def die(place):
        if place == "webhook_answered":
            raise Killed

    hook = make(admin, receiver)
    cancelled(services, source)
    with probing(die), pytest.raises(Killed):
        send_due(services, deliveries)
    found = detail(admin, hook)
    assert (found["status"], found["attempts"][0]["status_code"]) == ("sending", None)
    path = f"webhooks/{hook['id']}/deliveries/{found['id']}/redeliver/"
    assert admin.post(path).status_code == 409
    assert send_due(services, deliveries) == 0
    still.shift(timedelta(seconds=121))
    assert send_due(services, deliveries) == 1
    assert detail(admin, hook)["status"] == "delivered"
    assert len(receiver.got) == 2  # at least once


def test_of_two_senders_one_sends(admin, source, receiver, services, still, deliveries):
    make(admin, receiver)
    cancelled(services, source)
    seen = deliveries.due(services.clock())
    assert [services.sender.send(seen), services.sender.send(seen)] == [True, False]
    assert len(receiver.got) == 1


def test_a_sender_that_froze_past_its_lease_changes_nothing(
    admin, source, receiver, services, still, deliveries
):
    hook = make(admin, receiver)
    cancelled(services, source)
    seen = deliveries.due(services.clock())
    entered = []

    def freeze(place):
        if place == "webhook_answered" and not entered:
            entered.append(place)
            still.shift(timedelta(seconds=121))
            assert services.sender.send(deliveries.due(services.clock()))

    receiver.answers = [500]
    with probing(freeze):
        assert services.sender.send(seen) is False
    found = detail(admin, hook)
    assert (found["status"], found["attempt"]) == ("delivered", 2)


def test_nothing_is_told_of_an_end_that_did_not_come_about(
    admin, source, receiver, services, still, deliveries
):
    make(admin, receiver)
    job = cancelled(services, source)
    assert admin.post(f"exports/{job}/cancel/").status_code == 409
    assert send_due(services, deliveries) == 1
    again = services.jobs.retry(services.jobs.get(job, services.accounts.user_named("ada")))
    assert send_due(services, deliveries) == 0
    services.jobs.cancel(again)
    assert send_due(services, deliveries) == 1


def test_a_webhook_that_rests_gets_nothing_and_what_waits_waits(
    admin, source, receiver, services, still, deliveries
):
    hook = make(admin, receiver)
    cancelled(services, source)
    path = f"webhooks/{hook['id']}/"
    assert admin.patch(path, {"is_active": False}).json["data"]["is_active"] is False
    cancelled(services, source)
    assert send_due(services, deliveries) == 0
    admin.patch(path, {"is_active": True})
    assert send_due(services, deliveries) == 1


def test_a_webhook_whose_template_is_private_again_can_rest(admin, member, receiver):
    configuration = {"name": "t", "configuration": CSV, "template_type": "shared"}
    template = admin.post("export-templates/", configuration).json["data"]["id"]
    hook = make(member, receiver, template=template)
    admin.patch(f"export-templates/{template}/", {"template_type": "user"})
    path = f"webhooks/{hook['id']}/"
    assert member.patch(path, {"is_active": False}).json["data"]["is_active"] is False
    assert (
        "template"
        in member.post("webhooks/", {"name": "o", "url": receiver.url, "template": template}).json["error"]
    )


def test_a_disabled_owners_webhooks_are_silent(admin, member, source, receiver, services, still, deliveries):
    make(member, receiver)
    cancelled(services, source, "max")
    services.accounts.disable(services.accounts.user_named("max"))
    assert send_due(services, deliveries) == 0


def test_a_test_says_at_once_what_came_of_it_and_is_not_repeated(
    admin, receiver, services, still, deliveries
):
    hook = make(admin, receiver)
    told = admin.post(f"webhooks/{hook['id']}/test/").json["data"]
    assert (told["status"], told["event"], told["job"]) == ("delivered", "webhook.test", None)
    assert receiver.verified_at(hook["secret"], NOON)["type"] == "webhook.test"
    receiver.answers = [500]
    told = admin.post(f"webhooks/{hook['id']}/test/").json["data"]
    assert (told["status"], told["attempts"][0]["status_code"]) == ("failed", 500)
    still.shift(timedelta(days=1))
    assert send_due(services, deliveries) == 0


def test_old_deliveries_are_swept_and_those_that_wait_are_not(
    admin, source, receiver, services, still, deliveries
):
    hook = make(admin, receiver)
    cancelled(services, source)
    send_due(services, deliveries)
    receiver.answers = [500]
    cancelled(services, source)
    send_due(services, deliveries)
    still.shift(timedelta(days=29))
    assert services.webhooks.forget_old() == 0
    still.shift(timedelta(days=2))
    services.sweeper.sweep()
    sign_in_again(admin)
    assert [each["status"] for each in logged(admin, hook)] == ["pending"]


def test_a_deleted_job_leaves_its_delivery(admin, source, receiver, services, still, deliveries):
    hook = make(admin, receiver)
    job = cancelled(services, source)
    admin.delete(f"exports/{job}/")
    assert send_due(services, deliveries) == 1
    assert logged(admin, hook)[0]["job"] is None
    assert bodies(receiver)[0]["data"]["job_id"] == job


def test_a_deleted_webhook_takes_what_waits_with_it(admin, source, receiver, services, still, deliveries):
    hook = make(admin, receiver)
    cancelled(services, source)
    assert admin.delete(f"webhooks/{hook['id']}/").status_code == 200
    assert send_due(services, deliveries) == 0
    assert admin.get(f"webhooks/{hook['id']}/deliveries/").status_code == 404


def test_the_secret_is_told_once_and_kept_encrypted(admin, receiver, services, instance, still):
    hook = make(admin, receiver)
    path = f"webhooks/{hook['id']}/"
    changed = admin.put(path, {"name": "hook", "url": receiver.url, "events": ["job.failed"]})
    told = admin.get("webhooks/").text + admin.get(path).text + changed.text
    assert hook["secret"].startswith("whsec_")
    assert hook["secret"] not in told
    services.database.engine.dispose()
    kept = b"".join(each.read_bytes() for each in instance.glob("exporter.sqlite3*"))
    assert hook["secret"].encode() not in kept
    assert b"key=abc" not in kept
    assert services.webhooks.get(hook["id"], services.accounts.user_named("ada")).secret == hook["secret"]


def test_all_faults_are_told_at_once(admin, source):
    body = {"name": "", "url": "http://x y", "events": ["job.started"], "schedule": NOWHERE,
            "template": NOWHERE, "datasource": NOWHERE, "odd": 1}  # fmt: skip
    answer = admin.post("webhooks/", body)
    assert answer.status_code == 400
    assert set(answer.json["error"]) == set(body)
    assert set(admin.post("webhooks/", {}).json["error"]) == {"name", "url"}
    assert "events" in admin.post("webhooks/", {**body, "events": []}).json["error"]


@pytest.mark.parametrize(
    "url", ["https://10.0.0.1/", "https://169.254.169.254/latest/", "http://8.8.8.8/", "https://"]
)
def test_an_address_that_this_server_must_not_reach_is_refused_when_it_comes(admin, url):
    answer = admin.post("webhooks/", {"name": "hook", "url": url})
    assert answer.status_code == 400
    assert set(answer.json["error"]) == {"url"}


def test_an_address_is_judged_again_at_every_sending(admin, source, receiver, services, still, deliveries):
    hook = make(admin, receiver)
    services.sender._rules.__init__(frozenset({"public"}))  # an admin took the host off the list
    cancelled(services, source)
    assert send_due(services, deliveries) == 1
    assert "The address is refused" in detail(admin, hook)["attempts"][0]["error"]
    assert receiver.got == []


def test_a_user_has_so_many_webhooks_and_no_more_and_names_are_unique(member, receiver, still, monkeypatch):
    monkeypatch.setattr("exporter.webhooks.service.MOST", 2)
    make(member, receiver)
    assert member.post("webhooks/", {"name": "hook", "url": receiver.url}).status_code == 409
    make(member, receiver, name="second")
    full = member.post("webhooks/", {"name": "third", "url": receiver.url})
    assert (full.status_code, "2 webhooks" in full.json["error"]) == (409, True)


def test_a_receiver_that_fails_holds_up_nobody_else(admin, member, source, services, receiver):
    """With the server's own threads: the slow one is still being asked when the other has got its own."""
    released = threading.Event()
    with receiving() as slow:
        slow.answers = [lambda _: released.wait(DEADLINE_SECONDS)] * 3
        make(admin, slow)
        make(member, receiver)
        try:
            cancel_each = [client.export({"datasource": source, **CSV}) for client in (admin, admin, member)]
            assert [job["status"] for job in cancel_each] == ["completed"] * 3
            slow.wait(1)
            receiver.wait(1)
            assert len(slow.got) == 1  # one after the other
        finally:
            released.set()


def test_each_of_many_ends_is_told_once(admin, source, receiver):
    hook = make(admin, receiver)
    for _ in range(5):
        admin.export({"datasource": source, **CSV})
    receiver.wait(5)
    ids = {headers["webhook-id"] for headers, _ in receiver.got}
    assert ids == {each["id"] for each in logged(admin, hook)}
    assert len(receiver.got) == 5


def test_a_stop_waits_no_longer_than_it_may_and_leaves_the_rest_to_the_lease(
    admin, source, receiver, services
):
    released = threading.Event()
    receiver.answers = [lambda _: released.wait(DEADLINE_SECONDS)]
    hook = make(admin, receiver)
    for _ in range(2):
        cancelled(services, source)
    receiver.wait(1)
    services.sender.stop(wait=0.0)
    assert sorted(each["status"] for each in logged(admin, hook)) == ["pending", "sending"]
    released.set()
    services.sender.stop(wait=DEADLINE_SECONDS)  # the one under way comes to its end
    assert [each["status"] for each in logged(admin, hook)] == ["pending", "pending"]
    assert len(receiver.got) == 1


@pytest.mark.postgres
def test_two_servers_on_one_postgresql_send_each_delivery_once(make_app, postgres_database, shop, receiver):
    environ = {"EXPORTER_DATABASE_URL": postgres_database, "EXPORTER_WEBHOOK_HOSTS": "127.0.0.1"}
    first, second = make_app(**environ), make_app(**environ)
    with first.app_context():
        upgrade_schema()
    services = first.extensions["exporter"]
    ada = sign_in(first, services, "ada", Role.ADMIN)
    body = {"name": "shop", "url": f"sqlite:///{shop}", "is_shared": True}
    source = ada.post("datasources/", body).json["data"]["id"]
    assert second.test_client().get("/readyz").status_code == 200  # its engine runs
    hook = make(ada, receiver)
    jobs = {cancelled(services, source) for _ in range(10)}
    eventually(lambda: [each["status"] for each in logged(ada, hook)] == ["delivered"] * 10)
    assert {each["data"]["job_id"] for each in bodies(receiver)} == jobs
    assert len(receiver.got) == 10
    assert [each["attempt"] for each in logged(ada, hook)] == [1] * 10
