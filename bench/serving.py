"""Servers as processes of their own, and a client that keeps its connection."""

import http.client
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from bench import child
from bench.ours import Installation

API = "/data-tools/api/v1/"
DEADLINE_SECONDS = 120
LOOK_SECONDS = 0.002
ASK_SECONDS = 0.05
HELD = ".held"  # beside the file of `bench.observed`
OK = 200


class Refused(Exception):
    """The server answered with a refusal."""


class Client:
    """One connection that is kept open; for one thread."""

    def __init__(self, address: str, headers: Mapping[str, str]) -> None:
        self._connection = http.client.HTTPConnection(address, timeout=DEADLINE_SECONDS)
        self._headers = {"Content-Type": "application/json", **headers}

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Give the answer's document. Raises Refused."""
        sent = json.dumps(body) if body is not None else None
        self._connection.request(method, path, sent, self._headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status not in {200, 201}:
            raise Refused(f"{method} {path}: {answer.status} {content[:200]!r}")
        return json.loads(content)

    def fetch(self, path: str) -> bytes:
        """Give the bytes of an answer. Raises Refused."""
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != OK:
            raise Refused(f"GET {path}: {answer.status}")
        return content

    def text(self, path: str) -> str:
        return self.fetch(path).decode()

    def timed(self, method: str, path: str, body: object = None) -> float:
        """Say how many milliseconds a call took."""
        started = time.perf_counter()
        self.call(method, path, body)
        return (time.perf_counter() - started) * 1000

    def data(self, method: str, path: str, body: object = None) -> Any:
        return self.call(method, API + path, body)["data"]

    def until(self, job_id: str, *statuses: str, known: str = "status") -> dict[str, Any]:
        """Look at a job until it has one of the statuses, and the field `known` is not null."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            job: dict[str, Any] = self.data("GET", f"exports/{job_id}/")
            if job["status"] in statuses and job[known] is not None:
                return job
            if time.monotonic() > deadline:
                raise Refused(f"job {job_id} is still {job['status']}")
            time.sleep(LOOK_SECONDS)

    def close(self) -> None:
        self._connection.close()


class Server:
    def __init__(self, address: str, headers: Mapping[str, str], pid: int) -> None:
        self._address = address
        self._headers = headers
        self.pid = pid

    @contextmanager
    def client(self) -> Iterator[Client]:
        client = Client(self._address, self._headers)
        try:
            yield client
        finally:
            client.close()


@contextmanager
def exporter(installation: Installation, **settings: str) -> Iterator[Server]:
    """Run `exporter serve` on the installation, with an admin's token."""
    token = installation.command("tokens", "create", "bench").strip()
    environ = {**installation.environ, "EXPORTER_SHUTDOWN_GRACE_SECONDS": "0", **settings}
    with _process(child.module("exporter", "serve", "--port", "0"), environ) as (address, pid):
        yield Server(address, {"Authorization": f"Bearer {token}"}, pid)


class Observed(Server):
    """A server that tells what it has spent; see `bench.observed`."""

    def __init__(self, address: str, headers: Mapping[str, str], pid: int, told: Path) -> None:
        super().__init__(address, headers, pid)
        self._told = told

    def spent(self) -> dict[str, Any]:
        """Ask what was spent since the server began."""
        self._told.unlink(missing_ok=True)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not self._told.exists():
            if time.monotonic() > deadline:
                raise Refused("the server does not tell what it has spent")
            os.kill(self.pid, signal.SIGUSR1)  # again and again: one may find it just about to wait
            time.sleep(ASK_SECONDS)
        told: dict[str, Any] = json.loads(self._told.read_text())
        return told

    def hold(self) -> None:
        """Have the dispatcher hand out nothing."""
        self._told.with_suffix(HELD).touch()

    def go_on(self) -> None:
        self._told.with_suffix(HELD).unlink()


@contextmanager
def observed(installation: Installation, **settings: str) -> Iterator[Observed]:
    token = installation.command("tokens", "create", "bench").strip()
    environ = {**installation.environ, "EXPORTER_SHUTDOWN_GRACE_SECONDS": "0", **settings}
    with TemporaryDirectory() as folder:
        told = Path(folder) / "told"
        command = child.module("bench.observed", str(told), "serve", "--port", "0")
        with _process(command, environ) as (address, pid):
            yield Observed(address, {"Authorization": f"Bearer {token}"}, pid, told)


@contextmanager
def hello() -> Iterator[Server]:
    with _process(child.module("bench.peers.hello"), {}) as (address, pid):
        yield Server(address, {}, pid)


@contextmanager
def _process(command: list[str], environ: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    process = subprocess.Popen(
        command,
        env={**child.environment(), **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        line = process.stdout.readline() if process.stdout is not None else ""
        if "http://" not in line:
            raise child.ChildFailed(f"{command} did not start")
        yield urlsplit(line.split()[2]).netloc, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()
