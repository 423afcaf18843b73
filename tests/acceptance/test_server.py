"""The server as its users meet it: a process of its own, HTTP, signals, and SIGKILL."""

import json
import signal
import time

import apsw
import pytest

from tests.server import DEADLINE_SECONDS, serving


@pytest.fixture
def server(instance, shop):
    with serving(instance, shop) as running:
        yield running


def test_a_job_goes_from_request_to_file_over_real_http(server):
    job = server.until(server.submit("orders"), "completed")
    status, content = server.call("GET", f"exports/{job['id']}/download/")
    assert (status, len(content)) == (200, job["file_size"])
    status, part = server.call("GET", f"exports/{job['id']}/download/", Range="bytes=10-19")
    assert (status, part) == (206, content[10:20])
    status, nothing = server.call("HEAD", f"exports/{job['id']}/download/")
    assert (status, nothing) == (200, b"")


def test_sigterm_puts_a_long_export_back_in_the_queue_and_ends_with_0(server, instance):
    job_id = server.submit("endless")
    server.until(job_id, "processing")
    code, log = server.stop()
    assert code == 0
    assert "go back to the queue" in log
    assert list((instance / "exports" / ".staged").iterdir()) == []
    server.start()
    again = server.until(job_id, "processing")
    assert again["attempt"] == 2
    server.data("POST", f"exports/{job_id}/cancel/")
    assert server.data("GET", f"exports/{job_id}/")["attempts"][0]["outcome"] == "released"


def test_a_second_sigterm_ends_at_once_with_1(server):
    server.stop()
    server.environ["EXPORTER_SHUTDOWN_GRACE_SECONDS"] = "600"
    server.start()
    job_id = server.submit("endless")
    server.until(job_id, "processing")
    server.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + DEADLINE_SECONDS
    while server.call("POST", "exports/", {})[0] != 503:  # the door is closed: the first one arrived
        assert time.monotonic() < deadline
    code, _ = server.stop()
    assert code == 1


def test_a_killed_servers_job_is_taken_up_by_the_next_one(server, instance):
    job_id = server.submit("endless")
    server.until(job_id, "processing")
    server.stop(signal.SIGKILL)
    server.start()
    again = server.until(job_id, "processing")
    assert again["attempt"] == 2
    server.data("POST", f"exports/{job_id}/cancel/")
    job = server.data("GET", f"exports/{job_id}/")
    assert [attempt["outcome"] for attempt in job["attempts"]] == ["worker_lost", "cancelled"]
    server.until(server.submit("orders"), "completed")


def test_a_second_server_is_refused_and_told_who_serves(server):
    answer = server.command("serve", "--port", "0")
    assert answer.returncode == 1
    assert f"process {server.process.pid} " in answer.stderr


def test_a_command_hands_its_job_to_the_server_that_runs(server, tmp_path):
    target = tmp_path / "orders.json"
    answer = server.command(
        "exports", "create", "shop", "--table", "orders", "--format", "json", "--output", str(target)
    )
    assert answer.returncode == 0, answer.stderr
    assert "Handed to the server" in answer.stderr
    assert len(json.loads(target.read_text())) == 4


def test_a_huge_body_gets_an_answer(server):
    status, answer = server.call("POST", "exports/", {"name": "x" * 2 * 1024 * 1024})
    assert status == 413
    assert json.loads(answer)["success"] is False


def test_the_source_is_untouched_and_reads_of_it_are_from_one_moment(server, shop):
    job_id = server.submit("endless")
    server.until(job_id, "processing")
    writer = apsw.Connection(str(shop))
    writer.execute("PRAGMA busy_timeout = 10000")
    server.data("POST", f"exports/{job_id}/cancel/")
    writer.execute("INSERT INTO numbers VALUES (0)")
    writer.close()
    assert server.until(server.submit("numbers"), "completed")["row_count"] == 1001
