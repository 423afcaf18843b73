"""Processor time of other processes, as the system counts it: in steps of a hundredth of a second."""

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PARENT, USED, USED_BY_ENDED = 1, slice(11, 13), slice(13, 15)  # fields behind the name


def seconds_of(pid: int) -> float:
    """Give what a process has used, all its threads together."""
    return _ticks(_fields(pid)[USED]) / TICKS


def seconds_of_family(pid: int) -> float:
    """Give what a process and its children have used, with those that have ended and were waited for."""
    own = _fields(pid)
    children = sum(_ticks(_fields(child)[USED]) for child in _children(pid))
    return (_ticks(own[USED]) + _ticks(own[USED_BY_ENDED]) + children) / TICKS


def parent_of(pid: int) -> int:
    return int(_fields(pid)[PARENT])


def _children(pid: int) -> list[int]:
    everybody = [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdecimal()]
    return [other for other in everybody if _fields(other)[PARENT] == str(pid)]


def _fields(pid: int) -> list[str]:
    """Give the fields behind the name, which may hold blanks; zeros for a process that has gone."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ["0"] * 50
    return told.rpartition(")")[2].split()


def _ticks(fields: list[str]) -> int:
    return sum(map(int, fields))
