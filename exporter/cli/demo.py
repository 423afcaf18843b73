"""exporter demo: a sample database and one export per format, with nothing to set up."""

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import click

from exporter.cli.backend import Backend, Document
from exporter.cli.base import Verb, services, upgrade_schema
from exporter.cli.output import as_json, program, show_json, show_table
from exporter.cli.running import run_to_end
from exporter.cli.saving import save
from exporter.cli.users import create_user
from exporter.errors import DatasourceNotFound, UserNotFound
from exporter.model import JobStatus, Role

if TYPE_CHECKING:
    from exporter.wiring import Services

FORMATS = ("csv", "json", "parquet", "excel")
USERNAME = "demo"
DATASOURCE = "shop"


@click.command(cls=Verb)
@as_json
def demo(*, as_json: bool) -> None:
    """Make a sample shop database and export its orders in every format.

    Example: exporter demo
    """
    from exporter.cli.local import LocalBackend

    parts = services()
    upgrade_schema()
    password = _new_password(parts)
    backend = LocalBackend(parts, USERNAME)
    datasource = _datasource(backend, parts.settings.instance_path / "demo-shop.sqlite3")
    folder = parts.settings.instance_path / "demo"
    folder.mkdir(exist_ok=True)
    jobs = run_to_end(
        backend, lambda: [_submit(backend, datasource, name) for name in FORMATS], quiet=as_json
    )
    rows = [_saved(backend, job, folder) for job in jobs]
    if as_json:
        show_json({"folder": str(folder), "files": rows, "username": USERNAME, "password": password})
        return
    show_table(rows, ("file", "rows", "bytes", "seconds"), empty="")
    click.echo(f"\nThe files are in {folder}")
    click.echo(f"Start the server:  {program()} serve")
    click.echo(_how_to_log_in(password))


def _new_password(parts: "Services") -> str | None:
    """See to it that the demo's admin exists; the password is known only when it was made now."""
    try:
        parts.accounts.user_named(USERNAME)
    except UserNotFound:
        password = secrets.token_urlsafe(9)
        create_user(parts, USERNAME, password, role=Role.ADMIN)
        return password
    return None


def _datasource(backend: Backend, path: Path) -> Document:
    from exporter.sample import make_shop

    if not path.exists():
        click.echo("Making a sample shop with 100,000 orders …", err=True)
        make_shop(path)
    try:
        return backend.datasource(DATASOURCE)
    except DatasourceNotFound:
        return backend.add_datasource({"name": DATASOURCE, "url": f"sqlite:///{path}", "is_shared": True})


def _submit(backend: Backend, datasource: Document, format_name: str) -> Document:
    return backend.submit(
        {"datasource": datasource["id"], "format": format_name, "filters": {"table": "orders"}}
    )


def _saved(backend: Backend, job: Document, folder: Path) -> Document:
    if job["status"] != JobStatus.COMPLETED:
        raise click.ClickException(f"The {job['format']} export {job['status']}: {job['error_message']}")
    return {
        "file": save(backend, job, folder).name,
        "rows": job["row_count"],
        "bytes": job["file_size"],
        "seconds": round(job["row_count"] / job["rows_per_second"], 1),
    }


def _how_to_log_in(password: str | None) -> str:
    if password is not None:
        return f"Log in as:         {USERNAME} with password {password} (shown this once)"
    return f"Log in as:         {USERNAME}; new password: {program()} users set-password {USERNAME}"
