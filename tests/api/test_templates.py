"""Templates: kept, listed, used, changed, and whose they are."""

import csv
import io

import pytest

TEMPLATE = {
    "name": "CSV Full Export Template",
    "description": "Template for full CSV exports with headers",
    "configuration": {
        "format": "csv",
        "filters": {"include_headers": True, "columns": ["*"]},
        "options": {"delimiter": ",", "encoding": "utf-8"},
    },
}


@pytest.fixture
def template(member):
    return member.post("export-templates/", TEMPLATE).json["data"]


def test_the_documents_own_template_is_created_as_the_document_says(member):
    answer = member.post("export-templates/", TEMPLATE)
    assert answer.status_code == 201
    assert answer.json["message"] == "Export template created successfully"
    data = answer.json["data"]
    assert (data["template_type"], data["is_active"], data["usage_count"]) == ("user", True, 0)
    assert answer.headers["Location"].endswith(f"/export-templates/{data['id']}/")


def test_the_list_answers_as_the_document_says(member, template):
    answer = member.get("export-templates/?type=user&format=csv&search=FULL")
    assert answer.json["message"] == "Export templates retrieved successfully"
    (listed,) = answer.json["data"]["templates"]
    assert (listed["format"], listed["has_filters"], listed["owner"]) == ("csv", True, "max")
    assert answer.json["data"]["total_count"] == 1
    assert member.get("export-templates/?format=json&type=user").json["data"]["templates"] == []


def test_put_replaces_the_configuration_and_patch_one_field(member, template):
    url = f"export-templates/{template['id']}/"
    changed = {"format": "csv", "filters": {"columns": ["id", "city"], "limit": 2}}
    put = member.put(url, {"name": "Updated", "description": "New", "configuration": changed})
    assert put.json["message"] == "Export template updated successfully"
    assert put.json["data"]["configuration"] == changed
    assert member.patch(url, {"description": "Newer"}).status_code == 200
    now = member.get(url).json["data"]
    assert (now["name"], now["description"], now["configuration"]) == ("Updated", "Newer", changed)


def test_a_job_takes_the_template_and_its_own_fields_win(member, source):
    configuration = {
        "format": "csv",
        "filters": {"table": "orders", "columns": ["id", "city"], "limit": 2},
        "options": {"delimiter": ";"},
    }
    made = member.post("export-templates/", {"name": "t", "configuration": configuration}).json["data"]
    job = member.export({"datasource": source, "template": made["id"], "filters": {"columns": ["city"]}})
    assert job["template"] == {"id": made["id"], "name": "t"}
    rows = list(csv.reader(io.StringIO(member.file(job).decode()), delimiter=";"))
    assert rows == [["city"], ["Zürich"], ["Köln"]]
    assert member.get(f"export-templates/{made['id']}/").json["data"]["usage_count"] == 1
    assert member.delete(f"export-templates/{made['id']}/").status_code == 200
    assert member.job(job["id"])["template"] == {"id": None, "name": "t"}


def test_another_format_leaves_out_the_templates_options_that_it_lacks(member, source):
    configuration = {"format": "csv", "filters": {"table": "orders"}, "options": {"delimiter": ";"}}
    made = member.post("export-templates/", {"name": "t", "configuration": configuration}).json["data"]
    job = member.export({"datasource": source, "template": made["id"], "format": "parquet"})
    assert job["status"] == "completed"


def test_an_inactive_template_cannot_be_used(member, template, source):
    member.patch(f"export-templates/{template['id']}/", {"is_active": False})
    body = {"datasource": source, "template": template["id"], "filters": {"table": "orders"}}
    assert member.post("exports/", body).status_code == 409


def test_a_template_of_somebody_else_is_not_there_unless_shared(member, stranger, template, source):
    url = f"export-templates/{template['id']}/"
    assert stranger.get(url).status_code == 404
    body = {"datasource": source, "template": template["id"], "filters": {"table": "orders"}}
    assert stranger.post("exports/", body).json["error"] == {"template": "Export template not found"}
    member.patch(url, {"template_type": "shared"})
    assert stranger.get(url).status_code == 200
    assert stranger.post("exports/", body).status_code == 201
    for answer in (stranger.patch(url, {"name": "x"}), stranger.delete(url)):
        assert answer.status_code == 403
        assert answer.json["error"] == "You do not have permission to modify this template"


def test_only_an_admin_makes_and_changes_system_templates(admin, member):
    body = {**TEMPLATE, "template_type": "system"}
    assert member.post("export-templates/", body).status_code == 403
    made = admin.post("export-templates/", body).json["data"]
    assert member.get(f"export-templates/{made['id']}/").status_code == 200
    assert member.delete(f"export-templates/{made['id']}/").status_code == 403


def test_a_name_is_unique_per_owner(member, stranger, template):
    assert member.post("export-templates/", TEMPLATE).status_code == 409
    assert stranger.post("export-templates/", TEMPLATE).status_code == 201


@pytest.mark.parametrize(
    ("configuration", "place"),
    [
        ({"format": "xml"}, "format"),
        ({"filters": {}}, "format"),
        ({"format": "csv", "filters": {"limit": -1}}, "filters"),
        ({"format": "csv", "options": {"colour": 1}}, "options"),
        ({"format": "csv", "extra": 1}, "extra"),
    ],
)
def test_a_faulty_configuration_is_told_at_its_place(member, configuration, place):
    answer = member.post("export-templates/", {"name": "x", "configuration": configuration})
    assert answer.status_code == 400
    assert list(answer.json["error"]["configuration"]) == [place]


def test_useful_system_templates_ship_with_the_server_and_all_of_them_work(member, source):
    shipped = member.get("export-templates/?type=system").json["data"]["templates"]
    assert {template["format"] for template in shipped} == {"csv", "json", "parquet", "excel"}
    for template in shipped:
        body = {"datasource": source, "template": template["id"], "filters": {"table": "orders"}}
        assert member.export(body)["status"] == "completed"
