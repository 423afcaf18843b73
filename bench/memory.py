"""Peak memory of our own jobs: at N and at 4 N rows, with 10 MB cells, with 1,000 columns."""

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from bench import data, ours, report
from bench.case import FORMATS, HOLD_MB, SOURCES, Pair

TIMES = 4
GROWTH = 1.10
HEADER = ("pair", "peak MB", f"peak MB, {TIMES} times the rows", "growth", "goal")


def measure(asked: argparse.Namespace) -> int:
    with data.opened(asked.data, with_postgres=True) as place, ours.installation(asked.data) as installation:
        found = list(_measured(place, installation, asked.scale))
    rows = [_row(each) for each in found]
    report.write(asked.out, "memory", report.table(HEADER, rows), found)
    return 0


def _measured(place: data.Data, installation: ours.Installation, scale: float) -> Iterator[dict[str, Any]]:
    for source in SOURCES:
        for name in FORMATS:
            peaks = [
                _peak(place, installation, Pair(source=source, format=name, table="lineitem"), each)
                for each in (scale, scale * TIMES)
            ]
            yield {"pair": f"{source}-{name}", "peaks": peaks}
        for table in ("wide", "cells"):
            for name in FORMATS:
                if (table, name) != ("cells", "excel"):  # a cell of Excel holds 32,767 characters
                    pair = Pair(source=source, format=name, table=table)
                    yield {"pair": pair.name, "peaks": [_peak(place, installation, pair, scale)]}


def _peak(place: data.Data, installation: ours.Installation, pair: Pair, scale: float) -> float:
    print(f"{pair.name}, scale {scale:g} …", file=sys.stderr, flush=True)
    exported = installation.export(place.place(pair.source, pair.table, scale), pair)
    for file in exported.files:
        file.unlink()
    return exported.run.peak_mb


def _row(measured: dict[str, Any]) -> list[str]:
    first, *more = measured["peaks"]
    growth = more[0] / first if more else None
    held = max(measured["peaks"]) <= HOLD_MB and (growth is None or growth <= GROWTH)
    return [
        measured["pair"],
        f"{first:.0f}",
        f"{more[0]:.0f}" if more else "",
        f"{growth:.2f}" if growth is not None else "",
        "held" if held else f"MISSED: {HOLD_MB} MB, {GROWTH:g} times",
    ]
