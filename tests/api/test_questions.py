"""What a call does not know, it says."""

import pytest

from tests.client import API, Client

ID = "123e4567-e89b-12d3-a456-426614174000"


def test_a_parameter_that_a_call_does_not_take_is_a_400_everywhere(app, admin):
    asked = 0
    for rule in app.url_map.iter_rules():
        for method in rule.methods - {"OPTIONS", "HEAD"}:
            if not rule.rule.startswith(API) or rule.endpoint in {"auth.log_in", "auth.log_out"}:
                continue
            path = app.url_map.bind("localhost").build(
                rule.endpoint, dict.fromkeys(rule.arguments, ID), method=method
            )
            answer = admin.http.open(f"{path}?colour=red", method=method)
            if answer.status_code != 404:  # which comes first where the schema's own check needs the thing
                assert answer.status_code == 400, path
                assert answer.json["error"] == {"colour": "Unknown parameter"}, path
            asked += 1
    assert asked > 25


def test_a_table_that_is_asked_for_with_a_misspelt_parameter_is_told(member, source):
    answer = member.get(f"datasources/{source}/columns/?tabel=orders")
    assert (answer.status_code, answer.json["error"]) == (400, {"tabel": "Unknown parameter"})


def test_nobody_learns_parameters_before_signing_in(app):
    assert Client(app.test_client()).get("auth/me/?colour=red").status_code == 401


@pytest.mark.parametrize("value", ["shop", "", "1", ID[:-1], "{}"])
def test_jobs_of_a_datasource_that_can_be_none_are_a_400(member, value):
    answer = member.get("exports/", query_string={"datasource": value})
    assert (answer.status_code, list(answer.json["error"])) == (400, ["datasource"])


def test_jobs_of_a_datasource_are_found_by_its_id_however_it_is_spelled(member, source):
    member.export({"datasource": source, "format": "csv", "filters": {"table": "orders"}})
    for spelled, found in ((source, 1), (source.upper(), 1), (ID, 0)):
        assert len(member.get(f"exports/?datasource={spelled}").json["data"]["export_jobs"]) == found


def test_a_job_says_whose_it_is(admin, member, source):
    body = {"datasource": source, "format": "csv", "filters": {"table": "orders"}}
    jobs = [client.export(body) for client in (admin, member)]
    owners = {job["owner"]["username"] for job in admin.get("exports/").json["data"]["export_jobs"]}
    assert owners == {"ada", "max"}
    me = member.get("auth/me/").json["data"]
    for client in (admin, member):
        assert client.job(jobs[1]["id"])["owner"] == {"id": me["id"], "username": "max"}


def test_a_database_that_is_away_says_when_to_ask_again(admin, shop):
    made = admin.post("datasources/", {"name": "s", "url": f"sqlite:///{shop}"}).json["data"]["id"]
    locked = __import__("apsw").Connection(str(shop))
    locked.execute("BEGIN EXCLUSIVE")
    answer = admin.get(f"datasources/{made}/tables/")
    locked.close()
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
