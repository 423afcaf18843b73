"""The rules for files are held at every open, not only at the registration."""

import shutil

import pytest

from tests.conftest import make_shop


@pytest.fixture
def registered(admin, instance):
    path = instance / "later.db"
    make_shop(path)
    made = admin.post("datasources/", {"name": "later", "url": f"sqlite:///{path}"})
    assert made.status_code == 201
    return path, made.json["data"]["id"]


def refused(admin, source):
    """Ask in every way that opens the file; give the reasons."""
    body = {"datasource": source, "format": "csv", "filters": {"table": "orders"}}
    answers = [
        admin.post(f"datasources/{source}/test/"),
        admin.get(f"datasources/{source}/tables/"),
        admin.get(f"datasources/{source}/columns/?table=orders"),
        admin.post(f"datasources/{source}/preview/", {"table": "orders"}),
        admin.post("exports/estimate/", body),
        admin.post("exports/", body),
    ]
    assert {answer.status_code for answer in answers} == {400}
    return {str(answer.json["error"]) for answer in answers}


def test_a_file_that_became_a_link_out_of_the_roots_is_refused(admin, registered, tmp_path):
    path, source = registered
    outside = tmp_path / "outside.db"
    shutil.move(path, outside)
    path.symlink_to(outside)
    assert all("SQLITE_ROOTS" in reason for reason in refused(admin, source))


def test_a_file_that_became_the_servers_own_database_is_refused(admin, registered, instance):
    path, source = registered
    path.unlink()
    path.hardlink_to(instance / "exporter.sqlite3")
    assert all("the server's own database" in reason for reason in refused(admin, source))


@pytest.mark.parametrize("kind", ["folder", "pipe", "nothing"])
def test_a_file_that_is_none_any_more_is_refused(admin, registered, kind):
    import os

    path, source = registered
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    refused(admin, source)


def test_a_saved_query_cannot_attach_write_or_read_files(admin, shop, instance):
    for query in (
        f"ATTACH '{instance / 'new.db'}' AS x",
        f"SELECT * FROM orders; ATTACH '{instance / 'new.db'}' AS x",
        "SELECT load_extension('x')",
        "SELECT readfile('/etc/passwd')",
        "DELETE FROM orders",
        "SELECT * FROM pragma_database_list",
        "PRAGMA writable_schema = 1",
        "VACUUM INTO '/tmp/x'",
    ):
        body = {"name": "q", "url": f"sqlite:///{shop}", "query": query}
        answer = admin.post("datasources/", body)
        assert answer.status_code == 400, query
        assert list(answer.json["error"]) == ["query"], query
    assert not (instance / "new.db").exists()
