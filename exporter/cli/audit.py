"""exporter audit …"""

import click

from exporter.cli.backend import Backend
from exporter.cli.base import Noun, backend_command, reaching_group
from exporter.cli.output import as_json, listing, show_json, show_table
from exporter.model import Action


@click.group(cls=Noun)
@reaching_group
def audit() -> None:
    """Who did what, here or on a server elsewhere.

    Example: exporter audit list
    """


@audit.command("list")
@click.option("--by", metavar="NAME", help="What this user did.")
@click.option(
    "--action",
    type=click.Choice([action.value for action in Action]),
    metavar="ACTION",
    help="e.g. export.download",
)
@click.option("--since", metavar="TIME", help="From this day or moment on, in UTC.")
@click.option("--until", metavar="TIME", help="To the end of this day, or before this moment.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, metavar="N")
@as_json
@backend_command
def list_deeds(backend: Backend, *, by: str | None, limit: int, as_json: bool, **asked: str | None) -> None:
    """List the newest lines of the audit log.

    Example: exporter audit list --by ada --since 2026-01-31
    """
    given = {name: value for name, value in {"user": by, **asked}.items() if value}
    entries, total = backend.deeds(given, limit=limit)
    if as_json:
        show_json({"entries": entries, "pagination": listing(total, limit)})
        return
    rows = [
        {
            "time": entry["time"],
            "who": entry["user"]["username"] if entry["user"] else None,
            "from": entry["address"],
            "action": entry["action"],
            "object": entry["object"]["name"] or entry["object"]["id"],
            "outcome": entry["reason"] or entry["outcome"],
        }
        for entry in entries
    ]
    show_table(rows, ("time", "who", "from", "action", "object", "outcome"), empty="Nothing was done yet.")
