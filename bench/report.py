"""What was measured, as Markdown and as JSON."""

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from bench.case import AIM_MB, HOLD_MB, Goal, goals
from bench.compare import Compared, Contender
from bench.figures import median, spread

DISTRIBUTIONS = (
    "exporter", "apsw", "pyarrow", "psycopg", "duckdb", "connectorx", "polars", "pandas", "openpyxl", "xlsxwriter",
    "rustpy-xlsxwriter",
)  # fmt: skip
HEADER = (
    "pair",
    "rows",
    "who",
    "seconds",
    "job",
    "cpu s",
    "ours / peer",
    "job / peer",
    "peak MB",
    "rows compared",
    "goal",
)


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def comparison(found: Sequence[Compared]) -> str:
    return table(HEADER, [row for compared in found for row in _rows(compared)])


def _rows(compared: Compared) -> list[list[str]]:
    ours = compared.ours
    first = [
        f"**{compared.pair.name}**",
        f"{compared.rows:,}",
        f"**{ours.name}**",
        spread([run.seconds for run in ours.runs]),
        spread(ours.job_seconds),
        spread([run.cpu_seconds for run in ours.runs]),
        "",
        "",
        f"{_peak(ours):.0f}",
        "",
        _memory_verdict(_peak(ours)),
    ]
    return [first, *(_peer_row(compared, contender) for contender in compared.contenders[1:])]


def _peer_row(compared: Compared, contender: Contender) -> list[str]:
    ratios = ratios_of(compared.ours, contender)
    goal = next((goal for goal in goals(compared.pair) if goal.peer == contender.name), None)
    return [
        "",
        "",
        contender.name,
        spread([run.seconds for run in contender.runs]),
        "",
        spread([run.cpu_seconds for run in contender.runs]),
        spread(ratios),
        spread(_job_ratios(compared.ours, contender)),
        f"{_peak(contender):.0f}" if contender.runs else "—",
        contender.remark.replace("\n", " ").replace("|", "/"),
        _verdict(goal, median(ratios)) if goal and ratios else "",
    ]


def ratios_of(ours: Contender, peer: Contender) -> list[float]:
    """Divide our whole process by the peer's, round by round."""
    return [mine.seconds / theirs.seconds for mine, theirs in zip(ours.runs, peer.runs, strict=False)]


def _job_ratios(ours: Contender, peer: Contender) -> list[float]:
    """Divide the job's own seconds by the peer's process: what a server, whose libraries are loaded, would show."""
    return [mine / theirs.seconds for mine, theirs in zip(ours.job_seconds, peer.runs, strict=False)]


def _peak(contender: Contender) -> float:
    return max((run.peak_mb for run in contender.runs), default=0.0)


def _verdict(goal: Goal, ratio: float) -> str:
    if goal.aim is not None and ratio <= goal.aim:
        return f"aim {goal.aim} reached"
    wanted = f"hold {goal.hold}" + (f", aim {goal.aim}" if goal.aim else "")
    return f"{wanted}: {'held' if ratio <= goal.hold else 'MISSED'}"


def _memory_verdict(peak: float) -> str:
    word = "aim reached" if peak <= AIM_MB else "held" if peak <= HOLD_MB else "MISSED"
    return f"memory {HOLD_MB}, aim {AIM_MB}: {word}"


def as_documents(found: Sequence[Compared]) -> list[dict[str, Any]]:
    return [
        {
            "pair": compared.pair.name,
            "rows": compared.rows,
            "contenders": [
                {**asdict(each), "runs": [_run(run) for run in asdict(each)["runs"]]}
                for each in compared.contenders
            ],
        }
        for compared in found
    ]


def _run(run: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in run.items() if name != "printed"}


def facts() -> dict[str, Any]:
    """Say when and on what this was measured."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {_memory_gib()} GiB, {platform.system()}",
        "load": round(os.getloadavg()[0], 1),
        "commit": _told("git", "rev-parse", "--short", "HEAD"),
        "python": platform.python_version(),
        "programs": {name: _told(name, "--version") for name in ("sqlite3", "psql")},
        "packages": {name: version for name in DISTRIBUTIONS if (version := _version(name))},
    }


def facts_text(told: dict[str, Any]) -> str:
    packages = ", ".join(f"{name} {version}" for name, version in told["packages"].items())
    programs = ", ".join(text for text in told["programs"].values() if text)
    return (
        f"{told['date']}; commit {told['commit']}; {told['machine']}, load {told['load']} at the end;"
        f" Python {told['python']}; {packages}; {programs}."
    )


def write(folder: Path, mode: str, text: str, document: object) -> None:
    """Keep a result as `<mode>.md` and `<mode>.json`, and print it."""
    told = facts()
    whole = f"{text}\n\n{facts_text(told)}\n"
    print(f"\n{whole}")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{mode}.md").write_text(whole, encoding="utf-8")
    kept = {"facts": told, "results": document}
    (folder / f"{mode}.json").write_text(
        json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _memory_gib() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)


def _told(*command: str) -> str:
    try:
        told = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return told.stdout.strip().partition("\n")[0][:40]
