"""Export jobs from a real PostgreSQL: the whole way, and what can go wrong on it."""

import csv
import io

import psycopg
import pytest

from exporter.model import Role
from tests.conftest import sign_in

pytestmark = pytest.mark.postgres
SLOW = "SELECT count(*) AS n FROM generate_series(1, 100000000) a, generate_series(1, 100000000) b"


@pytest.fixture
def database(postgres_database):
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA sales")
        connection.execute(
            'CREATE TABLE sales."Odd ""name" (id int PRIMARY KEY, "a b%" text, at timestamptz)'
        )
        connection.execute("""INSERT INTO sales."Odd ""name" VALUES
            (1, 'x\ty', '2024-01-31 23:59:59.999+00'), (2, NULL, '2024-02-01 00:00+00'), (3, '', 'infinity')""")
    return postgres_database


@pytest.fixture
def register(admin):
    def register(url, **more):
        answer = admin.post("datasources/", {"name": f"pg {len(more)}", "url": url, **more})
        assert answer.status_code == 201, answer.json
        return answer.json["data"]["id"]

    return register


def backends(url):
    with psycopg.connect(url, autocommit=True) as connection:
        sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        return connection.execute(sql).fetchone()[0]


def test_a_table_with_an_odd_name_comes_back_value_by_value(admin, register, database):
    filters = {
        "table": 'sales.Odd "name',
        "columns": ["a b%", "at"],
        "date_range": {"start": "2024-01-31", "end": "2024-01-31"},
    }
    source = register(database)
    job = admin.export({"datasource": source, "format": "csv", "filters": filters})
    rows = list(csv.reader(io.StringIO(admin.file(job).decode())))
    assert rows == [["a b%", "at"], ["x\ty", "2024-01-31 23:59:59.999+00"]]
    receipt = admin.get(f"exports/{job['id']}/receipt/").json["data"]
    assert receipt["snapshot"]["id"]
    assert receipt["columns"][0] == {
        "name": "a b%", "database_type": "text", "exported_type": "string", "nulls": 0,
    }  # fmt: skip
    assert backends(database) == 0


def test_what_parquet_cannot_hold_is_null_and_counted(admin, register, database):
    source = register(database, table='sales.Odd "name')
    job = admin.export({"datasource": source, "format": "parquet"})
    assert [(warning["code"], warning["count"]) for warning in job["warnings"]] == [("infinity_as_null", 1)]


def test_a_cancel_ends_the_query_in_the_server_too(admin, register, database, services):
    source = register(database, query=SLOW)
    job_id = admin.post("exports/", {"datasource": source, "format": "csv"}).json["data"]["id"]
    admin.until(job_id, "processing")
    assert admin.post(f"exports/{job_id}/cancel/").status_code == 200
    assert services.engine.stop(grace=10)
    assert admin.job(job_id)["stopped_at"]
    assert backends(database) == 0


def test_a_query_past_the_limit_fails_with_the_reason(make_app, database):
    app = make_app(EXPORTER_STATEMENT_TIMEOUT="1")
    client = sign_in(app, app.extensions["exporter"], "ada", Role.ADMIN)
    made = client.post("datasources/", {"name": "slow", "url": database, "query": SLOW}).json["data"]
    job = client.export({"datasource": made["id"], "format": "csv"})
    assert (job["status"], job["error_code"]) == ("failed", "query_timeout")
    assert "STATEMENT_TIMEOUT" in job["error_message"]
    assert backends(database) == 0


def test_a_table_dropped_between_request_and_run_fails_the_job_with_its_name(make_app, database):
    app = make_app(EXPORTER_WORKERS="1")
    services = app.extensions["exporter"]
    client = sign_in(app, services, "ada", Role.ADMIN)
    slow = client.post("datasources/", {"name": "slow", "url": database, "query": SLOW}).json["data"]["id"]
    source = client.post("datasources/", {"name": "pg", "url": database}).json["data"]["id"]
    first = client.post("exports/", {"datasource": slow, "format": "csv"}).json["data"]["id"]
    client.until(first, "processing")
    body = {"datasource": source, "format": "csv", "filters": {"table": 'sales.Odd "name'}}
    second = client.post("exports/", body).json["data"]["id"]
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute('DROP TABLE sales."Odd ""name"')
    client.post(f"exports/{first}/cancel/")
    job = client.until(second, "failed")
    assert 'Odd "name' in job["error_message"]


def test_no_password_is_told_or_logged(admin, database, caplog, instance, services):
    url = database.replace("://", "://nobody:Marker-Pw-7@", 1) if "@" not in database else None
    url = url or f"postgresql://nobody:Marker-Pw-7@{database.rpartition('@')[2]}"
    answer = admin.post("datasources/", {"name": "x", "url": url})
    assert "Marker-Pw-7" not in answer.text
    assert "Marker-Pw-7" not in caplog.text
    assert b"Marker-Pw-7" not in b"".join(path.read_bytes() for path in instance.glob("exporter.sqlite3*"))


def test_a_superuser_is_registered_with_a_warning(admin, register, database):
    source = register(database)
    warnings = admin.get(f"datasources/{source}/").json["data"]["warnings"]
    assert any("superuser" in warning for warning in warnings)
