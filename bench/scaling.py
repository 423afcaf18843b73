"""How far one app database carries: simulated servers on a long queue in a real PostgreSQL."""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import appdb, child, data, ours, report
from bench.figures import median, percentile

SERVERS, SLOTS = 4, 50
USERS = 20
QUEUES = (1_000, 100_000)
SECONDS = 30.0
MEANS = (0.0, 10.0)
KINDS = ("whose turn", "who runs", "claim", "beat", "complete")


@dataclass(frozen=True, kw_only=True)
class Drained:
    """What several servers did to a queue together; `spent` is milliseconds of each kind of question."""

    queue: int
    mean: float
    seconds: float
    completed: int
    refused: int
    cpu_seconds: float
    database_cpu_seconds: float = 0.0
    spent: dict[str, list[float]]


def measure(asked: argparse.Namespace) -> int:
    share = 20 if asked.quick else 1
    with (
        data.opened(asked.data, with_postgres=True) as place,
        place.empty_database() as url,
        appdb.watching(url) as database,
        ours.installation(asked.data, EXPORTER_DATABASE_URL=url) as installation,
    ):
        installation.datasource(place.place("sqlite", "tiny", asked.scale))
        found = list(_figures(installation, database, share))
    header = (
        "what", "jobs/s", "handed over twice", "cpu ms/job", "app database's cpu ms/job",
        *(f"{kind}, ms p50 / p99" for kind in KINDS),
    )  # fmt: skip
    told = f"{SERVERS} servers of {SLOTS} slots, {USERS} users"
    text = f"{report.table(header, [_row(each) for each in found])}\n\n{told}"
    report.write(asked.out, "scaling", text, [asdict(each) for each in found])
    return 0


def _figures(installation: ours.Installation, database: appdb.AppDatabase, share: int) -> Iterator[Drained]:
    for mean in MEANS:
        for queue in QUEUES:
            print(f"{queue // share:,} jobs of {mean:g} s …", file=sys.stderr, flush=True)
            installation.seed(queue // share, users=USERS)
            before = database.cpu_seconds()
            drained = _drained(installation, queue // share, mean / share, SECONDS / share)
            yield replace(drained, database_cpu_seconds=database.cpu_seconds() - before)


def _drained(installation: ours.Installation, queue: int, mean: float, seconds: float) -> Drained:
    with TemporaryDirectory() as folder, ThreadPoolExecutor(SERVERS) as pool:
        files = [Path(folder) / str(number) for number in range(SERVERS)]
        commands = [
            child.module("bench.workers", str(SLOTS), str(mean), str(seconds), str(file)) for file in files
        ]
        runs = list(pool.map(lambda command: child.run(command, environ=installation.environ), commands))
        told = [json.loads(file.read_text()) for file in files]
    return Drained(
        queue=queue,
        mean=mean,
        seconds=max(each["seconds"] for each in told),
        completed=sum(each["completed"] for each in told),
        refused=sum(each["refused"] for each in told),
        cpu_seconds=sum(run.cpu_seconds for run in runs),
        spent=_together([each["spent"] for each in told]),
    )


def _together(parts: list[dict[str, list[float]]]) -> dict[str, list[float]]:
    spent: dict[str, list[float]] = defaultdict(list)
    for part in parts:
        for kind, values in part.items():
            spent[kind] += values
    return dict(spent)


def _row(each: Drained) -> list[Any]:
    jobs = max(1, each.completed)
    return [
        f"{each.queue:,} jobs of {each.mean:g} s",
        f"{each.completed / each.seconds:.1f}",
        f"{each.refused}",
        f"{each.cpu_seconds / jobs * 1000:.1f}",
        f"{each.database_cpu_seconds / jobs * 1000:.1f}",
        *(_spread(each.spent.get(kind, [])) for kind in KINDS),
    ]


def _spread(values: list[float]) -> str:
    return f"{median(values):.1f} / {percentile(values, 99):.1f}" if values else "—"
