"""exporter webhooks …"""

from typing import Any

import click

from exporter.cli.backend import Backend, Document
from exporter.cli.base import Noun, as_user, backend_command, reaching_group
from exporter.cli.output import as_json, listing, show_document, show_json, show_table

JOB_EVENTS = ("job.completed", "job.failed", "job.cancelled")
STATUSES = ("pending", "sending", "delivered", "failed")


@click.group(cls=Noun)
@reaching_group
def webhooks() -> None:
    """Who is told how exports ended, here or on a server; a server tells them.

    Example: exporter webhooks list
    """


@webhooks.command("list")
@as_user
@as_json
@backend_command
def list_webhooks(backend: Backend, *, as_json: bool) -> None:
    """List the webhooks.

    Example: exporter webhooks list
    """
    found = backend.webhooks()
    if as_json:
        show_json({"webhooks": found})
    else:
        rows = [{**each, "events": ", ".join(each["events"])} for each in found]
        columns = ("name", "url", "events", "is_active", "owner")
        show_table(rows, columns, empty="There are no webhooks yet.")


@webhooks.command()
@click.argument("name")
@as_user
@as_json
@backend_command
def show(backend: Backend, name: str, *, as_json: bool) -> None:
    """Show a webhook; never its secret.

    Example: exporter webhooks show warehouse
    """
    webhook = backend.webhook(name)
    (show_json if as_json else show_document)(webhook)


@webhooks.command()
@click.argument("name")
@click.argument("url")
@click.option(
    "--event", "events", multiple=True, type=click.Choice(JOB_EVENTS),
    help="What to tell; may be repeated. Completed and failed, if left out.",
)  # fmt: skip
@click.option("--schedule", metavar="NAME", help="Only exports of this schedule.")
@click.option("--template", metavar="NAME", help="Only exports of this template.")
@click.option("--datasource", metavar="NAME", help="Only exports of this datasource.")
@as_user
@as_json
@backend_command
def create(
    backend: Backend,
    name: str,
    url: str,
    *,
    events: tuple[str, ...],
    schedule: str | None,
    template: str | None,
    datasource: str | None,
    as_json: bool,
) -> None:
    """Tell a program at URL of the ends of exports; print the secret that its requests are signed with.

    Example: exporter webhooks create warehouse https://hooks.example/exports --event job.completed
    """
    values: dict[str, Any] = {"name": name, "url": url}
    if events:
        values["events"] = list(events)
    for word, given, find in (
        ("schedule", schedule, backend.schedule),
        ("template", template, backend.template),
        ("datasource", datasource, backend.datasource),
    ):
        if given is not None:
            values[word] = find(given)["id"]
    webhook = backend.create_webhook(values)
    if as_json:
        show_json(webhook)
    else:
        click.echo(f"Webhook {name} created; keep its secret, it is not shown again:", err=True)
        click.echo(webhook["secret"])


@webhooks.command()
@click.argument("name")
@as_user
@backend_command
def pause(backend: Backend, name: str) -> None:
    """Let a webhook rest: nothing is sent, and nothing new is queued.

    Example: exporter webhooks pause warehouse
    """
    _wake(backend, name, is_active=False)


@webhooks.command()
@click.argument("name")
@as_user
@backend_command
def resume(backend: Backend, name: str) -> None:
    """Let a webhook that rests be told again.

    Example: exporter webhooks resume warehouse
    """
    _wake(backend, name, is_active=True)


@webhooks.command()
@click.argument("name")
@as_user
@backend_command
def delete(backend: Backend, name: str) -> None:
    """Delete a webhook with its deliveries, also those that wait.

    Example: exporter webhooks delete warehouse
    """
    backend.delete_webhook(backend.webhook(name)["id"])
    click.echo(f"Webhook {name} deleted")


@webhooks.command()
@click.argument("name")
@as_user
@as_json
@backend_command
def test(backend: Backend, name: str, *, as_json: bool) -> None:
    """Send a made-up event now, once, and say what came of it.

    Example: exporter webhooks test warehouse
    """
    sent = backend.test_webhook(backend.webhook(name)["id"])
    if as_json:
        show_json(sent)
    if sent["status"] != "delivered":
        raise click.ClickException(f"It did not arrive: {_answer(sent)}")
    if not as_json:
        click.echo(f"It arrived: {_answer(sent)}")


@webhooks.command()
@click.argument("name")
@click.option("--status", type=click.Choice(STATUSES), help="Only these.")
@click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(1), help="How many, newest first."
)
@as_user
@as_json
@backend_command
def deliveries(backend: Backend, name: str, *, status: str | None, limit: int, as_json: bool) -> None:
    """List what was sent, and what waits.

    Example: exporter webhooks deliveries warehouse --status failed
    """
    asked = {"status": status} if status is not None else {}
    rows, total = backend.deliveries(backend.webhook(name)["id"], asked, limit=limit)
    if as_json:
        show_json({"deliveries": rows, "pagination": listing(total, limit)})
    else:
        columns = ("id", "created_at", "event", "job", "status", "attempt", "next_at")
        show_table(rows, columns, empty="Nothing was sent yet.")


@webhooks.command()
@click.argument("name")
@click.argument("delivery")
@as_user
@as_json
@backend_command
def redeliver(backend: Backend, name: str, delivery: str, *, as_json: bool) -> None:
    """Let a delivery be sent again, by the server that runs.

    Example: exporter webhooks redeliver warehouse 456e7890-e89b-12d3-a456-426614174001
    """
    queued = backend.redeliver(backend.webhook(name)["id"], delivery)
    if as_json:
        show_json(queued)
    else:
        click.echo("It is queued again")


def _wake(backend: Backend, name: str, *, is_active: bool) -> None:
    backend.change_webhook(backend.webhook(name)["id"], {"is_active": is_active})
    click.echo(f"Webhook {name} {'is told again' if is_active else 'rests'}")


def _answer(sent: Document) -> str:
    """Say what the last attempt met."""
    last = sent["attempts"][-1]
    told = last["error"] or f"status {last['status_code']}"
    return f"{told}, after {last['milliseconds']} ms"
