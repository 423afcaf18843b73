"""What every command uses: its kinds, this installation's services, and the choice between here and a server."""

import errno
import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from exporter.cli.backend import Backend
from exporter.cli.output import program
from exporter.errors import DatabaseAway, DatabaseUnreachable, ExporterError

if TYPE_CHECKING:
    from exporter.wiring import Services

F = TypeVar("F", bound=Callable[..., Any])

SERVER, TOKEN, USER = "exporter.server", "exporter.token", "exporter.user"


class Verb(click.Command):
    """A command whose errors are one line on standard error and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ExporterError as exc:
            raise click.ClickException(exc.line) from exc
        except OSError as exc:
            if (
                exc.errno == errno.EPIPE or exc.filename is None
            ):  # the first is click's own affair, the second a fault
                raise
            raise click.ClickException(f"{exc.filename}: {exc.strerror}") from exc


class Noun(click.Group):
    """A group of verbs about one thing."""

    command_class = Verb


def _keep(key: str, check: Callable[[str], str] = str) -> Callable[..., None]:
    """Remember an option for the whole command line: said of the verb it wins over said of the noun."""

    def kept(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
        if value is None:
            return
        try:
            ctx.meta[key] = check(value)
        except ValueError as exc:
            raise click.BadParameter(str(exc)) from exc

    return kept


def _server_url(text: str) -> str:
    from exporter.cli.rest import server_url

    return server_url(text)


def _token(text: str) -> str:
    """Keep the token out of the message."""
    if not (text.strip().isascii() and text.strip().isprintable()):
        raise ValueError("That is no token: it holds characters that none has")
    return text.strip()


as_user = click.option(
    "--user",
    expose_value=False,
    callback=_keep(USER),
    metavar="NAME",
    help="Act for this user; the only admin, if left out.",
)


def reaching(function: F, *, environment: bool = False) -> F:
    """Give a command, or a group (with the `environment`'s variables), the options that name a server."""
    server = click.option(
        "--server",
        expose_value=False,
        callback=_keep(SERVER, _server_url),
        envvar="EXPORTER_SERVER" if environment else None,
        show_envvar=environment,
        metavar="URL",
        help="Use the server there instead of this installation.",
    )
    token = click.option(
        "--token",
        expose_value=False,
        callback=_keep(TOKEN, _token),
        envvar="EXPORTER_TOKEN" if environment else None,
        show_envvar=environment,
        metavar="TOKEN",
        help="An API token of that server.",
    )
    return server(token(function))


def reaching_group(function: F) -> F:
    return reaching(function, environment=True)


def services_command(function: F) -> F:
    """Call the command with the installation's services as first argument, once its database is ready."""

    @functools.wraps(function)
    def wrapped(*arguments: Any, **options: Any) -> Any:
        return function(ready_services(), *arguments, **options)

    return cast("F", wrapped)


def backend_command(function: F) -> F:
    """Call the command with a backend as first argument: this installation, or the server of `--server`."""

    @functools.wraps(function)
    def wrapped(*arguments: Any, **options: Any) -> Any:
        return function(_backend(), *arguments, **options)

    return reaching(cast("F", wrapped))


def _backend() -> Backend:
    meta = click.get_current_context().meta
    if SERVER not in meta:
        from exporter.cli.local import LocalBackend

        return LocalBackend(ready_services(), meta.get(USER))
    if TOKEN not in meta:
        raise click.UsageError("A server needs a token: --token, or better the variable EXPORTER_TOKEN")
    if USER in meta:
        raise click.UsageError("--user is for this installation; on a server you are whoever the token is of")
    from exporter.cli.remote import RemoteBackend
    from exporter.cli.rest import Client

    return RemoteBackend(Client(meta[SERVER], meta[TOKEN]))


def ready_services() -> "Services":
    parts = services()
    check_schema()
    return parts


def services() -> "Services":
    """Give this installation's services. Outside of `flask`, the command builds the app for as long as it runs."""
    from flask import current_app

    if not current_app:
        ctx = click.get_current_context()
        ctx.with_resource(ctx.obj().app_context())
    return cast("Services", current_app.extensions["exporter"])


def check_schema() -> None:
    """Stop with one line unless the app database fits this version."""
    from exporter.storage.database import schema_version
    from exporter.storage.tables import SCHEMA_VERSION

    with _reaching_database():
        found = schema_version(services().database.engine)
    if found is None:
        raise click.ClickException(f"The app database is not set up yet. Run: {program()} init")
    _refuse_newer(found)
    if found != SCHEMA_VERSION:
        raise click.ClickException(
            f"The app database has schema {found}, this version needs {SCHEMA_VERSION}. Run: {program()} init"
        )


def set_up_schema() -> None:
    """Create an app database that is not there yet; an upgrade is left to `init`, after a backup."""
    from exporter.storage.database import schema_version

    with _reaching_database():
        found = schema_version(services().database.engine)
    if found is None:
        upgrade_schema()


def upgrade_schema() -> None:
    """Create or upgrade the app database; one that a newer version made stops with one line."""
    from flask import current_app
    from flask_migrate import upgrade

    from exporter.storage.database import schema_version

    with _reaching_database():
        _refuse_newer(schema_version(services().database.engine))
        upgrade(directory=current_app.extensions["migrate"].directory)


@contextmanager
def _reaching_database() -> Iterator[None]:
    """Name the setting where the app database is away from the start. Raises DatabaseUnreachable."""
    from sqlalchemy.exc import OperationalError, ProgrammingError

    try:
        yield
    except (DatabaseAway, OperationalError, ProgrammingError) as exc:
        cause = exc.__cause__ if isinstance(exc, DatabaseAway) else exc
        told = str(getattr(cause, "orig", None) or cause).strip().splitlines()
        raise DatabaseUnreachable(reason=told[0] if told else "no reason is told") from exc


def _refuse_newer(found: str | None) -> None:
    """Stop where only another program can help: there is no way back from a newer schema."""
    from exporter.storage.tables import SCHEMA_VERSION

    if found is not None and found > SCHEMA_VERSION:
        raise click.ClickException(
            f"The app database has schema {found}, made by a newer version of Exporter; this one knows"
            f" {SCHEMA_VERSION}. Install that version again, or put back the copy made before the upgrade"
        )


def read_password() -> str:
    """Ask twice on a terminal; else take the first line of standard input."""
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")
