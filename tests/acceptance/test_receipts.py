"""Every key of a receipt, held against facts that somebody else found out."""

import hashlib
import io
from contextlib import closing
from datetime import UTC, datetime, timedelta

import apsw
import psycopg
import pyarrow.parquet as pq
import pytest

from exporter.formats import registry
from exporter.formats.options import parse_options
from exporter.model import Role
from tests.acceptance.exporting import Desk
from tests.conftest import sign_in
from tests.postgres_server import execute

KEYS = {
    "job_id", "attempt", "datasource", "format", "options", "include_headers", "sql", "sql_parameters", "row_count", "rows_in_file",
    "limit_applied", "columns", "file_size", "checksum", "snapshot", "started_at", "completed_at", "server_version",
}  # fmt: skip
FORMATS = ["csv", "json", "parquet", "excel"]


@pytest.fixture
def desk(admin, shop):
    return Desk(admin, f"sqlite:///{shop}")


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_receipt_says_what_was_asked_and_what_was_written(desk, format_name):
    before = datetime.now(UTC) - timedelta(seconds=1)
    done = desk.export("orders", format_name, {"columns": ["note", "age"]})
    after = datetime.now(UTC) + timedelta(seconds=1)
    receipt = done.receipt
    assert set(receipt) >= KEYS
    assert (receipt["job_id"], receipt["attempt"], receipt["format"]) == (done.job["id"], 1, format_name)
    assert receipt["datasource"] == done.job["datasource"]
    assert receipt["options"] == parse_options(registry.get(format_name), {}, defaults={})
    assert receipt["row_count"] == receipt["rows_in_file"] == 4
    assert receipt["limit_applied"] is None
    assert [(c["name"], c["database_type"], c["nulls"]) for c in receipt["columns"]] == [
        ("note", "TEXT", 1),
        ("age", "INTEGER", 1),
    ]
    assert receipt["file_size"] == len(done.content) == done.job["file_size"]
    assert receipt["checksum"] == {"algorithm": "sha256", "value": hashlib.sha256(done.content).hexdigest()}
    assert receipt["server_version"] == apsw.sqlite_lib_version()
    moments = [receipt["started_at"], receipt["snapshot"]["time"], receipt["completed_at"]]
    started, taken, completed = map(datetime.fromisoformat, moments)
    assert before <= started <= completed <= after
    assert before <= taken <= after


def test_the_sql_of_a_receipt_gives_the_rows_of_the_file_again(desk, shop):
    conditions = [
        {"column": "age", "operator": ">", "value": 18},
        {"column": "city", "operator": "!=", "value": "it's"},
    ]
    done = desk.export(
        "orders", "json", {"where_conditions": conditions, "order_by": "id DESC"}, layout="columns"
    )
    receipt = done.receipt
    with closing(apsw.Connection(str(shop))) as connection:
        again = list(connection.execute(receipt["sql"], receipt["sql_parameters"]))
    assert [row[0] for row in again] == [4, 1]
    assert receipt["row_count"] == len(again)
    assert {18, "it's"} <= set(receipt["sql_parameters"].values())
    assert "it's" not in receipt["sql"]


def test_a_limit_that_cut_rows_is_in_the_receipt(desk):
    done = desk.export("numbers", "csv", {"limit": 10})
    assert done.receipt["limit_applied"] == {"limit": 10, "source": "request"}
    assert done.receipt["row_count"] == 10
    assert desk.export("numbers", "csv", {"limit": 1000}).receipt["limit_applied"] is None


def test_the_exported_types_of_a_receipt_are_those_of_the_file(desk):
    done = desk.export("orders", "parquet")
    schema = pq.read_schema(io.BytesIO(done.content))
    assert [(c["name"], c["exported_type"]) for c in done.receipt["columns"]] == [
        (f.name, str(f.type)) for f in schema
    ]


def test_a_second_attempt_has_its_own_receipt(admin, shop):
    broken = {
        "datasource": None,
        "format": "csv",
        "filters": {"table": "late"},
        "options": {"encoding": "iso-8859-1"},
    }
    with closing(apsw.Connection(str(shop))) as connection:
        connection.execute("CREATE TABLE late (t TEXT)")
        connection.execute("INSERT INTO late VALUES ('→')")
    made = admin.post("datasources/", {"name": "late", "url": f"sqlite:///{shop}"})
    failed = admin.export(broken | {"datasource": made.json["data"]["id"]})
    assert failed["error_code"] == "value_unwritable"
    assert admin.get(f"exports/{failed['id']}/receipt/").status_code == 409
    with closing(apsw.Connection(str(shop))) as connection:
        connection.execute("UPDATE late SET t = 'x'")
    assert admin.post(f"exports/{failed['id']}/retry/").status_code == 200
    admin.until(failed["id"], "completed")
    receipt = admin.get(f"exports/{failed['id']}/receipt/").json["data"]
    assert (receipt["attempt"], receipt["row_count"]) == (2, 1)


@pytest.mark.postgres
@pytest.mark.parametrize("format_name", FORMATS)
def test_a_receipt_of_postgresql_names_its_server_and_its_snapshot(
    app, services, postgres_database, format_name
):
    execute(
        postgres_database, "CREATE TABLE t AS SELECT n, nullif(n % 3, 0) AS m FROM generate_series(1, 9) n"
    )
    desk = Desk(sign_in(app, services, "ada", Role.ADMIN), postgres_database)
    receipt = desk.export("t", format_name).receipt
    with psycopg.connect(postgres_database) as connection:
        ((version, snapshot),) = connection.execute(
            "SELECT current_setting('server_version'), pg_current_snapshot()::text"
        )
    assert receipt["server_version"] == version
    assert receipt["snapshot"]["kind"] == "one transaction"
    first, now = (list(map(int, text.split(":")[:2])) for text in (receipt["snapshot"]["id"], snapshot))
    assert all(a <= b for a, b in zip(first, now, strict=True))
    assert receipt["row_count"] == receipt["rows_in_file"] == 9
    assert [(c["name"], c["database_type"], c["nulls"]) for c in receipt["columns"]] == [
        ("n", "integer", 0),
        ("m", "integer", 3),
    ]
