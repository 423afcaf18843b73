"""Fresh processes, their time and their peak memory.

A child's peak starts at what its parent held when it began. So whoever measures imports nothing heavy, and leaves
loading, checking and exporting to children.
"""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

KIB_PER_MB = 1024
TOLD_CHARACTERS = 600


class ChildFailed(Exception):
    """A process ended with an error."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One process: wall seconds from its start to its end, processor seconds, peak resident MiB, what it printed."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    printed: str


def run(
    command: Sequence[str],
    *,
    environ: Mapping[str, str] | None = None,
    target: Path | None = None,
    given: str = "",
) -> Run:
    """Run to the end, with `given` (a line or two) to read; its output goes into `target`. Raises ChildFailed."""
    printed = Path(os.devnull) if target is None else target
    with printed.open("wb") as into:
        started = time.perf_counter()
        process = subprocess.Popen(
            list(command),
            stdout=subprocess.PIPE if target is None else into,
            stderr=subprocess.PIPE,
            stdin=subprocess.PIPE,
            env={**environment(), **(environ or {})},
        )
        output, errors = _drained(process, given.encode())
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        told = (errors or output).decode("utf-8", "replace").strip()[-TOLD_CHARACTERS:]
        raise ChildFailed(f"{command[0]} ended with {process.returncode}: {told}")
    return Run(
        seconds=seconds,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_mb=usage.ru_maxrss / KIB_PER_MB,
        printed=output.decode(),
    )


def environment() -> dict[str, str]:
    """Give this process's environment without the settings of an installation that it may hold."""
    return {name: value for name, value in os.environ.items() if not name.startswith("EXPORTER_")}


def module(name: str, *arguments: str) -> list[str]:
    """Give the command that runs a module of this package in a fresh interpreter."""
    return [sys.executable, "-m", name, *arguments]


def _drained(process: "subprocess.Popen[bytes]", given: bytes) -> tuple[bytes, bytes]:
    """Read both pipes to their ends. What children print is small: one after the other is enough."""
    if process.stdin is not None:
        with suppress(BrokenPipeError):
            process.stdin.write(given)
            process.stdin.close()
    output = process.stdout.read() if process.stdout is not None else b""
    errors = process.stderr.read() if process.stderr is not None else b""
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
    return output, errors
