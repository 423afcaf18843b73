"""What the calls that scripts make all day cost the app database: counts, which no loaded machine changes.

A transaction that writes ends on the disk, so that one more of those is more than one more statement.
"""

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from sqlalchemy import event

BEGINNINGS = {"BEGIN", "BEGIN IMMEDIATE"}


@dataclass
class Cost:
    statements: list[str] = field(default_factory=list)
    reads: int = 0
    writes: int = 0


@pytest.fixture
def cost(services):
    """Count what this thread asks of the app database; the server's own threads have their own business."""

    @contextmanager
    def counting():
        told, mine = Cost(), threading.get_ident()

        def note(connection, cursor, statement, parameters, context, many):
            if threading.get_ident() != mine:
                return
            if statement not in BEGINNINGS:
                told.statements.append(statement)
            told.reads += statement == "BEGIN"
            told.writes += statement == "BEGIN IMMEDIATE"

        engine = services.database.engine
        event.listen(engine, "before_cursor_execute", note)
        try:
            yield told
        finally:
            event.remove(engine, "before_cursor_execute", note)

    return counting


@pytest.fixture
def body(source):
    return {"datasource": source, "format": "csv", "filters": {"table": "orders"}}


@pytest.fixture
def script(admin):
    """The headers of a client with a token, which was used a moment ago."""
    token = admin.post("auth/tokens/", {"name": "script"}).json["data"]["token"]
    headers = {"Authorization": f"Bearer {token}"}
    assert admin.get("exports/", headers=headers).status_code == 200
    return headers


def test_creating_a_job_is_one_transaction_that_writes_and_six_statements(admin, script, body, cost):
    with cost() as told:
        assert admin.post("exports/", body, headers=script).status_code == 201
    assert (told.writes, told.reads, len(told.statements)) == (1, 2, 6), told.statements


def test_an_idempotency_key_costs_four_statements_more_and_no_transaction_that_writes(
    admin, script, body, cost
):
    keyed = {**script, "Idempotency-Key": "monday"}
    with cost() as told:
        assert admin.post("exports/", body, headers=keyed).status_code == 201
    assert (told.writes, told.reads, len(told.statements)) == (1, 3, 10), told.statements


def test_looking_at_a_job_is_three_statements_whatever_its_status(admin, script, body, cost):
    job = admin.export(body)
    with cost() as told:
        assert admin.get(f"exports/{job['id']}/", headers=script).status_code == 200
    assert (told.writes, told.reads, len(told.statements)) == (0, 2, 3), told.statements


@pytest.mark.usefixtures("nothing_runs")
def test_a_page_of_waiting_jobs_costs_no_statement_for_each(admin, script, body, cost):
    for _ in range(5):
        assert admin.post("exports/", body).status_code == 201
    with cost() as told:
        listed = admin.get("exports/", headers=script).json["data"]["export_jobs"]
    assert [job["queue_position"] for job in listed] == [5, 4, 3, 2, 1]
    assert (told.writes, told.reads, len(told.statements)) == (0, 2, 4), told.statements
