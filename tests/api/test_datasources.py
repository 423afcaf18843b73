"""Datasources over REST."""

import apsw
import psycopg
import pytest


def test_an_admin_registers_a_database_and_members_see_no_url(admin, member, shop):
    body = {"name": "shop", "url": f"sqlite:///{shop.name}", "table": "orders", "is_shared": True}
    made = admin.post("datasources/", body)
    assert made.status_code == 201
    data = made.json["data"]
    assert (data["kind"], data["table"], data["is_shared"]) == ("sqlite", "orders", True)
    assert "url" not in data
    (listed,) = member.get("datasources/").json["data"]["datasources"]
    assert listed["name"] == "shop"
    assert "shop.db" not in str(listed)


def test_a_member_may_not_manage_datasources(member, source):
    body = {"name": "x", "url": "sqlite:///x.db"}
    assert member.post("datasources/", body).status_code == 403
    assert member.put(f"datasources/{source}/", body).status_code == 403
    assert member.delete(f"datasources/{source}/").status_code == 403


def test_an_unshared_datasource_is_not_there_for_a_member(admin, member, shop):
    made = admin.post("datasources/", {"name": "own", "url": f"sqlite:///{shop}"}).json["data"]
    assert member.get("datasources/").json["data"]["datasources"] == []
    assert member.get(f"datasources/{made['id']}/").json["error"] == "Datasource not found"
    body = {"datasource": made["id"], "format": "csv", "filters": {"table": "orders"}}
    assert member.post("exports/", body).json["error"] == {"datasource": "Datasource not found"}


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///missing.db",
        "sqlite:////etc/passwd",
        "sqlite:///exporter.sqlite3",
        "sqlite:///.",
        "mysql://u:secretpw@h/d",
        "postgresql://u:secretpw@127.0.0.1:1/d",
        "nonsense",
        "",
    ],
)
def test_a_database_that_does_not_answer_is_a_400_on_url_with_no_password(admin, url):
    answer = admin.post("datasources/", {"name": "x", "url": url})
    assert answer.status_code == 400
    assert list(answer.json["error"]) == ["url"]
    assert "secretpw" not in answer.text


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"table": "nope"}, "table"),
        ({"query": "DELETE FROM orders"}, "query"),
        ({"query": "SELECT 1 AS a; SELECT 2"}, "query"),
        ({"query": "SELECT 1 AS a", "table": "orders"}, "query"),
        ({"table": "orders", "date_column": "nope"}, "date_column"),
        ({"is_shared": "yes"}, "is_shared"),
        ({"name": ""}, "name"),
    ],
)
def test_a_faulty_registration_is_told_at_its_field(admin, shop, more, field):
    answer = admin.post("datasources/", {"name": "x", "url": f"sqlite:///{shop}", **more})
    assert answer.status_code == 400
    assert list(answer.json["error"]) == [field]


def test_a_saved_query_is_exported_like_a_table(admin, shop):
    query = "SELECT city, amount * 2 AS doubled FROM orders WHERE id < 3"
    made = admin.post("datasources/", {"name": "q", "url": f"sqlite:///{shop}", "query": query}).json["data"]
    columns = admin.get(f"datasources/{made['id']}/columns/").json["data"]["columns"]
    assert [column["name"] for column in columns] == ["city", "doubled"]
    body = {
        "datasource": made["id"],
        "format": "csv",
        "filters": {"where_conditions": [{"column": "doubled", "operator": ">", "value": 30}]},
    }
    assert admin.file(admin.export(body)).decode().splitlines()[1:] == ['"Köln",40.5']


def test_tables_and_columns_are_reflected(member, source):
    tables = member.get(f"datasources/{source}/tables/").json["data"]["tables"]
    assert {table["name"]: table["kind"] for table in tables} == {
        "orders": "table", "numbers": "table", "endless": "view",
    }  # fmt: skip
    columns = member.get(f"datasources/{source}/columns/?table=orders").json["data"]["columns"]
    assert columns[0] == {
        "name": "id", "database_type": "INTEGER", "nullable": False, "exported_type": "int64",
    }  # fmt: skip
    assert member.get(f"datasources/{source}/columns/").status_code == 400
    assert member.get(f"datasources/{source}/columns/?table=nope").status_code == 400


def test_a_connection_test_tells_version_and_time(member, source):
    data = member.post(f"datasources/{source}/test/").json["data"]
    assert data["server_version"].startswith("3.")
    assert data["milliseconds"] >= 0


def test_an_update_without_url_keeps_the_old_one(admin, source):
    changed = admin.put(f"datasources/{source}/", {"name": "renamed", "is_shared": True})
    assert changed.json["data"]["name"] == "renamed"
    assert admin.post(f"datasources/{source}/test/").status_code == 200


def test_a_name_is_unique(admin, source, shop):
    assert admin.post("datasources/", {"name": "shop", "url": f"sqlite:///{shop}"}).status_code == 409


def test_a_busy_datasource_stays_and_a_deleted_one_leaves_its_jobs(admin, source):
    body = {"datasource": source, "format": "csv", "filters": {"table": "endless"}}
    job_id = admin.post("exports/", body).json["data"]["id"]
    assert admin.delete(f"datasources/{source}/").status_code == 409
    admin.post(f"exports/{job_id}/cancel/")
    assert admin.delete(f"datasources/{source}/").status_code == 200
    assert admin.job(job_id)["datasource"] == {"id": None, "name": "shop"}


def test_the_url_is_encrypted_at_rest(admin, shop, services, instance):
    admin.post("datasources/", {"name": "shop", "url": f"sqlite:///{shop}"})
    stored = b"".join(path.read_bytes() for path in instance.glob("exporter.sqlite3*"))
    assert b"shop.db" not in stored


def test_a_bound_datasource_shows_no_other_table(admin, member, shop):
    body = {"name": "one", "url": f"sqlite:///{shop}", "table": "orders", "is_shared": True}
    made = admin.post("datasources/", body).json["data"]
    tables = member.get(f"datasources/{made['id']}/tables/").json["data"]["tables"]
    assert [table["name"] for table in tables] == ["orders"]
    body = {"name": "two", "url": f"sqlite:///{shop}", "query": "SELECT 1 AS n", "is_shared": True}
    made = admin.post("datasources/", body).json["data"]
    assert member.get(f"datasources/{made['id']}/tables/").json["data"]["tables"] == []


def test_a_view_on_a_table_that_is_gone_is_told_at_the_table(admin, source, shop):
    connection = apsw.Connection(str(shop))
    connection.execute("CREATE TABLE away (n); CREATE VIEW broken AS SELECT * FROM away; DROP TABLE away")
    connection.close()
    body = {"datasource": source, "format": "csv", "filters": {"table": "broken"}}
    answer = admin.post("exports/", body)
    assert answer.status_code == 400
    assert "away" in answer.json["error"]["filters"]["table"]


@pytest.mark.postgres
def test_a_table_without_columns_is_told_at_the_table(admin, postgres_database):
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE nothing ()")
    made = admin.post("datasources/", {"name": "pg", "url": postgres_database}).json["data"]
    body = {"datasource": made["id"], "format": "csv", "filters": {"table": "nothing"}}
    answer = admin.post("exports/", body)
    assert answer.status_code == 400
    assert "no columns" in answer.json["error"]["filters"]["table"]
