"""`exporter serve` as a process of its own, and a client of it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress

API = "/data-tools/api/v1/"
DEADLINE_SECONDS = 60
# For `python -c`: a shell may have started the tests with SIGINT ignored, which a child would inherit.
INTERRUPTIBLE = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
    " from exporter.__main__ import main; main()"
)

MOST_LOG = 1 << 20


class Server:
    """A server on a free port, and a client with an admin's token."""

    def __init__(self, instance, options=(), **environ):
        self.options = options
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("EXPORTER_")},
            "EXPORTER_INSTANCE_PATH": str(instance),
            "EXPORTER_WORKERS": "2",
            "EXPORTER_SHUTDOWN_GRACE_SECONDS": "1",
            "EXPORTER_WEBHOOK_HOSTS": "127.0.0.1",
            **environ,
        }
        self.process = self.log = None

    def command(self, *arguments, stdin=""):
        return subprocess.run(
            [sys.executable, "-m", "exporter", *arguments], env=self.environ, input=stdin,
            capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False,
        )  # fmt: skip

    def begin(self, *arguments):
        """Start a command that is to be watched."""
        return subprocess.Popen(
            [sys.executable, "-m", "exporter", *arguments], env=self.environ,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def start(self):
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 - a pipe that nobody reads would fill up and stop the server
        self.process = subprocess.Popen(
            [sys.executable, "-m", "exporter", "serve", "--port", "0", *self.options],
            env=self.environ, stdout=subprocess.PIPE, stderr=self.log, text=True,
        )  # fmt: skip
        line = self.process.stdout.readline()
        if not line.startswith("Exporter serves http://"):
            raise AssertionError(self.stop_waiting())
        self.url = line.split()[2].removesuffix("/data-tools/")

    def told(self):
        """Give what it logged so far."""
        return os.pread(self.log.fileno(), MOST_LOG, 0).decode()

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        return self.stop_waiting()

    def stop_waiting(self):
        """Wait for the end that a signal has begun; give the exit code and the log."""
        self.process.communicate(timeout=DEADLINE_SECONDS)
        return self.process.returncode, self._read_log()

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

    def submit(self, table, **more):
        body = {"datasource": self.source, "format": "csv", "filters": {"table": table}, **more}
        return self.data("POST", "exports/", body)["id"]

    def kill(self):
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.communicate()
        self._read_log()

    def _read_log(self):
        if self.log.closed:
            return ""
        with self.log:
            self.log.seek(0)
            return self.log.read()


@contextmanager
def serving(instance, shop, *, options=(), **environ) -> Iterator[Server]:
    """Serve the instance, with the admin ada and the shop as a datasource."""
    server = Server(instance, options, **environ)
    assert server.command("users", "create", "ada", "--admin", stdin="pw\n").returncode == 0
    server.token = server.command("tokens", "create", "ada").stdout.strip()
    server.start()
    try:
        server.source = server.data("POST", "datasources/", {"name": "shop", "url": f"sqlite:///{shop}"})[
            "id"
        ]
        yield server
    finally:
        server.kill()
