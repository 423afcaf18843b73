"""Seeing jobs to their end from a terminal, wherever they run."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from exporter.cli.backend import Backend, Document, Look
from exporter.cli.interrupt import Interrupt
from exporter.errors import Conflict, ExporterError
from exporter.model import JobStatus

if TYPE_CHECKING:
    from rich.progress import Progress

ENDED = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED})


def run_to_end(
    backend: Backend, start: Callable[[], Sequence[Document]], *, quiet: bool = False
) -> list[Document]:
    """Start jobs and watch until all have ended. Ctrl-C cancels those that have not, also one that was just started."""
    with Interrupt() as interrupt:
        jobs = start()
        with backend.running(jobs) as look:
            try:
                return _watch(look, jobs, interrupt, quiet=quiet)
            except KeyboardInterrupt:
                _cancel(backend, jobs)
                raise click.ClickException("Interrupted: the export was cancelled") from None


def _watch(look: Look, jobs: Sequence[Document], interrupt: Interrupt, *, quiet: bool) -> list[Document]:
    with _bars(quiet=quiet) as bars:
        tasks = [bars.add_task(f"{job['datasource']['name']} → {job['format']}", total=None) for job in jobs]
        while True:
            looks = [look(job["id"]) for job in jobs]
            now = [job for job, _ in looks]
            for task, job in zip(tasks, now, strict=True):
                total = job["row_count"] if job["status"] in ENDED else job["rows_total"]
                bars.update(task, completed=job["row_count"] or 0, total=total)
            if all(job["status"] in ENDED for job in now):
                return now
            interrupt.sleep(max(pause for _, pause in looks))


def _cancel(backend: Backend, jobs: Sequence[Document]) -> None:
    for job in jobs:
        try:
            backend.cancel(job["id"])
        except Conflict:
            continue  # it had ended
        except ExporterError as exc:
            raise click.ClickException(
                f"Interrupted, but job {job['id']} may go on, it could not be cancelled: {exc.line}"
            ) from exc


def _bars(*, quiet: bool) -> "Progress":
    """Show moving bars on a terminal, and nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, quiet=quiet)
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("rows"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
