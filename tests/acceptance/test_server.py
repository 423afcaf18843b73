"""The server as its users meet it: a process of its own, HTTP, signals, and SIGKILL."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import suppress

import apsw
import pytest

API = "/data-tools/api/v1/"
DEADLINE_SECONDS = 60


class Server:
    """`exporter serve` on a free port, and a client with a token."""

    def __init__(self, instance, **environ):
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("EXPORTER_")},
            "EXPORTER_INSTANCE_PATH": str(instance),
            "EXPORTER_WORKERS": "2",
            "EXPORTER_SHUTDOWN_GRACE_SECONDS": "1",
            **environ,
        }
        self.process = None

    def command(self, *arguments, stdin=""):
        return subprocess.run(
            [sys.executable, "-m", "exporter", *arguments], env=self.environ, input=stdin,
            capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False,
        )  # fmt: skip

    def start(self):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "exporter", "serve", "--port", "0"],
            env=self.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        line = self.process.stdout.readline()
        assert line.startswith("Exporter serves http://"), self.process.stderr.read()
        self.url = line.split()[2].removesuffix(API)

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        _, log = self.process.communicate(timeout=DEADLINE_SECONDS)
        return self.process.returncode, log

    def call(self, method, path, body=None, **headers):
        request = urllib.request.Request(
            self.url + API + path, method=method, data=json.dumps(body).encode() if body is not None else None,
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **headers},
        )  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_SECONDS) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read()

    def data(self, method, path, body=None):
        status, answer = self.call(method, path, body)
        assert status in {200, 201}, answer
        return json.loads(answer)["data"]

    def until(self, job_id, *statuses):
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (job := self.data("GET", f"exports/{job_id}/"))["status"] not in statuses:
            assert time.monotonic() < deadline, job
            time.sleep(0.02)
        return job


@pytest.fixture
def server(instance, shop):
    server = Server(instance)
    assert server.command("users", "create", "ada", "--admin", stdin="pw\n").returncode == 0
    server.token = server.command("tokens", "create", "ada").stdout.strip()
    server.start()
    server.source = server.data("POST", "datasources/", {"name": "shop", "url": f"sqlite:///{shop}"})["id"]
    yield server
    with suppress(ProcessLookupError):
        server.process.kill()
    server.process.communicate()


def submit(server, table, **more):
    body = {"datasource": server.source, "format": "csv", "filters": {"table": table}, **more}
    return server.data("POST", "exports/", body)["id"]


def test_a_job_goes_from_request_to_file_over_real_http(server):
    job = server.until(submit(server, "orders"), "completed")
    status, content = server.call("GET", f"exports/{job['id']}/download/")
    assert (status, len(content)) == (200, job["file_size"])
    status, part = server.call("GET", f"exports/{job['id']}/download/", Range="bytes=10-19")
    assert (status, part) == (206, content[10:20])
    status, nothing = server.call("HEAD", f"exports/{job['id']}/download/")
    assert (status, nothing) == (200, b"")


def test_sigterm_puts_a_long_export_back_in_the_queue_and_ends_with_0(server, instance):
    job_id = submit(server, "endless")
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
    job_id = submit(server, "endless")
    server.until(job_id, "processing")
    server.process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + DEADLINE_SECONDS
    while server.call("POST", "exports/", {})[0] != 503:  # the door is closed: the first one arrived
        assert time.monotonic() < deadline
    code, _ = server.stop()
    assert code == 1


def test_a_killed_servers_job_is_taken_up_by_the_next_one(server, instance):
    job_id = submit(server, "endless")
    server.until(job_id, "processing")
    server.stop(signal.SIGKILL)
    server.start()
    again = server.until(job_id, "processing")
    assert again["attempt"] == 2
    server.data("POST", f"exports/{job_id}/cancel/")
    job = server.data("GET", f"exports/{job_id}/")
    assert [attempt["outcome"] for attempt in job["attempts"]] == ["worker_lost", "cancelled"]
    server.until(submit(server, "orders"), "completed")


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
    job_id = submit(server, "endless")
    server.until(job_id, "processing")
    writer = apsw.Connection(str(shop))
    writer.execute("PRAGMA busy_timeout = 10000")
    server.data("POST", f"exports/{job_id}/cancel/")
    writer.execute("INSERT INTO numbers VALUES (0)")
    writer.close()
    assert server.until(submit(server, "numbers"), "completed")["row_count"] == 1001
