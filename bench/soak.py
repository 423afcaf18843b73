"""Soak: users of all kinds against a real server that is killed every minute; at the end nothing may be missing.

    python bench/soak.py --minutes 10

Each user submits, cancels, retries, deletes, downloads, and drops downloads half way. A submit that got no answer is
sent again with its Idempotency-Key. At the end every job that was promised must be there, with its file and its
sha256; no file may be left that no job speaks of; and the server must be as small as it was.
"""

import argparse
import hashlib
import http.client
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

API = "/data-tools/api/v1/"
FORMATS: tuple[dict[str, Any], ...] = (
    {"format": "csv"},
    {"format": "csv", "options": {"compression": "gzip"}},
    {"format": "json"},
    {"format": "json", "options": {"layout": "lines", "compression": "zstd"}},
    {"format": "parquet"},
    {"format": "excel"},
)
TABLES = ("small", "large")
ENDED = {"completed", "failed", "cancelled"}
MOST_OPEN = 5  # jobs of one user that have not ended
PATIENCE_SECONDS = 120
AWAY = (OSError, http.client.HTTPException)


class Server:
    """`exporter serve` on one port, through several lives."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self.kills = 0
        self.log = (folder / "log").open("ab")
        self.process: subprocess.Popen[bytes] | None = None
        known = {name: value for name, value in os.environ.items() if not name.startswith("EXPORTER_")}
        self.environ = {
            **known,
            "EXPORTER_INSTANCE_PATH": str(folder / "instance"),
            "EXPORTER_SQLITE_ROOTS": str(folder),
            "EXPORTER_MIN_FREE_BYTES": "0",
            "EXPORTER_WORKERS": "2",
        }

    def command(self, *words: str, stdin: str = "") -> str:
        command = [sys.executable, "-m", "exporter", *words]
        return subprocess.run(
            command, env=self.environ, input=stdin, capture_output=True, text=True, check=True
        ).stdout.strip()

    def start(self) -> None:
        command = [sys.executable, "-m", "exporter", "serve", "--port", str(self.port)]
        self.process = subprocess.Popen(command, env=self.environ, stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._ready():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError(f"the server does not come up: {self.folder / 'log'}")
            time.sleep(0.05)

    def kill(self) -> None:
        self._end(signal.SIGKILL)
        self.kills += 1

    def stop(self) -> int:
        return self._end(signal.SIGTERM)

    def figures(self) -> dict[str, int]:
        """Count what the process holds, and its memory in MiB."""
        assert self.process is not None  # noqa: S101 - it was started
        proc = Path(f"/proc/{self.process.pid}")
        status = dict(
            line.split(":", 1) for line in (proc / "status").read_text().splitlines() if ":" in line
        )
        held = []
        for descriptor in (proc / "fd").iterdir():
            with suppress(FileNotFoundError):
                held.append(str(descriptor.readlink()))
        return {
            "descriptors": len(held),
            "connections": sum(target.startswith("socket:") for target in held),
            "threads": int(status["Threads"]),
            "memory_mib": int(status["VmRSS"].split()[0]) // 1024,
        }

    def _ready(self) -> bool:
        with suppress(*AWAY):
            return _ask(self.port, "GET", "/readyz")[0] == http.client.OK
        return False

    def _end(self, number: signal.Signals) -> int:
        assert self.process is not None  # noqa: S101 - it was started
        self.process.send_signal(number)
        return self.process.wait()


class User:
    """One user at work; what the server told it is what it will hold the server to."""

    def __init__(self, server: Server, token: str, source: str, seed: int) -> None:
        self._server = server
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._source = source
        self._random = random.Random(seed)  # noqa: S311 - a repeatable mix, no secret
        self.counts: Counter[str] = Counter()
        self.jobs: dict[
            str, str
        ] = {}  # what was last told of each: "promised", "cancelled", "doubtful", "deleted"
        self.faults: list[str] = []

    def work(self, until: float) -> None:
        acts = (self._submit, self._cancel, self._retry, self._delete, self._download, self._drop, self._list)
        while time.monotonic() < until:
            act = self._random.choices(acts, weights=(8, 2, 2, 3, 4, 2, 2))[0]
            with suppress(*AWAY):
                act()
            time.sleep(self._random.uniform(0, 0.05))

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, bytes]:
        self.counts["requests"] += 1
        status, answer = _ask(
            self._server.port, method, API + path, body=body, headers={**self._headers, **headers}
        )
        refused = status >= http.client.INTERNAL_SERVER_ERROR and status != http.client.SERVICE_UNAVAILABLE
        if refused or (status >= http.client.BAD_REQUEST and b'"success"' not in answer):
            self.faults.append(f"{method} {path}: {status} {answer[:200]!r}")
        return status, answer

    def job(self, job_id: str) -> dict[str, Any] | None:
        status, answer = self.ask("GET", f"exports/{job_id}/")
        return json.loads(answer)["data"] if status == http.client.OK else None

    def hold(self) -> list[str]:
        """Say what of all that was promised is not so."""
        broken = []
        for job_id, told in self.jobs.items():
            job = self.job(job_id)
            if told == "deleted":
                broken += [f"{job_id} was deleted and is there"] if job else []
            elif job is None:
                broken += [f"{job_id} is lost"] if told != "doubtful" else []
            elif told == "cancelled" and job["status"] == "completed":
                broken.append(f"{job_id} was cancelled and completed")
            elif job["status"] == "completed":
                status, content = self.ask("GET", f"exports/{job_id}/download/")
                if status != http.client.OK or _sha256(content) != job["checksum"]["value"]:
                    broken.append(f"{job_id}: its file is not what it says ({status})")
            elif job["status"] == "failed":
                broken.append(f"{job_id} failed: {job['error_code']} {job['error_message']}")
            if job is not None and job["status"] not in ENDED:
                broken.append(f"{job_id} is {job['status']}")
        return broken

    def open_jobs(self) -> list[str]:
        _, answer = self.ask("GET", "exports/?page_size=100")
        return [job["id"] for job in json.loads(answer)["data"]["export_jobs"] if job["status"] not in ENDED]

    def _submit(self) -> None:
        if len(self.open_jobs()) >= MOST_OPEN:
            return
        table = self._random.choice(TABLES)
        body = {"datasource": self._source, "filters": {"table": table}, **self._random.choice(FORMATS)}
        key = uuid4().hex
        while True:
            with suppress(*AWAY):
                status, answer = self.ask("POST", "exports/", body, **{"Idempotency-Key": key})
                if status in {http.client.OK, http.client.CREATED}:
                    self.jobs[json.loads(answer)["data"]["id"]] = "promised"
                    self.counts["jobs"] += 1
                    return
                if status != http.client.SERVICE_UNAVAILABLE:
                    return
            time.sleep(0.1)

    def _cancel(self) -> None:
        for job_id in self._random.sample(found := self.open_jobs(), min(1, len(found))):
            self._change(job_id, "POST", f"exports/{job_id}/cancel/", "cancelled")

    def _retry(self) -> None:
        for job_id in self._chosen("cancelled"):
            self._change(job_id, "POST", f"exports/{job_id}/retry/", "promised")

    def _delete(self) -> None:
        for job_id in self._chosen("promised", "cancelled"):
            self._change(job_id, "DELETE", f"exports/{job_id}/", "deleted")

    def _change(self, job_id: str, method: str, path: str, told: str) -> None:
        """Without an answer, both what was and what was asked may be so."""
        before, self.jobs[job_id] = self.jobs.get(job_id, "promised"), "doubtful"
        status, _ = self.ask(method, path)
        self.jobs[job_id] = told if status == http.client.OK else before
        self.counts[told] += status == http.client.OK

    def _download(self) -> None:
        for job_id in self._chosen("promised"):
            job = self.job(job_id)
            if job is None or job["status"] != "completed":
                continue
            status, content = self.ask("GET", f"exports/{job_id}/download/")
            self.counts["downloads"] += 1
            if status == http.client.OK and _sha256(content) != job["checksum"]["value"]:
                self.faults.append(f"{job_id}: a download is not what the job says")

    def _drop(self) -> None:
        """Ask for a file and hang up in the middle."""
        for job_id in self._chosen("promised"):
            self.counts["requests"] += 1
            self.counts["dropped"] += 1
            with closing(http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=30)) as line:
                line.request("GET", f"{API}exports/{job_id}/download/", headers=self._headers)
                line.getresponse().read(1000)

    def _list(self) -> None:
        self.ask("GET", "exports/?ordering=-file_size&page_size=10")

    def _chosen(self, *told: str) -> list[str]:
        found = [job_id for job_id, last in self.jobs.items() if last in told]
        return self._random.sample(found, min(1, len(found)))


def soak(folder: Path, *, seconds: float, kill_every: float, users: int = 4, seed: int = 1) -> dict[str, Any]:
    """Run the whole soak in an empty folder and give its figures; `broken` must be empty."""
    _make_source(folder / "source.db")
    digest = _sha256((folder / "source.db").read_bytes())
    server = Server(folder)
    admin, *tokens = _prepare(server, users)
    server.start()
    source = _register(server, admin, folder / "source.db")
    crew = [User(server, token, source, seed + number) for number, token in enumerate(tokens)]
    _warm_up(crew)
    before = server.figures()
    until = time.monotonic() + seconds
    threads = [threading.Thread(target=user.work, args=(until,)) for user in crew]
    for thread in threads:
        thread.start()
    while (left := until - time.monotonic()) > kill_every:
        time.sleep(min(kill_every, left))
        server.kill()
        server.start()
    for thread in threads:
        thread.join()
    _settle(crew)
    broken = [word for user in crew for word in (*user.hold(), *user.faults)]
    after = server.figures()
    code = server.stop()
    server.log.close()
    swept = json.loads(server.command("cleanup", "--json"))
    counts = sum((user.counts for user in crew), Counter[str]())
    return {
        "seconds": round(seconds),
        "kills": server.kills,
        **counts,
        "attempts": _query(folder, "SELECT count(*) FROM attempts"),
        "lost workers": _query(folder, "SELECT count(*) FROM attempts WHERE outcome = 'worker_lost'"),
        "orphans swept at the end": len(swept["orphans"]) + len(swept["staged"]),
        "strays": _strays(folder),
        "broken": broken
        + ([] if code == 0 else [f"SIGTERM ended with {code}"])
        + ([] if _sha256((folder / "source.db").read_bytes()) == digest else ["the source was touched"]),
        "before": before,
        "after": after,
    }


def _make_source(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        for name, rows in (("small", 500), ("large", 60_000)):
            connection.execute(f"CREATE TABLE {name} (n INTEGER PRIMARY KEY, t TEXT, x REAL)")
            connection.execute(
                f"INSERT INTO {name} WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {rows})"
                " SELECT n, 'row number ' || n, n / 7.0 FROM c"
            )
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _prepare(server: Server, users: int) -> list[str]:
    """Make an admin, who sees everybody's jobs and so takes no part, and members; give a token of each."""
    server.command("init", "--admin", "admin", stdin="a password\n")
    members = [f"user{number}" for number in range(users)]
    for name in members:
        server.command("users", "create", name, "--password-stdin", stdin="a password\n")
    return [server.command("tokens", "create", name) for name in ("admin", *members)]


def _register(server: Server, token: str, path: Path) -> str:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = {"name": "source", "url": f"sqlite:///{path}", "is_shared": True}
    status, answer = _ask(server.port, "POST", f"{API}datasources/", body=body, headers=headers)
    if status != http.client.CREATED:
        raise RuntimeError(answer.decode())
    return str(json.loads(answer)["data"]["id"])


def _warm_up(crew: list[User]) -> None:
    """Let each thread and each writer of the server run once, so that the figures before are those of a used server."""
    for user in crew:
        for shape in FORMATS:
            body = {"datasource": user._source, "filters": {"table": "large"}, **shape}  # noqa: SLF001 - ours
            user.jobs[json.loads(user.ask("POST", "exports/", body)[1])["data"]["id"]] = "promised"
    _settle(crew)


def _settle(crew: list[User]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while any(user.open_jobs() for user in crew):
        if time.monotonic() > deadline:
            return
        time.sleep(0.2)


def _strays(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "instance" / "exporter.sqlite3")) as connection:
        known = {row[0] for row in connection.execute("SELECT artifact FROM jobs WHERE artifact IS NOT NULL")}
    store = folder / "instance" / "exports"
    found = {path.name for path in store.iterdir() if path.is_file()}
    return sorted((found ^ known) | {path.name for path in (store / ".staged").iterdir()})


def _query(folder: Path, sql: str) -> int:
    with closing(sqlite3.connect(folder / "instance" / "exporter.sqlite3")) as connection:
        return int(connection.execute(sql).fetchone()[0])


def _ask(
    port: int, method: str, path: str, *, body: object = None, headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as line:
        line.request(method, path, json.dumps(body) if body is not None else None, headers or {})
        answer = line.getresponse()
        return answer.status, answer.read()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--kill-every", type=float, default=60, metavar="SECONDS")
    parser.add_argument("--users", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        figures = soak(
            Path(folder),
            seconds=asked.minutes * 60,
            kill_every=asked.kill_every,
            users=asked.users,
            seed=asked.seed,
        )
    print(json.dumps(figures, indent=2))
    sys.exit(1 if figures["broken"] or figures["strays"] else 0)


if __name__ == "__main__":
    main()
