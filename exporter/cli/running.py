"""Seeing jobs to their end from a terminal, whether or not a server is up."""

import time
from collections.abc import Sequence

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from exporter.jobs.engine import AlreadyServed
from exporter.model import Job, JobStatus, User
from exporter.wiring import Services

LOOK_SECONDS = 0.1
ENDED = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED})


def run_to_end(parts: Services, user: User, jobs: Sequence[Job], *, quiet: bool = False) -> list[Job]:
    """Run the jobs here, or leave them to the server that holds this instance, and watch until all ended.

    Ctrl-C cancels what has not ended. The engine is stopped afterwards: call this once in a process.
    """
    try:
        parts.engine.start(only=frozenset(job.id for job in jobs))
    except AlreadyServed as exc:
        if not quiet:
            click.echo(f"Handed to the server: {exc.facts['holder']}", err=True)
    try:
        return _watch(parts, user, jobs, Console(stderr=True, quiet=quiet))
    except KeyboardInterrupt:
        _cancel(parts, user, jobs)
        raise
    finally:
        parts.engine.stop(grace=parts.settings.shutdown_grace_seconds)


def _watch(parts: Services, user: User, jobs: Sequence[Job], console: Console) -> list[Job]:
    with _bars(console) as bars:
        tasks = [bars.add_task(f"{job.datasource_name} → {job.format}", total=None) for job in jobs]
        while True:
            now = [parts.jobs.get(job.id, user) for job in jobs]
            for task, job in zip(tasks, now, strict=True):
                total = job.row_count if job.status in ENDED else job.rows_total
                bars.update(task, completed=job.row_count or 0, total=total)
            if all(job.status in ENDED for job in now):
                return now
            time.sleep(LOOK_SECONDS)


def _cancel(parts: Services, user: User, jobs: Sequence[Job]) -> None:
    for job in jobs:
        if parts.jobs.get(job.id, user).status not in ENDED:
            parts.jobs.cancel(job)


def _bars(console: Console) -> Progress:
    """Show moving bars on a terminal, and nothing elsewhere."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("rows"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
