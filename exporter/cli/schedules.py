"""exporter schedules …"""

from typing import Any

import click

from exporter.cli.backend import Backend
from exporter.cli.base import Noun, as_user, backend_command, reaching_group
from exporter.cli.output import as_json, show_document, show_json, show_table
from exporter.cli.request import export_options, export_request


@click.group(cls=Noun)
@reaching_group
def schedules() -> None:
    """Recurring exports, here or on a server; a server makes them.

    Example: exporter schedules list
    """


@schedules.command("list")
@as_user
@as_json
@backend_command
def list_schedules(backend: Backend, *, as_json: bool) -> None:
    """List the schedules.

    Example: exporter schedules list
    """
    rows = backend.schedules()
    if as_json:
        show_json({"schedules": rows})
    else:
        columns = ("name", "cron", "timezone", "is_active", "next_run_at", "owner")
        show_table(rows, columns, empty="There are no schedules yet.")


@schedules.command()
@click.argument("name")
@as_user
@as_json
@backend_command
def show(backend: Backend, name: str, *, as_json: bool) -> None:
    """Show a schedule with its last runs.

    Example: exporter schedules show nightly
    """
    schedule = backend.schedule(name)
    runs = backend.schedule_runs(schedule["id"])
    if as_json:
        show_json({**schedule, "runs": runs})
        return
    show_document(schedule)
    click.echo()
    rows = [{**run, **_of_job(run["job"])} for run in runs]
    columns = ("due_at", "outcome", "job", "status", "error")
    show_table(rows, columns, empty="It has not run yet.")


@schedules.command()
@click.argument("name")
@click.argument("datasource")
@click.option("--cron", required=True, metavar="LINE", help="minute hour day month weekday: '0 6 * * 1-5'")
@click.option("--timezone", default="UTC", show_default=True, metavar="ZONE", help="e.g. Europe/Berlin")
@click.option("--catch-up", is_flag=True, help="After a downtime, make once what was missed.")
@export_options
@as_user
@as_json
@backend_command
def create(
    backend: Backend,
    name: str,
    datasource: str,
    *,
    cron: str,
    timezone: str,
    catch_up: bool,
    template: str | None,
    as_json: bool,
    **asked: Any,
) -> None:
    """Make an export recur.

    Example: exporter schedules create nightly shop --table orders --cron "0 2 * * *" --timezone Europe/Berlin
    """
    export = export_request(backend, datasource, template, asked)
    schedule = backend.create_schedule(
        {"name": name, "cron": cron, "timezone": timezone, "catch_up": catch_up, "export": export}
    )
    if as_json:
        show_json(schedule)
    else:
        click.echo(f"Schedule {name} created; it runs next at {schedule['next_run_at']}")


@schedules.command()
@click.argument("name")
@as_user
@backend_command
def pause(backend: Backend, name: str) -> None:
    """Let a schedule rest.

    Example: exporter schedules pause nightly
    """
    backend.change_schedule(backend.schedule(name)["id"], {"is_active": False})
    click.echo(f"Schedule {name} rests")


@schedules.command()
@click.argument("name")
@as_user
@backend_command
def resume(backend: Backend, name: str) -> None:
    """Let a schedule that rests run again, from its next time on.

    Example: exporter schedules resume nightly
    """
    schedule = backend.change_schedule(backend.schedule(name)["id"], {"is_active": True})
    click.echo(f"Schedule {name} runs next at {schedule['next_run_at']}")


@schedules.command()
@click.argument("name")
@as_user
@backend_command
def delete(backend: Backend, name: str) -> None:
    """Delete a schedule; the exports that it made stay.

    Example: exporter schedules delete nightly
    """
    backend.delete_schedule(backend.schedule(name)["id"])
    click.echo(f"Schedule {name} deleted")


def _of_job(job: dict[str, Any] | None) -> dict[str, Any]:
    return {"job": job["id"], "status": job["status"]} if job is not None else {"job": "", "status": ""}
