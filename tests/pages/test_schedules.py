"""The page of schedules without a browser: made from a template, explained, rested, run, deleted."""

import re

import pytest

PAGES = "/data-tools/"
CSV = {"format": "csv", "filters": {"columns": ["id"]}}


@pytest.fixture
def template(member):
    return member.post("export-templates/", {"name": "ids", "configuration": CSV}).json["data"]["id"]


@pytest.fixture
def form(source, template):
    return {"name": "nightly", "template": template, "datasource": source, "table": "orders",
            "cron": "0 6 * * 1-5", "timezone": "Europe/Berlin"}  # fmt: skip


def added(client, form):
    answer = client.http.post(f"{PAGES}schedules/", data=form)
    assert answer.status_code == 303, answer.text
    return client.get("schedules/").json["data"]["schedules"][0]


def test_a_schedule_is_made_from_a_template_and_shown_with_its_next_run(member, form, source, template):
    schedule = added(member, {**form, "catch_up": "on"})
    assert schedule["export"] == {"datasource": source, "template": template, "filters": {"table": "orders"}}
    assert (schedule["cron"], schedule["timezone"], schedule["catch_up"]) == (
        "0 6 * * 1-5",
        "Europe/Berlin",
        True,
    )
    text = member.http.get(f"{PAGES}schedules/").text
    assert "Schedule nightly is set up." in text
    assert schedule["next_run_at"] in text
    assert "It has not run yet." in text


def test_its_runs_lead_to_their_exports(member, form):
    schedule = added(member, form)
    ran = member.http.post(f"{PAGES}schedules/{schedule['id']}/run/")
    job = ran.headers["Location"].rpartition("#job-")[2]
    member.until(job, "completed")
    for place in ("schedules/", f"schedules/{schedule['id']}/"):
        link = re.search(rf'<a href="{PAGES}exports/{job}/">completed', member.http.get(PAGES + place).text)
        assert link, place
    member.delete(f"exports/{job}/")
    assert "export deleted" in member.http.get(f"{PAGES}schedules/").text


def test_the_tables_of_the_chosen_datasource_are_offered_and_a_name_is_typed_where_they_cannot_be_told(
    member, form, source, shop
):
    offered = member.http.get(f"{PAGES}schedules/tables/", query_string={"datasource": source}).text
    assert '<select id="table"' in offered
    assert "<option>orders</option>" in offered
    again = member.http.get(f"{PAGES}schedules/", query_string=form).text
    assert "<option selected>orders</option>" in again
    refused = member.http.post(f"{PAGES}schedules/", data={**form, "table": "oders"})
    assert "<option selected>oders</option>" in refused.text
    assert 'id="table-fault"' in refused.text
    assert '<input id="table"' in member.http.get(f"{PAGES}schedules/").text
    shop.unlink()
    for place, asked in (("tables/", {"datasource": source}), ("tables/", {"datasource": "x"}), ("", form)):
        typed = member.http.get(f"{PAGES}schedules/{place}", query_string=asked)
        assert typed.status_code == 200
        assert '<input id="table"' in typed.text


def test_the_next_runs_are_said_on_the_zones_own_clock(member, source):
    asked = {"cron": "30 6 24 12 *", "timezone": "Europe/Berlin"}
    text = member.http.get(f"{PAGES}schedules/times/", query_string=asked).text
    assert len(re.findall(r"<li>\w+day, 24 December \d{4} at 06:30, Europe/Berlin", text)) == 3
    assert len(re.findall(r'datetime="\d{4}-12-24T05:30:00Z"', text)) == 3
    whole = member.http.get(f"{PAGES}schedules/", query_string={**asked, "name": "typed"}).text
    assert "24 December" in whole
    assert 'value="typed"' in whole


@pytest.mark.parametrize(
    ("cron", "timezone", "told"),
    [
        ("often", "UTC", "Must be a cron line"),
        ("@daily", "Mars/Base", "Must be a time zone"),
        ("0 0 31 2 *", "UTC", "never comes true"),
        ("", "UTC", "shown here"),
    ],
)
def test_a_line_without_next_runs_is_explained(member, cron, timezone, told):
    answer = member.http.get(f"{PAGES}schedules/times/", query_string={"cron": cron, "timezone": timezone})
    assert answer.status_code == 200
    assert told in answer.text


@pytest.mark.parametrize(
    ("change", "field", "told"),
    [
        ({"name": ""}, "name", "Must be 1 to"),
        ({"cron": "often"}, "cron", "Must be a cron line"),
        ({"timezone": "Mars"}, "timezone", "Must be a time zone"),
        ({"template": ""}, "template", "Choose a template"),
        ({"datasource": ""}, "datasource", "Required"),
        ({"table": "nowhere"}, "table", "nowhere"),
        ({"table": "numbers"}, "template", "id"),
    ],
)
def test_a_fault_is_at_its_field_and_nothing_typed_is_lost(member, form, change, field, told):
    answer = member.http.post(f"{PAGES}schedules/", data={**form, **change})
    assert answer.status_code == 422
    said = re.search(rf'<p class="fault" id="{field}-fault">([^<]*)</p>', answer.text)
    assert told in said[1]
    assert "0 6 * * 1-5" in answer.text or "cron" in change
    assert member.get("schedules/").json["data"]["schedules"] == []


def test_a_name_that_is_taken_is_said_at_the_name(member, form):
    added(member, form)
    answer = member.http.post(f"{PAGES}schedules/", data=form)
    assert (answer.status_code, "already a schedule" in answer.text) == (422, True)


def test_a_schedule_rests_goes_on_and_goes(member, form):
    schedule = added(member, form)
    place = f"{PAGES}schedules/{schedule['id']}/"
    assert member.http.post(f"{place}rest/").status_code == 303
    assert "Rests" in member.http.get(f"{PAGES}schedules/").text
    assert "It rests" in member.http.get(place).text
    member.http.post(f"{place}rest/")
    assert member.get(f"schedules/{schedule['id']}/").json["data"]["is_active"] is True
    member.http.post(f"{place}delete/")
    assert "Nothing recurs yet." in member.http.get(f"{PAGES}schedules/").text


def test_somebody_elses_schedule_is_not_there(member, stranger, form):
    schedule = added(member, form)
    for method, path in (("GET", ""), ("POST", "run/"), ("POST", "rest/"), ("POST", "delete/")):
        place = f"{PAGES}schedules/{schedule['id']}/{path}"
        assert stranger.http.open(place, method=method).status_code == 404
    assert "nightly" not in stranger.http.get(f"{PAGES}schedules/").text
