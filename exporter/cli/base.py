"""What every command uses: the services, errors as one line, and data as a table or as JSON."""

import functools
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

import click
from flask import current_app
from flask.cli import with_appcontext

from exporter.errors import ExporterError, Invalid, UserNotFound
from exporter.model import User
from exporter.storage.database import schema_version
from exporter.storage.tables import SCHEMA_VERSION
from exporter.wiring import Services

F = TypeVar("F", bound=Callable[..., Any])

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
as_user = click.option("--user", "username", help="Act for this user; the only admin, if left out.")


class Verb(click.Command):
    """A command whose errors are one line on standard error and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ExporterError as exc:
            raise click.ClickException(told(exc)) from exc


class Noun(click.Group):
    """A group of verbs about one thing."""

    command_class = Verb


def services_command(function: F) -> F:
    """Call the command with the installation's services as first argument, once its database is ready."""

    @functools.wraps(function)
    def wrapped(*arguments: Any, **options: Any) -> Any:
        check_schema()
        return function(services(), *arguments, **options)

    return cast("F", with_appcontext(wrapped))


def services() -> Services:
    return cast("Services", current_app.extensions["exporter"])


def check_schema() -> None:
    """Stop with one line unless the app database fits this version."""
    found = schema_version(services().database.engine)
    if found is None:
        message = "The app database is not set up yet. Run: exporter init"
        raise click.ClickException(message)
    if found != SCHEMA_VERSION:
        message = (
            f"The app database has schema {found}, this version needs {SCHEMA_VERSION}. Run: exporter init"
        )
        raise click.ClickException(message)


def upgrade_schema() -> None:
    """Create or upgrade the app database."""
    from flask_migrate import upgrade

    upgrade(directory=current_app.extensions["migrate"].directory)


def acting_user(parts: Services, username: str | None) -> User:
    """Raise UserNotFound when nobody is named and there is not exactly one admin."""
    if username is not None:
        return parts.accounts.user_named(username)
    admin = parts.accounts.only_admin()
    if admin is None:
        raise UserNotFound("There is not exactly one admin: say for whom with --user NAME")
    return admin


def told(error: ExporterError) -> str:
    return "; ".join(_sentences(error.errors)) if isinstance(error, Invalid) else error.message


def _sentences(errors: Mapping[str, Any], path: str = "") -> list[str]:
    found: list[str] = []
    for name, fault in errors.items():
        place = f"{path}.{name}" if path else str(name)
        found += _sentences(fault, place) if isinstance(fault, Mapping) else [f"{place}: {fault}"]
    return found


def read_password() -> str:
    """Ask twice on a terminal; else take the first line of standard input."""
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")


def show_json(data: object) -> None:
    click.echo(json.dumps(data, ensure_ascii=False, indent=2, default=str))


def show_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, empty: str) -> None:
    """Print rows under the names of `columns`; no cell is cut where the output is no terminal."""
    if not rows:
        click.echo(empty)
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(shown(row[column]) for column in columns))
    console = Console()
    if not console.is_terminal:
        console = Console(width=10_000)
    console.print(table, soft_wrap=False)


def shown(value: object) -> str:
    from rich.markup import escape

    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return escape(f"{value:,}" if isinstance(value, int) else str(value))
