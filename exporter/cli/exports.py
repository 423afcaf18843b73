"""exporter exports …"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from exporter.cli.backend import Backend, Document
from exporter.cli.base import Noun, as_user, backend_command, reaching_group
from exporter.cli.output import as_json, listing, program, show_document, show_json, show_table, show_warnings
from exporter.cli.request import FORMATS, export_options, export_request
from exporter.cli.running import run_to_end
from exporter.cli.saving import as_output, own_name, save
from exporter.model import JobStatus

as_job = click.argument("job_id", metavar="ID")


@click.group(cls=Noun)
@reaching_group
def exports() -> None:
    """Export jobs, here or on a server elsewhere.

    Example: exporter exports --server https://data.example list
    """


@exports.command()
@click.argument("datasource")
@export_options
@click.option("--name", help="What to call the job.")
@as_output("Where to put the finished file.")
@as_user
@as_json
@backend_command
def create(
    backend: Backend,
    datasource: str,
    *,
    template: str | None,
    output: Path | None,
    as_json: bool,
    **asked: Any,
) -> None:
    """Export, and wait for the end.

    Ctrl-C cancels the export.

    Example: exporter exports create shop --table orders --where "total > 100" --output big.csv
    """
    body = export_request(backend, datasource, template, asked)
    _finish(backend, lambda: backend.submit(body), output=output, as_json=as_json)


@exports.command("list")
@click.option("--status", type=click.Choice([status.value for status in JobStatus]))
@click.option("--format", "format_name", type=FORMATS)
@click.option("--search", metavar="TEXT", help="In datasource name, error message and job name.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, metavar="N")
@as_user
@as_json
@backend_command
def list_exports(
    backend: Backend,
    *,
    status: str | None,
    format_name: str | None,
    search: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List the newest jobs.

    Example: exporter exports list --status failed
    """
    asked = {"status": status, "format": format_name, "search": search}
    jobs, total = backend.jobs({name: value for name, value in asked.items() if value}, limit=limit)
    if as_json:
        show_json({"export_jobs": jobs, "pagination": listing(total, limit)})
        return
    rows = [
        {**job, "datasource": job["datasource"]["name"], "progress": f"{job['progress']}%"} for job in jobs
    ]
    columns = ("id", "status", "progress", "format", "datasource", "row_count", "file_size", "created_at")
    show_table(rows, columns, empty="There are no export jobs yet.")


@exports.command()
@as_job
@as_user
@as_json
@backend_command
def show(backend: Backend, job_id: str, *, as_json: bool) -> None:
    """Show one job with its attempts.

    Example: exporter exports show ID --json
    """
    job = backend.job(job_id)
    if as_json:
        show_json(job)
    else:
        show_document(job)


@exports.command()
@as_job
@as_user
@as_json
@backend_command
def cancel(backend: Backend, job_id: str, *, as_json: bool) -> None:
    """Cancel a pending or running job.

    Example: exporter exports cancel ID
    """
    job = backend.cancel(job_id)
    if as_json:
        show_json(job)
    else:
        click.echo("Export job cancelled")


@exports.command()
@as_job
@as_output("Where to put the finished file.")
@as_user
@as_json
@backend_command
def retry(backend: Backend, job_id: str, *, output: Path | None, as_json: bool) -> None:
    """Run a failed or cancelled job again, and wait.

    Example: exporter exports retry ID --output orders.csv
    """
    _finish(backend, lambda: backend.retry(job_id), output=output, as_json=as_json)


@exports.command()
@as_job
@as_user
@backend_command
def delete(backend: Backend, job_id: str) -> None:
    """Delete a job and its file.

    Example: exporter exports delete ID
    """
    backend.delete(job_id)
    click.echo("Export job deleted")


@exports.command()
@as_job
@as_output("Default: the export's own name, here.")
@as_user
@backend_command
def download(backend: Backend, job_id: str, *, output: Path | None) -> None:
    """Put a finished file where you want it, whole or not at all.

    Example: exporter exports download ID --output orders.csv
    """
    job = backend.job(job_id)
    click.echo(str(save(backend, job, output or Path(own_name(job)))))


@exports.command()
@as_job
@as_output("Write it there instead of on the terminal.")
@as_user
@as_json
@backend_command
def receipt(backend: Backend, job_id: str, *, output: Path | None, as_json: bool) -> None:
    """Print the proof of a finished export, as JSON, for exporter verify.

    Example: exporter exports receipt ID --output receipt.json
    """
    del as_json  # it is nothing else
    found = backend.receipt(job_id)
    if output is None:
        show_json(found)
        return
    target = output / f"{job_id}.receipt.json" if output.is_dir() else output
    try:
        target.write_text(json.dumps(found, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    except OSError as exc:
        raise click.ClickException(f"{target} cannot be written: {exc.strerror}") from exc
    click.echo(str(target))


def _finish(backend: Backend, start: Callable[[], Document], *, output: Path | None, as_json: bool) -> None:
    (job,) = run_to_end(backend, lambda: [start()], quiet=as_json)
    if as_json:
        show_json(job)
    if job["status"] != JobStatus.COMPLETED:
        raise click.ClickException(job["error_message"] or f"The export was {job['status']}")
    target = save(backend, job, output) if output is not None else None
    if as_json:
        return
    show_warnings([warning["message"] for warning in job["warnings"]])
    awaits = f"awaits: {program()} exports download {job['id']}{backend.flags}"
    where = f"is at {target}" if target is not None else awaits
    click.echo(f"{job['row_count'] or 0:,} rows, {job['file_size'] or 0:,} bytes; the file {where}")
