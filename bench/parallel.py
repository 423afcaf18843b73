"""Two exports at once beside one: how much more gets done."""

import argparse
import sys

from bench import data, ours, report
from bench.case import FORMATS, SOURCES, Pair
from bench.figures import spread


def measure(asked: argparse.Namespace) -> int:
    """Give the throughput of two equal jobs in one process over that of one."""
    rows: list[list[str]] = []
    results: dict[str, list[float]] = {}
    with data.opened(asked.data, with_postgres=True) as place, ours.installation(asked.data) as installation:
        for source in SOURCES:
            for name in FORMATS:
                pair = Pair(source=source, format=name, table="lineitem_part")
                print(f"{pair.name} …", file=sys.stderr, flush=True)
                gains, one, two = [], [], []
                where = place.place(source, pair.table, asked.scale)
                for _ in range(asked.rounds):
                    one.append(_seconds(installation, where, pair, 1))
                    two.append(_seconds(installation, where, pair, 2))
                    gains.append(2 * one[-1] / two[-1])
                results[pair.name] = gains
                rows.append([pair.name, spread(one), spread(two), spread(gains)])
    header = ("pair", "one job, s", "two at once, s", "throughput, two over one")
    report.write(asked.out, "parallel", report.table(header, rows), results)
    return 0


def _seconds(installation: ours.Installation, where: data.Place, pair: Pair, count: int) -> float:
    exported = installation.export(where, pair, count=count)
    for file in exported.files:
        file.unlink()
    return exported.seconds
