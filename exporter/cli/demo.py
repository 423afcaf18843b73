"""exporter demo: a sample database and one export per format, with nothing to set up."""

import secrets
from pathlib import Path
from typing import Any

import click
from flask.cli import with_appcontext

from exporter.cli.base import Verb, services, show_table, upgrade_schema
from exporter.cli.exports import save
from exporter.cli.running import run_to_end
from exporter.datasources import DatasourceValues
from exporter.errors import DatasourceNotFound, UserNotFound
from exporter.jobs.requests import JobRequest
from exporter.model import Datasource, Job, JobStatus, Role, User
from exporter.sample import make_shop
from exporter.wiring import Services

FORMATS = ("csv", "json", "parquet", "excel")
USERNAME = "demo"
DATASOURCE = "shop"


@click.command(cls=Verb)
@with_appcontext
def demo() -> None:
    """Make a sample shop database and export its orders in every format."""
    upgrade_schema()
    parts = services()
    user, password = _user(parts)
    datasource = _datasource(parts)
    folder = parts.settings.instance_path / "demo"
    folder.mkdir(exist_ok=True)
    jobs = run_to_end(parts, user, [_submit(parts, user, datasource, name) for name in FORMATS])
    rows = [_saved(parts, job, folder) for job in jobs]
    show_table(rows, ("file", "rows", "bytes", "seconds"), empty="")
    click.echo(f"\nThe files are in {folder}")
    click.echo("Start the server:  exporter serve")
    click.echo(_how_to_log_in(password))


def _user(parts: Services) -> tuple[User, str | None]:
    """Find or create the demo's admin; the password is known only when it was made now."""
    try:
        return parts.accounts.user_named(USERNAME), None
    except UserNotFound:
        password = secrets.token_urlsafe(9)
        return parts.accounts.create_user(USERNAME, password, role=Role.ADMIN), password


def _datasource(parts: Services) -> Datasource:
    path = parts.settings.instance_path / "demo-shop.sqlite3"
    if not path.exists():
        click.echo("Making a sample shop with 100,000 orders …", err=True)
        make_shop(path)
    try:
        return parts.datasources.named(DATASOURCE, None)
    except DatasourceNotFound:
        values = DatasourceValues(name=DATASOURCE, url=f"sqlite:///{path}", is_shared=True)
        return parts.datasources.register(values)


def _submit(parts: Services, user: User, datasource: Datasource, format_name: str) -> Job:
    request = JobRequest(datasource=datasource.id, format=format_name, filters={"table": "orders"})
    job, _ = parts.jobs.submit(request, user)
    return job


def _saved(parts: Services, job: Job, folder: Path) -> dict[str, Any]:
    if job.status is not JobStatus.COMPLETED or job.started_at is None or job.completed_at is None:
        message = f"The {job.format} export {job.status}: {job.error_message}"
        raise click.ClickException(message)
    seconds = (job.completed_at - job.started_at).total_seconds()
    path = save(parts, job, folder)
    return {"file": path.name, "rows": job.row_count, "bytes": job.file_size, "seconds": f"{seconds:.1f}"}


def _how_to_log_in(password: str | None) -> str:
    if password is not None:
        return f"Log in as:         {USERNAME} with password {password} (shown this once)"
    return f"Log in as:         {USERNAME}; new password: exporter users set-password {USERNAME}"
