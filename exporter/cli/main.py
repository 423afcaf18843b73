"""The commands together.

`exporter …` and `flask --app wsgi …` run the same commands.
"""

from typing import TYPE_CHECKING

import click

from exporter.cli.admin import cleanup, doctor, init
from exporter.cli.audit import audit
from exporter.cli.datasources import datasources
from exporter.cli.demo import demo
from exporter.cli.exports import exports
from exporter.cli.keeping import backup, migrate_database, rotate_key
from exporter.cli.schedules import schedules
from exporter.cli.serve import serve
from exporter.cli.templates import templates
from exporter.cli.tokens import tokens
from exporter.cli.users import users
from exporter.cli.verify import verify
from exporter.cli.webhooks import webhooks
from exporter.version import __version__

if TYPE_CHECKING:
    from flask import Flask

COMMANDS: tuple[click.Command, ...] = (
    demo,
    init,
    serve,
    users,
    tokens,
    datasources,
    exports,
    templates,
    audit,
    schedules,
    webhooks,
    verify,
    cleanup,
    doctor,
    backup,
    rotate_key,
    migrate_database,
)


class InOrder(click.Group):
    """Lists commands in the order in which a newcomer needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(self.commands)


@click.group("exporter", cls=InOrder, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="exporter")
def cli() -> None:
    """Export tables from SQLite and PostgreSQL to CSV, JSON, Parquet and Excel files that are provably whole.

    New here? Run: exporter demo
    """


for command in COMMANDS:
    cli.add_command(command)


def register_commands(app: "Flask") -> None:
    """Offer the same commands under `flask --app wsgi`."""
    for each in COMMANDS:
        app.cli.add_command(each)
