"""Hypothesis drives the API of a real server and kills it in between; what was answered must stay true."""

import http.client
import json
import os
import shutil
import signal
import socket
import tempfile
from contextlib import closing
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.client import API
from tests.faults.invariants import check
from tests.faults.lives import live, spawn
from tests.faults.probes import eventually

SHAPES = [
    {"format": "csv"}, {"format": "json"}, {"format": "parquet"},
    {"format": "csv", "options": {"encoding": "iso-8859-1"}},  # fails on the table of orders
]  # fmt: skip


class Server(RuleBasedStateMachine):
    """One instance through several processes; `told` is what each job was last said to be."""

    cradle: tuple[Path, str]
    jobs = Bundle("jobs")

    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp(prefix="machine-"))
        shutil.copytree(self.cradle[0], self.folder / "instance")
        (self.folder / "promises").touch()
        self.token = (self.folder / "instance" / "token").read_text()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.told = {}
        self.start()
        self.source = self.ask("GET", "datasources/")[1]["data"]["datasources"][0]["id"]

    def start(self):
        (self.folder / "port").write_text(str(self.port))
        self.process = spawn(self.folder, "serve")
        eventually(self.is_up)

    def is_up(self):
        try:
            return self.ask("GET", "/readyz")[0] == 200
        except OSError:
            assert self.process.is_alive(), (self.folder / "stderr").read_text()
            return False

    def ask(self, method, path, body=None):
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as line:
            target = path if path.startswith("/") else API + path
            line.request(method, target, json.dumps(body) if body is not None else None, headers)
            answer = line.getresponse()
            content = answer.read()
        if path.endswith("download/") and answer.status == 200:
            return 200, content
        document = json.loads(content)
        assert document["success"] is (answer.status < 400), document
        assert answer.status < 500, document
        return answer.status, document

    @rule(target=jobs, shape=st.sampled_from(SHAPES), table=st.sampled_from(["orders", "many", "endless"]))
    def submit(self, shape, table):
        limit = {} if table == "endless" else {"limit": 9000}
        body = {"datasource": self.source, "filters": {"table": table, **limit}, **shape}
        status, answer = self.ask("POST", "exports/", body)
        assert status == 201, answer
        self.told[answer["data"]["id"]] = "pending"
        return answer["data"]["id"]

    @rule(job=jobs)
    def cancel(self, job):
        status, _ = self.ask("POST", f"exports/{job}/cancel/")
        assert status in {200, 409}
        if status == 200:
            self.told[job] = "cancelled"

    @rule(job=jobs)
    def retry(self, job):
        status, _ = self.ask("POST", f"exports/{job}/retry/")
        assert status in {200, 409}
        if status == 200:
            self.told[job] = "pending"

    @rule(job=consumes(jobs))
    def cancel_and_delete(self, job):
        self.ask("POST", f"exports/{job}/cancel/")
        assert self.ask("DELETE", f"exports/{job}/")[0] == 200
        del self.told[job]
        assert self.ask("GET", f"exports/{job}/")[0] == 404

    @rule(job=jobs)
    def download(self, job):
        status, content = self.ask("GET", f"exports/{job}/download/")
        if status == 200:
            assert len(content) == self.ask("GET", f"exports/{job}/")[1]["data"]["file_size"]

    @rule(number=st.sampled_from([signal.SIGKILL, signal.SIGTERM]))
    def end_and_begin_again(self, number):
        os.kill(self.process.pid, number)
        self.process.join(60)
        assert self.process.exitcode == (-9 if number == signal.SIGKILL else 0)
        self.start()

    @invariant()
    def what_was_told_is_so(self):
        for job, told in getattr(self, "told", {}).items():
            status, answer = self.ask("GET", f"exports/{job}/")
            assert status == 200, answer
            assert told != "cancelled" or answer["data"]["status"] == "cancelled", answer

    def teardown(self):
        if not hasattr(self, "process"):
            return
        try:
            for job in self.told:
                self.ask("POST", f"exports/{job}/cancel/")
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.join(60)
            assert live(self.folder, "recover") == 0, (self.folder / "stderr").read_text()
            check(self.folder, self.cradle[1])
        finally:
            self.process.kill()
            self.process.join()
            shutil.rmtree(self.folder)


def test_whatever_users_do_and_whenever_the_server_dies_the_answers_stay_true(cradle):
    class Born(Server):
        pass

    Born.cradle = cradle
    run_state_machine_as_test(
        Born,
        settings=settings(
            max_examples=4, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
