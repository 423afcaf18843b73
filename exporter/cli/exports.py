"""exporter exports …"""

import shutil
from pathlib import Path
from typing import Any

import click

from exporter.cli.base import (
    Noun,
    acting_user,
    as_json,
    as_user,
    services_command,
    show_json,
    show_table,
)
from exporter.cli.running import run_to_end
from exporter.errors import Invalid
from exporter.jobs.documents import attempt_document, job_document
from exporter.jobs.requests import JobRequest
from exporter.model import Job, JobStatus, User
from exporter.query import parse_where
from exporter.storage.jobs import JobQuery
from exporter.wiring import Services

WORDS = {"true": True, "false": False, "yes": True, "no": False}


@click.group(cls=Noun)
def exports() -> None:
    """Export jobs."""


@exports.command()
@click.argument("datasource")
@click.option("--table", help="Needed unless the datasource is bound to a table or a query.")
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["csv", "json", "parquet", "excel"]),
    help="csv, if left out.",
)
@click.option("--columns", help="Comma-separated; all, if left out.")
@click.option("--where", multiple=True, help="A condition, e.g. --where 'price >= 10'. All must hold.")
@click.option("--order-by", help="e.g. 'created_at DESC, id'")
@click.option("--group-by", help="e.g. 'city, year'")
@click.option("--limit", type=int, help="At most so many rows.")
@click.option("--template", help="Start from this template.")
@click.option("--option", "options", multiple=True, help="e.g. --option delimiter=';'")
@click.option("--name", help="What to call the job.")
@click.option("--output", type=click.Path(path_type=Path), help="Where to put the finished file.")
@as_user
@as_json
@services_command
def create(
    parts: Services,
    datasource: str,
    *,
    username: str | None,
    output: Path | None,
    as_json: bool,
    **asked: Any,
) -> None:
    """Export and wait: exporter exports create shop --table orders --where "total > 100" --output big.csv"""
    user = acting_user(parts, username)
    job, _ = parts.jobs.submit(_request(parts, user, datasource, asked), user)
    _finish(parts, user, job, output=output, as_json=as_json)


@exports.command("list")
@click.option("--status", type=click.Choice([status.value for status in JobStatus]))
@click.option("--format", "format_name", type=click.Choice(["csv", "json", "parquet", "excel"]))
@click.option("--search", help="In datasource name, error message and job name.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@as_user
@as_json
@services_command
def list_exports(
    parts: Services,
    *,
    status: str | None,
    format_name: str | None,
    search: str | None,
    limit: int,
    username: str | None,
    as_json: bool,
) -> None:
    """List the newest jobs."""
    user = acting_user(parts, username)
    query = JobQuery(status=status, format=format_name, search=search, page_size=limit)
    jobs = [_document(parts, job) for job in parts.jobs.page(query, user).items]
    if as_json:
        show_json({"export_jobs": jobs})
        return
    rows = [
        {**job, "datasource": job["datasource"]["name"], "progress": f"{job['progress']}%"} for job in jobs
    ]
    columns = ("id", "status", "progress", "format", "datasource", "row_count", "file_size", "created_at")
    show_table(rows, columns, empty="There are no export jobs yet.")


@exports.command()
@click.argument("job_id", metavar="ID")
@as_user
@as_json
@services_command
def show(parts: Services, job_id: str, *, username: str | None, as_json: bool) -> None:
    """Show one job with its attempts."""
    job = parts.jobs.get(job_id, acting_user(parts, username))
    attempts = [attempt_document(attempt) for attempt in parts.jobs.attempts(job)]
    document = {**_document(parts, job), "attempts": attempts}
    if as_json:
        show_json(document)
        return
    for name, value in document.items():
        if value not in (None, [], {}):
            click.echo(f"{name}: {value}")


@exports.command()
@click.argument("job_id", metavar="ID")
@as_user
@services_command
def cancel(parts: Services, job_id: str, *, username: str | None) -> None:
    """Cancel a pending or running job."""
    parts.jobs.cancel(parts.jobs.get(job_id, acting_user(parts, username)))
    click.echo("Export job cancelled")


@exports.command()
@click.argument("job_id", metavar="ID")
@click.option("--output", type=click.Path(path_type=Path), help="Where to put the finished file.")
@as_user
@as_json
@services_command
def retry(parts: Services, job_id: str, *, output: Path | None, username: str | None, as_json: bool) -> None:
    """Run a failed or cancelled job again, and wait."""
    user = acting_user(parts, username)
    job = parts.jobs.retry(parts.jobs.get(job_id, user))
    _finish(parts, user, job, output=output, as_json=as_json)


@exports.command()
@click.argument("job_id", metavar="ID")
@as_user
@services_command
def delete(parts: Services, job_id: str, *, username: str | None) -> None:
    """Delete a job and its file."""
    parts.jobs.delete(parts.jobs.get(job_id, acting_user(parts, username)))
    click.echo("Export job deleted")


@exports.command()
@click.argument("job_id", metavar="ID")
@click.option("--output", type=click.Path(path_type=Path), help="Default: the export's own name, here.")
@as_user
@services_command
def download(parts: Services, job_id: str, *, output: Path | None, username: str | None) -> None:
    """Copy a finished file."""
    job = parts.jobs.get(job_id, acting_user(parts, username))
    target = save(parts, job, output or Path(job.file_name or job.id))
    click.echo(str(target))


def save(parts: Services, job: Job, target: Path) -> Path:
    """Copy the job's file to `target`, or into it where that is a folder; whole or not at all."""
    if target.is_dir():
        target = target / (job.file_name or job.id)
    partial = target.with_name(f".{target.name}.{job.id}")
    try:
        with parts.jobs.open_file(job) as file, partial.open("wb") as copy:
            shutil.copyfileobj(file, copy, 1024 * 1024)
        partial.replace(target)
    except OSError as exc:
        message = f"{target} cannot be written: {exc.strerror}"
        raise click.ClickException(message) from exc
    finally:
        partial.unlink(missing_ok=True)
    return target


def _finish(parts: Services, user: User, job: Job, *, output: Path | None, as_json: bool) -> None:
    (job,) = run_to_end(parts, user, [job], quiet=as_json)
    if as_json:
        show_json(_document(parts, job))
    if job.status is not JobStatus.COMPLETED:
        raise click.ClickException(job.error_message or f"The export was {job.status}")
    if output is not None:
        target = save(parts, job, output)
    if not as_json:
        for warning in job.warnings:
            click.echo(f"Warning: {warning['message']} ({warning['count']:,})", err=True)
        where = f"is at {target}" if output is not None else f"awaits: exporter exports download {job.id}"
        click.echo(f"{job.row_count or 0:,} rows, {job.file_size or 0:,} bytes; the file {where}")


def _request(parts: Services, user: User, datasource: str, asked: dict[str, Any]) -> JobRequest:
    faults: dict[str, Any] = {}
    filters = {
        "table": asked["table"],
        "columns": _names(asked["columns"]),
        "where_conditions": _conditions(asked["where"], faults),
        "order_by": asked["order_by"],
        "group_by": asked["group_by"],
        "limit": asked["limit"],
    }
    options = _options(asked["options"], faults)
    if faults:
        raise Invalid(faults)
    template = asked["template"]
    return JobRequest(
        datasource=parts.datasources.named(datasource, user).id,
        format=asked["format_name"] or (None if template else "csv"),
        filters={name: value for name, value in filters.items() if value not in (None, [])},
        options=options,
        template=parts.templates.named(template, user).id if template else None,
        name=asked["name"],
    )


def _names(text: str | None) -> list[str] | None:
    return [name.strip() for name in text.split(",")] if text is not None else None


def _conditions(texts: tuple[str, ...], faults: dict[str, Any]) -> list[Any]:
    found = []
    for text in texts:
        try:
            found.append(parse_where(text))
        except ValueError as exc:
            faults["--where"] = str(exc)
    return found


def _options(texts: tuple[str, ...], faults: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            faults["--option"] = f"{text!r} is not of the form name=value"
        else:
            found[name] = WORDS.get(
                value.lower(), int(value) if value.isascii() and value.isdigit() else value
            )
    return found


def _document(parts: Services, job: Job) -> dict[str, Any]:
    position = parts.jobs.queue_position(job)
    return job_document(job, now=parts.clock(), queue_position=position, download_url=None)
