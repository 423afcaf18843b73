"""Every failure has the envelope, whatever raised it."""

import pytest

from tests.client import API


@pytest.mark.parametrize(
    ("path", "status"),
    [("nowhere/", 404), ("exports/nope/", 404), ("exports/00000000-0000-4000-8000-000000000000/", 404)],
)
def test_an_unknown_path_or_id_is_404(admin, path, status):
    answer = admin.get(path)
    assert answer.status_code == status
    assert answer.json["success"] is False


def test_an_unknown_path_outside_the_api_is_in_the_envelope_too(admin):
    assert admin.http.get("/nowhere").json["success"] is False


def test_a_wrong_method_is_405_and_says_which_are_right(admin):
    answer = admin.http.open(API + "exports/", method="PATCH")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
    assert answer.json["success"] is False


def test_a_path_without_its_slash_redirects(admin):
    answer = admin.http.get(API + "exports")
    assert answer.status_code == 308
    assert answer.headers["Location"].endswith("/exports/")


@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b"[]",
        b'"text"',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": 1, "a": 2}',
        b'{"a": "\\ud800"}',
        b"[" * 100_000,
        b'{"a":' * 5000,
        b"\xff\xfe",
        b'{"a": ' + b"9" * 5000 + b"}",
        b"",
    ],
)
def test_a_body_that_is_no_json_object_is_a_400_with_a_sentence(admin, text):
    answer = admin.http.post(API + "exports/", data=text, content_type="application/json")
    assert answer.status_code == 400
    assert isinstance(answer.json["error"], str)


def test_another_media_type_is_415(admin):
    answer = admin.http.post(API + "exports/", data="a=1", content_type="text/plain")
    assert answer.status_code == 415
    assert answer.json["success"] is False


def test_too_large_a_body_is_413(admin):
    text = b'{"name": "' + b"x" * (1024 * 1024) + b'"}'
    answer = admin.http.post(API + "exports/", data=text, content_type="application/json")
    assert answer.status_code == 413
    assert "1048576" in answer.json["error"]


def test_a_fault_of_the_server_shows_no_internals(admin, app, monkeypatch):
    def broken(*arguments, **options):
        raise RuntimeError("the secret inside")

    monkeypatch.setattr("exporter.jobs.service.JobService.page", broken)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    answer = admin.get("exports/")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.headers["X-Request-Id"] in answer.json["error"]


def test_health_needs_no_user_and_readiness_tells_the_truth(app, services):
    client = app.test_client()
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 200
    services.engine.close_door()
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json["success"] is False
    assert answer.headers["Retry-After"]


def test_a_stopping_server_takes_no_new_jobs(admin, source, services):
    services.engine.close_door()
    answer = admin.post("exports/", {"datasource": source, "format": "csv", "filters": {"table": "orders"}})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]


def test_a_database_that_was_never_set_up_is_told_as_such(make_app, instance):
    (instance / "exporter.sqlite3").unlink()
    answer = make_app().test_client().get("/readyz")
    assert answer.status_code == 503
    assert "exporter init" in answer.json["error"]


@pytest.mark.parametrize("name", ["a\x1b[31mb", "two\nlines", "back\rwards", "\u202etxt", " ", "x" * 151])
def test_a_name_that_would_upset_a_terminal_is_a_400(admin, source, shop, name):
    for path, body in (
        ("exports/", {"datasource": source, "format": "csv", "filters": {"table": "orders"}}),
        ("export-templates/", {"configuration": {"format": "csv"}}),
        ("datasources/", {"url": f"sqlite:///{shop}"}),
        ("auth/tokens/", {}),
    ):
        answer = admin.post(path, {**body, "name": name})
        assert answer.status_code == 400, path
        assert set(answer.json["error"]) == {"name"}
