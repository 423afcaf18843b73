"""What a Dask cluster gets done with 1, 2 and 4 workers: real processes, PostgreSQL as app database, a file store."""

import argparse
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from tempfile import TemporaryDirectory
from typing import Any

from bench import appdb, child, data, ours, report, serving
from bench.processor import seconds_of
from bench.serving import Client, Refused, Server

WORKERS = (1, 2, 4)
SHORT_ROWS = 1000
SHORT, LONG, LEAST_SHORT, LEAST_LONG = 60, 4, 8, 2
READY_SECONDS = 120
LOOK_SECONDS = 0.1
MOST_HANDED = "8"


@dataclass(frozen=True, kw_only=True)
class Drained:
    """What so many workers made of some equal jobs; processor seconds of each part."""

    workers: int
    kind: str
    jobs: int
    rows: int
    seconds: float
    worker_cpu: float
    server_cpu: float
    scheduler_cpu: float
    database_cpu: float

    @property
    def rate(self) -> float:
        return self.jobs / self.seconds


def measure(asked: argparse.Namespace) -> int:
    counts = (LEAST_SHORT, LEAST_LONG) if asked.quick else (SHORT, LONG)
    found: list[Drained] = []
    with data.opened(asked.data, with_postgres=True) as place:
        where = place.place("sqlite", "lineitem", asked.scale)
        for workers in WORKERS[: 2 if asked.quick else None]:
            print(f"{workers} worker(s) …", file=sys.stderr, flush=True)
            with ExitStack() as stack:
                url = stack.enter_context(place.empty_database())
                installation = stack.enter_context(ours.installation(asked.data, EXPORTER_DATABASE_URL=url))
                source = installation.datasource(where)
                cluster = stack.enter_context(_cluster(installation, workers))
                server = stack.enter_context(serving.exporter(installation, **cluster.settings))
                client = stack.enter_context(server.client())
                database = stack.enter_context(appdb.watching(url))
                found += _Bench(server, client, database, cluster, source, workers).measured(*counts)
    report.write(asked.out, "cluster", _table(found), [asdict(each) for each in found])
    return 0


@dataclass(frozen=True)
class _Cluster:
    settings: dict[str, str]
    scheduler: int
    workers: tuple[int, ...]


@dataclass(frozen=True)
class _Bench:
    server: Server
    client: Client
    database: appdb.AppDatabase
    cluster: _Cluster
    source: str
    workers: int

    def measured(self, short: int, long: int) -> Iterator[Drained]:
        """Give the short jobs, then the long ones, after a round that warms all workers up."""
        self._ready()
        self._drain("warm-up", 4 * self.workers, SHORT_ROWS)
        yield self._drain("short", short, SHORT_ROWS)
        yield self._drain("long", long, None)

    def _ready(self) -> None:
        """Wait until every worker may run jobs: else the first one would get them all."""
        deadline = time.monotonic() + READY_SECONDS
        wanted = f'exporter_cluster_workers{{state="fit"}} {self.workers}.0'
        while wanted not in self.client.text("/metrics"):
            if time.monotonic() > deadline:
                raise Refused("the workers are not ready")
            time.sleep(LOOK_SECONDS)

    def _drain(self, kind: str, jobs: int, limit: int | None) -> Drained:
        filters = {"table": "lineitem", **({"limit": limit} if limit else {})}
        body = {"datasource": self.source, "format": "csv", "filters": filters}
        before, started = self._spent(), time.perf_counter()
        ids = [self.client.data("POST", "exports/", body)["id"] for _ in range(jobs)]
        self.database.until_nothing_is_open()
        seconds = time.perf_counter() - started
        spent = {name: used - before[name] for name, used in self._spent().items()}
        rows = sum(self._completed(job_id)["row_count"] for job_id in ids)
        return Drained(workers=self.workers, kind=kind, jobs=jobs, rows=rows, seconds=seconds, **spent)

    def _completed(self, job_id: str) -> dict[str, Any]:
        """Give the document of a job, and remove its file."""
        job: dict[str, Any] = self.client.data("GET", f"exports/{job_id}/")
        if job["status"] != "completed":
            raise ours.ExportFailed(f"{job['status']}: {job['error_message']}")
        self.client.call("DELETE", f"{serving.API}exports/{job_id}/")
        return job

    def _spent(self) -> dict[str, float]:
        return {
            "worker_cpu": sum(map(seconds_of, self.cluster.workers)),
            "server_cpu": seconds_of(self.server.pid),
            "scheduler_cpu": seconds_of(self.cluster.scheduler),
            "database_cpu": self.database.cpu_seconds(),
        }


@contextmanager
def _cluster(installation: ours.Installation, workers: int) -> Iterator[_Cluster]:
    """Run a scheduler, and workers of one thread each on the installation."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    address = f"tcp://127.0.0.1:{port}"
    settings = {
        "EXPORTER_EXECUTOR": "dask",
        "EXPORTER_DASK_SCHEDULER": address,
        "EXPORTER_WORKERS": MOST_HANDED,
        "EXPORTER_MAX_PENDING_PER_USER": "1000",
    }
    with TemporaryDirectory() as folder, ExitStack() as stack:
        start = _starter(stack, {**installation.environ, **settings})
        scheduler = start("scheduler", "--host", "127.0.0.1", "--port", port)
        options = ("--no-nanny", "--nthreads", "1", "--local-directory", folder)
        started = [start("worker", address, *options) for _ in range(workers)]
        yield _Cluster(settings, scheduler, tuple(started))


def _starter(stack: ExitStack, environ: dict[str, str]) -> Callable[..., int]:
    def start(*words: str) -> int:
        process = subprocess.Popen(
            [*child.module("dask"), *words, "--no-dashboard"],
            env={**child.environment(), **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        return process.pid

    return start


def _table(found: Sequence[Drained]) -> str:
    header = (
        "what", "jobs", "seconds", "jobs/s", "over 1 worker", "rows/s", "workers' cpu ms/job", "server's cpu ms/job",
        "scheduler's cpu ms/job", "app database's cpu ms/job",
    )  # fmt: skip
    first = {each.kind: each.rate for each in reversed(found)}
    rows = [
        [
            f"{each.kind}, {each.rows // each.jobs:,} rows, {each.workers} worker(s)",
            each.jobs,
            f"{each.seconds:.1f}",
            f"{each.rate:.2f}",
            f"{each.rate / first[each.kind]:.2f}",
            f"{each.rows / each.seconds:,.0f}",
            *(
                f"{used / each.jobs * 1000:.1f}"
                for used in (each.worker_cpu, each.server_cpu, each.scheduler_cpu, each.database_cpu)
            ),
        ]
        for each in found
    ]
    told = f"{os.cpu_count()} cores for workers, server, scheduler, app database and this client together"
    return f"{report.table(header, rows)}\n\n{told}"
