"""What a job costs, part by part: processor time of the server and of its app database, statements, bytes."""

import argparse
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any

from bench import appdb, data, ours, report, serving
from bench.case import Pair, pairs
from bench.figures import median, percentile
from bench.ours import OPTIONS
from bench.serving import API, Client, Observed

JOBS, FEWEST_JOBS = 400, 40
IDLE_SECONDS, TINY_JOBS = 10.0, 40
POLL_SECONDS = 0.5  # of a dispatcher
ROUNDS = 3
MILLION = 1_000_000
STEPS = {
    "claim": "claim, and its attempt's row",
    "export": "read and write 10 rows",
    "publish": "fsync, rename",
    "complete": "say that it is done",
}


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One line of the table, for each of what `per` names; the processor times are the least of the rounds."""

    name: str
    per: str
    cpu_ms: float | None = None
    database_cpu_ms: float | None = None
    statements: float | None = None
    waited_ms: float | None = None
    also: str = ""


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What was spent between two looks; seconds."""

    seconds: float
    process: float
    database: float
    threads: dict[str, float]
    steps: dict[str, float]
    statements: dict[str, float]
    waited: dict[str, float]

    @property
    def exporting(self) -> float:
        """Slots, and the threads that an export starts and ends."""
        return self.process - sum(seconds for kind, seconds in self.threads.items() if kind != "slots")


def measure(asked: argparse.Namespace) -> int:
    jobs = FEWEST_JOBS if asked.quick else JOBS
    with ExitStack() as stack:
        place = stack.enter_context(data.opened(asked.data, with_postgres=True))
        url = stack.enter_context(place.empty_database())
        installation = stack.enter_context(ours.installation(asked.data, EXPORTER_DATABASE_URL=url))
        tiny = installation.datasource(place.place("sqlite", "tiny", asked.scale))
        server = stack.enter_context(serving.observed(installation, EXPORTER_WORKERS="2", **LIMITS))
        client = stack.enter_context(server.client())
        database = stack.enter_context(appdb.watching(url))
        bench = _Bench(installation, server, client, database, tiny)
        costs = [*_requests_and_jobs(bench, jobs, asked.rounds), *_running(bench, asked.quick)]
        costs += _other_server(bench, asked.quick)
        volumes = list(_volumes(bench, place, asked))
    text = "\n\n".join([_costs(costs), _volume_table(volumes)])
    report.write(asked.out, "cost", text, [asdict(each) for each in [*costs, *volumes]])
    return 0


LIMITS = {"EXPORTER_MAX_PENDING": "100000", "EXPORTER_MAX_PENDING_PER_USER": "100000"}


@dataclass(frozen=True)
class _Bench:
    installation: ours.Installation
    server: Observed
    client: Client
    database: appdb.AppDatabase
    tiny: str

    def export(self) -> dict[str, Any]:
        return {"datasource": self.tiny, "format": "csv", "filters": {"table": "tiny"}}

    def spent(self, act: Callable[[], object]) -> Spent:
        before, database, started = self.server.spent(), self.database.cpu_seconds(), time.perf_counter()
        act()
        seconds = time.perf_counter() - started
        after, told = self.server.spent(), self.database.cpu_seconds()
        kinds = {
            name: {kind: value - before[name].get(kind, 0) for kind, value in after[name].items()}
            for name in ("threads", "steps", "statements", "waited")
        }
        return Spent(
            seconds=seconds, process=after["process"] - before["process"], database=told - database, **kinds
        )


def _requests_and_jobs(bench: _Bench, jobs: int, rounds: int) -> Iterator[Cost]:
    _round(bench, FEWEST_JOBS)  # loads libraries, fills caches
    sizes = bench.database.sizes()
    found = []
    for number in range(rounds):
        print(f"{jobs} tiny jobs, round {number + 1} …", file=sys.stderr, flush=True)
        found.append(_round(bench, jobs))
    grown = bench.database.sizes()
    for name, told in REQUESTS.items():
        yield _request(told, [each[name] for each in found], jobs)
    yield from _job([each["run"] for each in found], jobs)
    bytes_each = {name: (grown[name] - sizes[name]) / (jobs * rounds) for name in grown}
    also = ", ".join(f"{name} {size:,.0f}" for name, size in bytes_each.items() if size >= 1)
    yield Cost(
        name="bytes of the app database", per="job", also=f"{sum(bytes_each.values()):,.0f} bytes: {also}"
    )


REQUESTS = {
    "create": "`POST exports/`",
    "detail": "`GET exports/<id>/`, a poll",
    "list": "`GET exports/`, 20 jobs",
    "download": "`GET …/download/`, 10 rows",
}


def _round(bench: _Bench, jobs: int) -> dict[str, Spent]:
    """Create jobs while none is handed out, look at them, have them run, and download them."""
    ids: list[str] = []
    bench.server.hold()
    spent = {"create": bench.spent(lambda: ids.extend(_create(bench, jobs)))}
    spent["run"] = bench.spent(lambda: _run_all(bench))
    spent["detail"] = bench.spent(lambda: [bench.client.data("GET", f"exports/{each}/") for each in ids])
    spent["list"] = bench.spent(lambda: [bench.client.call("GET", f"{API}exports/") for _ in ids])
    spent["download"] = bench.spent(
        lambda: [bench.client.fetch(f"{API}exports/{each}/download/") for each in ids]
    )
    return spent


def _create(bench: _Bench, jobs: int) -> list[str]:
    return [bench.client.data("POST", "exports/", bench.export())["id"] for _ in range(jobs)]


def _run_all(bench: _Bench) -> None:
    bench.server.go_on()
    bench.database.until_nothing_is_open()


def _request(name: str, found: Sequence[Spent], count: int) -> Cost:
    statements = min(each.statements.get("http", 0) for each in found) / count
    waited = min(each.waited.get("http", 0) for each in found) / count
    return Cost(
        name=name,
        per="request",
        cpu_ms=_least(found, lambda each: each.threads["http"], count),
        database_cpu_ms=_least(found, lambda each: each.database, count),
        statements=statements,
        waited_ms=waited * 1000,
        also=f"{count / min(each.seconds for each in found):.0f}/s by one client",
    )


def _job(found: Sequence[Spent], jobs: int) -> Iterator[Cost]:
    """Tell what running a job of ten rows takes: handing it out, and its slot, step by step."""
    yield _part("dispatch", "dispatch", found, jobs)
    for step, told in STEPS.items():
        took = _least(found, lambda each, step=step: each.steps[step], jobs)
        yield Cost(name=f"slot: {told}", per="job", cpu_ms=took)
    yield _part("slot: all of it", "slots", found, jobs)
    yield Cost(
        name="dispatch and slot",
        per="job",
        cpu_ms=_least(found, lambda each: each.process, jobs),
        database_cpu_ms=_least(found, lambda each: each.database, jobs),
        also=f"{jobs / min(each.seconds for each in found):.0f} jobs/s",
    )


def _part(name: str, kind: str, found: Sequence[Spent], jobs: int) -> Cost:
    return Cost(
        name=name,
        per="job",
        cpu_ms=_least(found, lambda each: each.threads[kind], jobs),
        statements=min(each.statements.get(kind, 0) for each in found) / jobs,
        waited_ms=min(each.waited.get(kind, 0) for each in found) / jobs * 1000,
    )


def _least(found: Sequence[Spent], of: Callable[[Spent], float], count: int) -> float:
    """Give milliseconds for each: a busy machine only ever adds to them."""
    return min(of(each) for each in found) / count * 1000


def _running(bench: _Bench, quick: bool) -> Iterator[Cost]:
    """Tell what a server costs that has nothing to do."""
    seconds = IDLE_SECONDS / (10 if quick else 1)
    print("idle …", file=sys.stderr, flush=True)
    found = [bench.spent(lambda: time.sleep(seconds)) for _ in range(2)]
    yield Cost(
        name="a server without work",
        per="second",
        cpu_ms=min(each.process / each.seconds for each in found) * 1000,
        database_cpu_ms=min(each.database / each.seconds for each in found) * 1000,
        statements=min(sum(each.statements.values()) / each.seconds for each in found),
        waited_ms=min(sum(each.waited.values()) / each.seconds for each in found) * 1000,
    )


def _other_server(bench: _Bench, quick: bool) -> Iterator[Cost]:
    """Time tiny jobs from the request to the row's end: created at the server that runs them, and at another."""
    print("one job after the other …", file=sys.stderr, flush=True)
    count = TINY_JOBS // (10 if quick else 1)
    with serving.observed(bench.installation, **LIMITS) as other, other.client() as client:
        other.hold()  # the other one creates, and runs none
        for name, through in (("at the server that runs it", bench.client), ("at another server", client)):
            spent = [_timed(bench, through) for _ in range(count)]
            told = f"p50 {median(spent):.0f} ms, p99 {percentile(spent, 99):.0f} ms until it is completed"
            yield Cost(name=f"a tiny job created {name}", per="job", also=told)


def _timed(bench: _Bench, through: Client) -> float:
    time.sleep(random.uniform(0, POLL_SECONDS))  # noqa: S311 - or it would always come right after a look
    started = time.perf_counter()
    job = through.data("POST", "exports/", bench.export())
    bench.client.until(job["id"], "completed")
    return (time.perf_counter() - started) * 1000


@dataclass(frozen=True, kw_only=True)
class Volume:
    """What a million rows cost; the least of the rounds."""

    pair: str
    rows: int
    cpu_seconds: float
    source_cpu_seconds: float
    seconds: float
    file_bytes: float
    beats_per_second: float


def _volumes(bench: _Bench, place: data.Data, asked: argparse.Namespace) -> Iterator[Volume]:
    for pair in pairs("lineitem"):
        print(f"{pair.name} …", file=sys.stderr, flush=True)
        where = place.place(pair.source, pair.table, asked.scale)
        body = {
            "datasource": bench.installation.datasource(where),
            "format": pair.format,
            "filters": {"table": pair.table},
            "options": OPTIONS.get(pair.format, {}),
        }
        yield _volume(bench, pair, body, asked.rounds)


def _volume(bench: _Bench, pair: Pair, body: dict[str, Any], rounds: int) -> Volume:
    jobs: list[dict[str, Any]] = []

    def export() -> None:
        job = bench.client.data("POST", "exports/", body)
        bench.database.until_nothing_is_open()
        jobs.append(bench.client.data("GET", f"exports/{job['id']}/"))

    found = [bench.spent(export) for _ in range(rounds)]
    done = jobs[-1]
    if done["status"] != "completed":
        raise ours.ExportFailed(f"{pair.name}: {done['error_message']}")
    for job in jobs:
        bench.client.call("DELETE", f"{API}exports/{job['id']}/")
    share = MILLION / done["row_count"]
    return Volume(
        pair=pair.name,
        rows=done["row_count"],
        cpu_seconds=min(each.exporting for each in found) * share,
        source_cpu_seconds=min(each.database for each in found) * share,
        seconds=min(each.seconds for each in found) * share,
        file_bytes=done["file_size"] * share,
        beats_per_second=max(each.statements.get("beat", 0) / each.seconds for each in found),
    )


def _costs(costs: Sequence[Cost]) -> str:
    header = (
        "what", "per", "our cpu ms", "app database's cpu ms", "statements", "ms waited for them", "also",
    )  # fmt: skip
    rows = [
        [
            each.name,
            each.per,
            *map(_spelled, (each.cpu_ms, each.database_cpu_ms, each.statements, each.waited_ms)),
            each.also,
        ]
        for each in costs
    ]
    return report.table(header, rows)


def _spelled(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _volume_table(volumes: Sequence[Volume]) -> str:
    header = (
        "a million rows", "rows measured", "our cpu s", "PostgreSQL's cpu s", "seconds", "file MB", "beats/s",
    )  # fmt: skip
    rows = [
        [
            each.pair,
            f"{each.rows:,}",
            f"{each.cpu_seconds:.2f}",
            f"{each.source_cpu_seconds:.2f}",
            f"{each.seconds:.2f}",
            f"{each.file_bytes / MILLION:.0f}",
            f"{each.beats_per_second:.1f}",
        ]
        for each in volumes
    ]
    return report.table(header, rows)
