"""Export jobs over REST, from request to file."""

import csv
import io
import json
import zipfile
from uuid import uuid4

import openpyxl
import psycopg
import pyarrow.parquet as pq
import pytest

from exporter.jobs.service import JobNotices
from exporter.model import Role
from tests.client import Client
from tests.conftest import sign_in


def body(source, **more):
    return {"datasource": source, "format": "csv", "filters": {"table": "orders"}, **more}


def test_the_documents_own_request_is_answered_as_the_document_says(admin, source):
    answer = admin.post(
        "exports/",
        {
            "datasource": source,
            "format": "csv",
            "filters": {
                "table": "orders",
                "columns": ["id", "city", "amount"],
                "limit": 1000,
                "where_conditions": [{"column": "amount", "operator": ">", "value": 10}],
            },
        },
    )
    assert answer.status_code == 201
    assert answer.json["success"] is True
    assert answer.json["message"] == "Export job created successfully"
    job = answer.json["data"]
    assert job["status"] in {"pending", "processing", "completed"}
    assert job["datasource"] == {"id": source, "name": "shop"}
    assert answer.headers["Location"] == f"/data-tools/api/v1/exports/{job['id']}/"


def test_a_csv_file_comes_back_value_by_value(admin, source):
    job = admin.export(body(source))
    rows = list(csv.reader(io.StringIO(admin.file(job).decode(), newline="")))
    assert rows[0] == ["id", "city", "amount", "age", "note", "created_at"]
    assert rows[1] == ["1", "Zürich", "10.5", "30", 'say "hi"', "2024-01-31 10:00:00"]
    assert rows[2][4] == "two\nlines"
    assert len(rows) == 5
    assert job["row_count"] == 4
    assert job["progress"] == 100
    assert job["file_name"].endswith(".csv")


def test_a_json_file_comes_back_value_by_value(admin, source):
    rows = json.loads(admin.file(admin.export(body(source, format="json"))))
    assert rows[2] == {
        "id": 3, "city": None, "amount": 3, "age": None, "note": "", "created_at": "2024-02-02 23:59:59",
    }  # fmt: skip


def test_a_parquet_file_comes_back_value_by_value(admin, source):
    job = admin.export(body(source, format="parquet"))
    table = pq.read_table(io.BytesIO(admin.file(job)))
    assert table.column("city").to_pylist() == ["Zürich", "Köln", None, "東京"]
    assert table.column("amount").to_pylist() == [10.5, 20.25, 3.0, 1e6]


def test_an_excel_file_comes_back_value_by_value(admin, source):
    job = admin.export(body(source, format="excel"))
    sheet = openpyxl.load_workbook(io.BytesIO(admin.file(job))).active
    rows = list(sheet.iter_rows(values_only=True))
    assert rows[1][:3] == (1, "Zürich", 10.5)
    assert rows[4][1] == "東京"


def test_a_completed_job_tells_everything_about_itself(admin, source):
    job = admin.export(body(source, name="monthly"))
    assert job["name"] == "monthly"
    assert job["phase"] == "done"
    assert job["file_size"] == len(admin.file(job))
    assert job["checksum"]["algorithm"] == "sha256"
    assert job["allowed_actions"] == ["download", "delete"]
    assert job["attempt"] == 1
    assert job["rows_total_kind"] == "exact"
    assert [attempt["outcome"] for attempt in job["attempts"]] == ["completed"]
    assert job["download_url"] == f"/data-tools/api/v1/exports/{job['id']}/download/"
    assert job["options"]["delimiter"] == ","


def test_the_receipt_counts_the_rows_of_the_file(admin, source):
    job = admin.export(body(source, filters={"table": "orders", "limit": 3}))
    receipt = admin.get(f"exports/{job['id']}/receipt/").json["data"]
    assert receipt["row_count"] == receipt["rows_in_file"] == 3
    assert receipt["limit_applied"] == {"limit": 3, "source": "request"}
    assert receipt["checksum"] == job["checksum"]
    assert receipt["columns"][1]["nulls"] == 1
    assert [warning["code"] for warning in job["warnings"]] == ["rows_cut"]


def test_a_limit_that_cuts_nothing_warns_of_nothing(admin, source):
    job = admin.export(body(source, filters={"table": "orders", "limit": 4}))
    receipt = admin.get(f"exports/{job['id']}/receipt/").json["data"]
    assert receipt["limit_applied"] is None
    assert job["warnings"] == []


def test_the_servers_ceiling_cuts_rows_with_a_warning(make_app, shop):
    app = make_app(EXPORTER_MAX_ROWS="2")
    client = sign_in(app, app.extensions["exporter"], "ada", Role.ADMIN)
    made = client.post("datasources/", {"name": "shop", "url": f"sqlite:///{shop}"})
    job = client.export(body(made.json["data"]["id"]))
    assert job["row_count"] == 2
    receipt = client.get(f"exports/{job['id']}/receipt/").json["data"]
    assert receipt["limit_applied"] == {"limit": 2, "source": "setting"}
    assert job["warnings"][0]["code"] == "rows_cut"


def test_all_faults_of_a_request_are_told_at_once(admin, source):
    answer = admin.post(
        "exports/",
        {
            "datasource": source,
            "format": "xml",
            "colour": "red",
            "filters": {
                "table": "orders",
                "columns": ["id", "nope"],
                "where_conditions": [{"column": "id", "operator": "~", "value": 1}],
                "limit": 0,
            },
        },
    )
    assert answer.status_code == 400
    error = answer.json["error"]
    assert error["format"] == "Invalid format. Must be one of: csv, json, parquet, excel"
    assert "Unknown" in error["colour"]
    assert "limit" in error["filters"]
    assert "operator" in error["filters"]["where_conditions"]["0"]


def test_a_wrong_column_is_a_400_and_no_job(admin, source):
    answer = admin.post("exports/", body(source, filters={"table": "orders", "columns": ["id", "nope"]}))
    assert answer.status_code == 400
    assert "nope" in str(answer.json["error"]["filters"]["columns"])
    assert admin.get("exports/").json["data"]["pagination"]["total_count"] == 0


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"datasource": str(uuid4())}, "datasource"),
        ({"datasource": 5}, "datasource"),
        ({"template": str(uuid4())}, "template"),
        ({"options": {"colour": "red"}}, "options"),
        ({"options": {"delimiter": "ab"}}, "options"),
        ({"filters": {}}, "filters"),
        ({"filters": {"table": "nope"}}, "filters"),
        ({"filters": []}, "filters"),
        ({"name": ""}, "name"),
    ],
)
def test_a_fault_is_told_at_its_field(admin, source, change, field):
    answer = admin.post("exports/", body(source, **change))
    assert answer.status_code == 400
    assert list(answer.json["error"]) == [field]


def test_an_endless_export_is_cancelled_at_once_and_leaves_no_file(admin, source, services):
    job_id = admin.post("exports/", body(source, filters={"table": "endless"})).json["data"]["id"]
    admin.until(job_id, "processing")
    answer = admin.post(f"exports/{job_id}/cancel/")
    assert answer.status_code == 200
    assert answer.json["message"] == "Export job cancelled successfully"
    assert answer.json["data"]["status"] == "cancelled"
    assert answer.json["data"]["completed_at"]
    assert services.engine.stop(grace=10)
    job = admin.job(job_id)
    assert job["status"] == "cancelled"
    assert job["stopped_at"]
    assert services.artifacts.staged() == set()
    assert services.artifacts.keys() == set()


def test_a_cancel_accepted_by_another_process_reaches_the_worker(admin, source, services):
    job_id = admin.post("exports/", body(source, filters={"table": "endless"})).json["data"]["id"]
    admin.until(job_id, "processing")
    quiet = JobNotices()
    services.jobs._notices.cancelled = quiet.cancelled
    assert admin.post(f"exports/{job_id}/cancel/").status_code == 200
    assert services.engine.stop(grace=10)
    assert services.artifacts.staged() == set()


def test_a_finished_job_cannot_be_cancelled_or_retried(admin, source):
    job = admin.export(body(source))
    assert admin.post(f"exports/{job['id']}/cancel/").status_code == 409
    assert admin.post(f"exports/{job['id']}/retry/").status_code == 409


def test_a_cancelled_job_can_be_retried_and_keeps_its_past(admin, source, services):
    job_id = admin.post("exports/", body(source, filters={"table": "endless"})).json["data"]["id"]
    admin.until(job_id, "processing")
    admin.post(f"exports/{job_id}/cancel/")
    assert admin.post(f"exports/{job_id}/cancel/").status_code == 409
    answer = admin.post(f"exports/{job_id}/retry/")
    assert answer.status_code == 200
    assert answer.json["message"] == "Export job retried successfully"
    admin.until(job_id, "processing")
    assert admin.job(job_id)["attempt"] == 2
    admin.post(f"exports/{job_id}/cancel/")
    assert [attempt["outcome"] for attempt in admin.job(job_id)["attempts"]] == ["cancelled", "cancelled"]


def test_a_processing_job_cannot_be_deleted(admin, source):
    job_id = admin.post("exports/", body(source, filters={"table": "endless"})).json["data"]["id"]
    admin.until(job_id, "processing")
    answer = admin.delete(f"exports/{job_id}/")
    assert answer.status_code == 409
    assert answer.json["error"] == "Cannot delete job that is currently processing. Cancel it first."
    admin.post(f"exports/{job_id}/cancel/")


def test_a_deleted_job_is_gone_with_its_file(admin, source, services):
    job = admin.export(body(source))
    answer = admin.delete(f"exports/{job['id']}/")
    assert answer.json == {"success": True, "message": "Export job deleted successfully", "data": {}}
    assert admin.get(f"exports/{job['id']}/").status_code == 404
    assert services.artifacts.keys() == set()


def test_a_failing_export_leaves_no_file_and_a_sentence_and_can_be_retried(make_app, shop):
    app = make_app(EXPORTER_WORKERS="1")
    services = app.extensions["exporter"]
    client = sign_in(app, services, "ada", Role.ADMIN)
    source = client.post("datasources/", {"name": "s", "url": f"sqlite:///{shop}"}).json["data"]["id"]
    first = client.post("exports/", body(source, filters={"table": "endless"})).json["data"]["id"]
    client.until(first, "processing")
    second = client.post("exports/", body(source)).json["data"]["id"]
    shop.rename(shop.with_suffix(".away"))  # between the request and its turn
    client.post(f"exports/{first}/cancel/")
    job = client.until(second, "failed")
    assert job["error_code"] == "source_refused"
    assert "no such file" in job["error_message"].lower() or "not" in job["error_message"].lower()
    assert job["allowed_actions"] == ["retry", "delete"]
    assert services.artifacts.keys() == set()
    shop.with_suffix(".away").rename(shop)
    assert client.post(f"exports/{second}/retry/").status_code == 200
    job = client.until(second, "completed")
    assert [attempt["outcome"] for attempt in job["attempts"]] == ["failed", "completed"]


def test_the_list_is_filtered_ordered_and_paged(admin, source):
    for name in ("csv", "json", "csv"):
        admin.export(body(source, format=name))
    answer = admin.get("exports/?page=1&page_size=2&status=completed&format=csv&ordering=created_at")
    data = answer.json["data"]
    assert answer.json["message"] == "Export jobs retrieved successfully"
    assert data["pagination"] == {
        "total_count": 2, "page_count": 1, "current_page": 1, "has_next": False, "has_previous": False, "page_size": 2,
    }  # fmt: skip
    created = [job["created_at"] for job in data["export_jobs"]]
    assert created == sorted(created)
    assert admin.get("exports/?search=SHO").json["data"]["pagination"]["total_count"] == 3
    assert admin.get("exports/?search=%25").json["data"]["pagination"]["total_count"] == 0
    assert admin.get("exports/?page=9").json["data"]["export_jobs"] == []
    assert admin.get(f"exports/?datasource={uuid4()}").json["data"]["export_jobs"] == []


@pytest.mark.parametrize(
    "query",
    [
        "page=0",
        "page=x",
        "page_size=101",
        "status=done",
        "format=xml",
        "ordering=name",
        "colour=red",
        "page=1&page=2",
    ],
)
def test_a_bad_parameter_of_the_list_is_a_400(admin, query):
    answer = admin.get(f"exports/?{query}")
    assert answer.status_code == 400
    assert list(answer.json["error"]) == [query.partition("=")[0]]


def test_the_same_idempotency_key_creates_one_job(admin, source):
    headers = {"Idempotency-Key": "nightly-1"}
    first = admin.post("exports/", body(source), headers=headers)
    again = admin.post("exports/", body(source), headers=headers)
    other = admin.post("exports/", body(source, format="json"), headers=headers)
    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 422)
    assert first.json["data"]["id"] == again.json["data"]["id"]
    assert admin.get("exports/").json["data"]["pagination"]["total_count"] == 1


def test_a_full_queue_is_refused_and_leaves_no_trace(make_app, shop):
    app = make_app(EXPORTER_MAX_PENDING_PER_USER="1", EXPORTER_MAX_PENDING="2", EXPORTER_WORKERS="1")
    services = app.extensions["exporter"]
    clients = [sign_in(app, services, name, Role.ADMIN) for name in ("ada", "bea", "cleo")]
    source = clients[0].post("datasources/", {"name": "s", "url": f"sqlite:///{shop}"}).json["data"]["id"]
    endless = body(source, filters={"table": "endless"})
    running = clients[0].post("exports/", endless).json["data"]["id"]
    clients[0].until(running, "processing")
    assert clients[0].post("exports/", endless).status_code == 201
    own = clients[0].post("exports/", endless)
    assert own.status_code == 429
    assert int(own.headers["Retry-After"]) > 0
    assert clients[1].post("exports/", endless).status_code == 201
    full = clients[2].post("exports/", endless)
    assert full.status_code == 503
    assert int(full.headers["Retry-After"]) > 0
    assert clients[0].get("exports/").json["data"]["pagination"]["total_count"] == 3
    for job in clients[0].get("exports/").json["data"]["export_jobs"]:
        clients[0].post(f"exports/{job['id']}/cancel/")


def test_too_little_disk_refuses_a_new_job(make_app, shop):
    app = make_app(EXPORTER_MIN_FREE_BYTES=str(2**62))
    client: Client = sign_in(app, app.extensions["exporter"], "ada", Role.ADMIN)
    source = client.post("datasources/", {"name": "s", "url": f"sqlite:///{shop}"}).json["data"]["id"]
    assert client.post("exports/", body(source)).status_code == 507


def test_faults_of_shape_and_of_names_are_told_together(admin, source):
    filters = {"table": "orders", "columns": ["nope"], "limit": 0, "order_by": "neither DESC"}
    error = admin.post("exports/", body(source, filters=filters)).json["error"]["filters"]
    assert set(error) == {"columns", "limit", "order_by"}


def test_a_repeated_request_finds_its_job_even_when_the_database_has_gone(admin, source, shop):
    headers = {"Idempotency-Key": "k"}
    first = admin.post("exports/", body(source), headers=headers).json["data"]["id"]
    admin.until(first, "completed")
    shop.unlink()
    again = admin.post("exports/", body(source), headers=headers)
    assert (again.status_code, again.json["data"]["id"]) == (200, first)


def test_a_zip_holds_one_member_named_like_the_file(admin, source):
    job = admin.export(body(source, options={"compression": "zip", "file_name": "{datasource}-all"}))
    assert job["file_name"] == "shop-all.csv.zip"
    with zipfile.ZipFile(io.BytesIO(admin.file(job))) as archive:
        assert archive.namelist() == ["shop-all.csv"]


@pytest.mark.postgres
def test_an_enums_unknown_label_is_a_400_and_no_failed_job(admin, postgres_database):
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute("CREATE TYPE mood AS ENUM ('good', 'bad')")
        connection.execute("CREATE TABLE days (id int, mood mood)")
    made = admin.post("datasources/", {"name": "pg", "url": postgres_database, "table": "days"}).json["data"]
    where = [{"column": "mood", "operator": "=", "value": "purple"}]
    answer = admin.post("exports/", body(made["id"], filters={"where_conditions": where}))
    assert answer.status_code == 400
    assert "purple" in str(answer.json["error"]["filters"]["where_conditions"])
