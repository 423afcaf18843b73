"""A source that nobody wrote to is not opened for each request, and whatever changed is found out before a job is made."""

import os
import shutil
import time

import apsw
import pytest
import time_machine

pytestmark = pytest.mark.usefixtures("nothing_runs")

LATER = 60  # seconds: the file has long been at rest


@pytest.fixture
def asked(source):
    """A request that names a column."""
    return {"datasource": source, "format": "csv", "filters": {"table": "orders", "columns": ["id", "note"]}}


@pytest.fixture(params=["delete", "wal"])
def writer(shop, request):
    """The database's owner, who has been writing to it in this journal mode."""
    connection = apsw.Connection(str(shop))
    connection.execute(f"PRAGMA journal_mode={request.param}")
    connection.execute("UPDATE numbers SET n = n")
    yield connection
    connection.close()


@pytest.fixture
def at_rest():
    with time_machine.travel(time.time() + LATER):
        yield


def create(client, asked):
    answer = client.post("exports/", asked)
    return answer.status_code, answer.json


@pytest.mark.usefixtures("at_rest")
def test_a_request_is_checked_without_the_source_when_nothing_has_changed(admin, asked, shop):
    assert create(admin, asked)[0] == 201
    holder = apsw.Connection(str(shop))
    holder.execute("BEGIN EXCLUSIVE")  # whoever opens the file now has to wait
    try:
        assert create(admin, asked)[0] == 201
        wrong = {**asked, "filters": {"table": "orders", "columns": ["nope"]}}
        status, told = create(admin, wrong)
        assert (status, list(told["error"]["filters"]["columns"])) == (400, ["0"])
    finally:
        holder.close()


@pytest.mark.usefixtures("at_rest")
@pytest.mark.parametrize(
    "change",
    ["ALTER TABLE orders DROP COLUMN note", "ALTER TABLE orders RENAME TO older", "DROP TABLE orders"],
)
def test_a_column_or_table_that_has_gone_since_is_found_out(admin, asked, writer, change):
    assert create(admin, asked)[0] == 201
    writer.execute(change)
    status, told = create(admin, asked)
    assert (status, list(told["error"])) == (400, ["filters"]), told


@pytest.mark.usefixtures("at_rest")
def test_a_column_that_came_is_there_at_once(admin, asked, writer):
    asked["filters"]["columns"] = ["id", "fresh"]
    assert create(admin, {**asked, "filters": {"table": "orders"}})[0] == 201
    assert create(admin, asked)[0] == 400
    writer.execute("ALTER TABLE orders ADD COLUMN fresh TEXT")
    assert create(admin, asked)[0] == 201


@pytest.mark.usefixtures("at_rest")
def test_a_file_put_in_its_place_with_the_same_size_and_time_is_found_out(admin, asked, shop, tmp_path):
    assert create(admin, asked)[0] == 201
    before = shop.stat()
    other = tmp_path / "other.db"
    shutil.copy(shop, other)
    connection = apsw.Connection(str(other))
    connection.execute("ALTER TABLE orders RENAME COLUMN note TO hint")
    connection.close()
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert other.stat().st_size == before.st_size
    other.replace(shop)
    assert create(admin, asked)[0] == 400


@pytest.mark.usefixtures("at_rest")
def test_a_file_that_has_gone_since_is_found_out(admin, asked, shop):
    assert create(admin, asked)[0] == 201
    shop.unlink()
    status, told = create(admin, asked)
    assert (status, list(told["error"])) == (400, ["datasource"])
