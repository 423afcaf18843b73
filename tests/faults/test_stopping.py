"""SIGTERM: the door closes, short exports end, long and stuck ones go back to the queue, and the exit code is 0."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from tests.faults.lives import spawn
from tests.faults.probes import eventually
from tests.faults.test_kill_loop import come_back, rows
from tests.server import DEADLINE_SECONDS, Server, serving


@pytest.fixture
def server(instance, shop):
    with serving(instance, shop) as running:
        yield running


def test_a_short_export_ends_within_the_grace_and_new_ones_are_refused(server, instance, shop):
    server.stop()
    server.environ["EXPORTER_SHUTDOWN_GRACE_SECONDS"] = "60"
    server.start()
    with closing(sqlite3.connect(shop)) as connection:
        connection.execute(
            "CREATE TABLE big AS WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 300000)"
            " SELECT n, 'text ' || n AS t FROM c"
        )
        connection.commit()
    job_id = server.submit("big", format="json")
    server.until(job_id, "processing", "completed")
    server.process.send_signal(signal.SIGTERM)
    refused = server.call("POST", "exports/", {}) if server.process.poll() is None else (503, b"")
    code, log = server.stop_waiting()
    assert (code, refused[0] in {503, 400}) == (0, True), log
    assert not list(instance.glob("exporter.sqlite3-*"))  # the file is the whole database
    with closing(sqlite3.connect(instance / "exporter.sqlite3")) as connection:
        assert connection.execute("SELECT status, attempt FROM jobs").fetchall() == [("completed", 1)]


@pytest.mark.parametrize("signals", [1, 2])
def test_a_stuck_export_goes_back_to_the_queue_and_the_server_leaves(born, cradle, signals):
    """Stuck: it holds its slot and hears nothing. The second signal does not wait for the grace."""
    folder = born()
    process = spawn(folder, "serve with a stuck export" + (", patiently" if signals == 2 else ""))
    eventually((folder / "stuck").exists)
    os.kill(process.pid, signal.SIGTERM)
    if signals == 2:
        eventually((folder / "closed").exists)
        os.kill(process.pid, signal.SIGTERM)
    process.join(DEADLINE_SECONDS)
    assert process.exitcode == signals - 1, (folder / "stderr").read_text()
    status, outcome = ("pending", "released") if signals == 1 else ("processing", None)
    assert rows(folder, "SELECT status FROM jobs") == [(status,)]
    assert rows(folder, "SELECT outcome FROM attempts") == [(outcome,)]
    come_back(folder, cradle)


def test_a_server_without_a_terminal_ends_well_when_nobody_reads_its_output(instance):
    server = Server(instance)
    process = subprocess.Popen(
        [sys.executable, "-m", "exporter", "serve", "--port", "0"],
        env=server.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout.readline().startswith(b"Exporter serves")
    process.stdout.close()
    process.stderr.close()
    process.send_signal(signal.SIGTERM)
    assert process.wait(DEADLINE_SECONDS) == 0
