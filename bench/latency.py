"""How the server answers: alone, beside running exports, with many jobs; tiny jobs, cancels, and how many requests."""

import argparse
import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from bench import data, ours, report, serving
from bench.case import FORMATS, SOURCES
from bench.figures import median, percentile
from bench.ours import OPTIONS
from bench.serving import API, Client, Refused, Server

CALLS, TINY_JOBS, CANCELS, REQUESTS = 300, 50, 100, 400
CLIENTS = 4
JOBS = (100, 10_000, 100_000)
LIST = f"{API}exports/"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One line of the table; `value` is what the goal is about, in `unit`."""

    name: str
    value: float
    unit: str
    also: str = ""
    goal: str = ""


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Ids of datasources: one with ten rows, and large ones by the name of their source."""

    tiny: str
    large: dict[str, str]


def measure(asked: argparse.Namespace) -> int:
    share = 10 if asked.quick else 1
    with ExitStack() as stack:
        place = stack.enter_context(data.opened(asked.data, with_postgres=True))
        installation = stack.enter_context(ours.installation(asked.data))
        sources = Sources(
            tiny=installation.datasource(place.place("sqlite", "tiny", asked.scale)),
            large={
                name: installation.datasource(place.place(name, "lineitem", asked.scale)) for name in SOURCES
            },
        )
        limits = {"EXPORTER_MAX_PENDING": "100000", "EXPORTER_MAX_PENDING_PER_USER": "100000"}
        server = stack.enter_context(serving.exporter(installation, EXPORTER_WORKERS="2", **limits))
        client = stack.enter_context(server.client())
        figures = list(_figures(_Bench(installation, server, client, sources), share))
    rows = [[each.name, f"{each.value:.2f} {each.unit}", each.also, each.goal] for each in figures]
    text = report.table(("what", "measured", "also", "goal"), rows)
    report.write(asked.out, "latency", text, [asdict(each) for each in figures])
    return 0


@dataclass(frozen=True)
class _Bench:
    installation: ours.Installation
    server: Server
    client: Client
    sources: Sources


def _figures(bench: _Bench, share: int) -> Iterator[Figure]:
    """The order matters: later steps leave many jobs behind."""
    steps: Sequence[Callable[[_Bench, int], Iterator[Figure]]] = (_tiny, _beside, _cancels, _requests, _lists)
    for step in steps:
        print(f"{step.__name__.removeprefix('_')} …", file=sys.stderr, flush=True)
        yield from step(bench, share)


def _tiny(bench: _Bench, share: int) -> Iterator[Figure]:
    spent = []
    for _ in range(TINY_JOBS // share):
        started = time.perf_counter()
        job = bench.client.data("POST", "exports/", _tiny_export(bench))
        bench.client.until(job["id"], "completed")
        spent.append((time.perf_counter() - started) * 1000)
    yield _milliseconds("tiny job, POST to completed", spent, 50, "p50 hold 150, aim 50")


def _beside(bench: _Bench, share: int) -> Iterator[Figure]:
    """List and detail, alone and while two slots export."""
    job = bench.client.data("POST", "exports/", _tiny_export(bench))
    detail = f"{LIST}{job['id']}/"
    yield from _reads(bench, detail, "alone", "", share)
    with _exporting(bench):
        yield from _reads(bench, detail, "beside 2 exports", "p99 hold 100, aim 30", share)


def _reads(bench: _Bench, detail: str, when: str, goal: str, share: int) -> Iterator[Figure]:
    for name, path in (("list", LIST), ("detail", detail)):
        spent = [bench.client.timed("GET", path) for _ in range(CALLS // share)]
        yield _milliseconds(f"{name}, {when}", spent, 99, goal)


@contextmanager
def _exporting(bench: _Bench) -> Iterator[None]:
    """Keep two slots busy: each source's CSV and Parquet in turn."""
    over = threading.Event()
    threads = [threading.Thread(target=_keep_busy, args=(bench, source, over)) for source in SOURCES]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _keep_busy(bench: _Bench, source: str, over: threading.Event) -> None:
    with bench.server.client() as client:
        for name in itertools.cycle(("csv", "parquet", "json")):
            job = client.data("POST", "exports/", _large_export(bench, source, name))
            while not over.wait(0.1):
                if client.data("GET", f"exports/{job['id']}/")["status"] == "completed":
                    break
            if over.is_set():
                _cancel(client, job["id"])
                return


def _cancels(bench: _Bench, share: int) -> Iterator[Figure]:
    """Cancel exports of each kind while they read, and wait for `stopped_at`."""
    kinds = list(itertools.product(SOURCES, FORMATS))
    spent = []
    for number in range(CANCELS // share):
        source, name = kinds[number % len(kinds)]
        job = bench.client.data("POST", "exports/", _large_export(bench, source, name))
        bench.client.until(job["id"], "processing")
        time.sleep(0.05 * (number % 5))  # somewhere else in the export each time
        started = time.perf_counter()
        if _cancel(bench.client, job["id"]):
            bench.client.until(job["id"], "cancelled", known="stopped_at")
            spent.append((time.perf_counter() - started) * 1000)
    yield _milliseconds(f"cancel to stopped_at, of {len(spent)}", spent, 99, "p99 hold 500, aim 100")


def _cancel(client: Client, job_id: str) -> bool:
    try:
        client.data("POST", f"exports/{job_id}/cancel/")
    except Refused:
        return False  # it was faster
    return True


def _requests(bench: _Bench, share: int) -> Iterator[Figure]:
    """Count create requests from several clients, jobs running meanwhile, against a bare server's."""
    count = REQUESTS // share
    with serving.hello() as bare:
        hello = _rate(bare, count, "GET", "/", None)
        created = _rate(bench.server, count, "POST", LIST, _tiny_export(bench))
    also = f"{created:.0f}/s against {hello:.0f}/s, {CLIENTS} clients"
    yield Figure(
        name="create requests over bare hello",
        value=created / hello,
        unit="times",
        also=also,
        goal="hold 0.3, aim 0.5",
    )
    with bench.server.client() as client:
        # What comes next is not to be measured beside these.
        while client.data("GET", "exports/?status=pending&page_size=1")["export_jobs"]:
            time.sleep(0.2)


def _rate(server: Server, count: int, method: str, path: str, body: object) -> float:
    """Give the requests per second of several clients at once."""

    def ask() -> None:
        with server.client() as client:
            for _ in range(count // CLIENTS):
                client.call(method, path, body)

    threads = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return count // CLIENTS * CLIENTS / (time.perf_counter() - started)


def _lists(bench: _Bench, share: int) -> Iterator[Figure]:
    """Time the first page of the list with more and more jobs, all of them one user's."""
    there = bench.client.data("GET", "exports/?page_size=1")["pagination"]["total_count"]
    first = 0.0
    for wanted in JOBS[: 2 if share > 1 else None]:
        bench.installation.seed(max(0, wanted - there))
        there = max(there, wanted)
        spent = [bench.client.timed("GET", LIST) for _ in range(CALLS // share)]
        first = first or median(spent)
        goal = "10,000: hold 2 times the first, aim 1.2"
        yield Figure(
            name=f"list page with {there:,} jobs", value=median(spent), unit="ms p50",
            also=f"{median(spent) / first:.2f} times the first", goal=goal if wanted > JOBS[0] else "",
        )  # fmt: skip


def _milliseconds(name: str, spent: Sequence[float], share: int, goal: str) -> Figure:
    also = ", ".join(f"p{each} {percentile(spent, each):.1f}" for each in (50, 99) if each != share)
    also += f", most {max(spent):.1f}"
    return Figure(name=name, value=percentile(spent, share), unit=f"ms p{share}", also=also, goal=goal)


def _tiny_export(bench: _Bench) -> dict[str, Any]:
    return {"datasource": bench.sources.tiny, "format": "csv", "filters": {"table": "tiny"}}


def _large_export(bench: _Bench, source: str, name: str) -> dict[str, Any]:
    filters, options = {"table": "lineitem"}, OPTIONS.get(name, {})
    return {"datasource": bench.sources.large[source], "format": name, "filters": filters, "options": options}
