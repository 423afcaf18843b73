"""How long the command line and the app take to start, beside the libraries that they cannot do without."""

import argparse
import sys
import tempfile

from bench import child, report
from bench.figures import median, spread

TIMES = 7
GOAL = 3.0
FLOOR = "import flask, sqlalchemy"


def measure(asked: argparse.Namespace) -> int:
    """Run each in turn, several times, in fresh processes."""
    with tempfile.TemporaryDirectory() as instance:
        commands = {
            FLOOR: [sys.executable, "-c", FLOOR],
            "exporter --help": child.module("exporter", "--help"),
            "create_app()": [sys.executable, "-c", "from exporter import create_app; create_app()"],
        }
        environ = {"EXPORTER_INSTANCE_PATH": instance}
        runs: dict[str, list[child.Run]] = {name: [] for name in commands}
        for _ in range(TIMES if not asked.quick else 3):
            for name, command in commands.items():
                runs[name].append(child.run(command, environ=environ))
    report.write(asked.out, "startup", _table(runs), {name: _document(each) for name, each in runs.items()})
    return 0


def _table(runs: dict[str, list[child.Run]]) -> str:
    floor = median([run.cpu_seconds for run in runs[FLOOR]])
    rows = []
    for name, each in runs.items():
        ratio = median([run.cpu_seconds for run in each]) / floor
        verdict = "" if name == FLOOR else f"at most {GOAL:g}: {'held' if ratio <= GOAL else 'MISSED'}"
        peak = max(run.peak_mb for run in each)
        seconds = spread([run.seconds for run in each])
        cpu = spread([run.cpu_seconds for run in each])
        rows.append([f"`{name}`", seconds, cpu, f"{ratio:.2f}", f"{peak:.0f}", verdict])
    return report.table(("what", "seconds", "cpu s", f"cpu / `{FLOOR}`", "peak MB", "goal"), rows)


def _document(runs: list[child.Run]) -> dict[str, list[float]]:
    return {"seconds": [run.seconds for run in runs], "cpu_seconds": [run.cpu_seconds for run in runs]}
