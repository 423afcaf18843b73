"""exporter backup, rotate-key and migrate-database: an installation over the years."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from exporter import secretkey
from exporter.cli.base import Verb, services_command
from exporter.cli.output import program
from exporter.settings import SETTINGS

if TYPE_CHECKING:
    from exporter.wiring import Services

BESIDE = (secretkey.KEY, secretkey.PREVIOUS, "config.toml")


@click.command(cls=Verb)
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@services_command
def backup(parts: "Services", folder: Path) -> None:
    """Copy the app database, the secret key and config.toml into a new folder; the server may run.

    That folder, given as EXPORTER_INSTANCE_PATH, is the installation again, but for its finished files.

    Example: exporter backup /backups/exporter-monday
    """
    from exporter.storage.moving import copy_file

    settings = parts.settings
    if settings.database_file is None:
        keys = f"and keep {settings.instance_path / secretkey.KEY} with it"
        raise click.ClickException(f"The app database is on PostgreSQL: back it up with pg_dump, {keys}")
    _make_private(folder)
    copy_file(parts.database, folder / settings.database_file.name)
    for path in (settings.instance_path / name for name in BESIDE):
        if path.exists():
            shutil.copy2(path, folder / path.name)
    click.echo(f"Backed up to {folder}")


def _make_private(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()):
        raise click.ClickException(f"{folder} is not empty: name a new folder")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


@click.command("rotate-key", cls=Verb)
@services_command
def rotate_key(parts: "Services") -> None:
    """Replace the secret key and encrypt what is stored encrypted with the new one. Every session ends.

    Run it while no server runs. Where it was interrupted, run it again: it goes on.

    Example: exporter rotate-key
    """
    settings, folder = parts.settings, parts.settings.instance_path
    with _nobody_serving(parts):
        own = secretkey.is_kept(folder, settings.secret_key)
        if not own and settings.previous_secret_key is None:
            raise click.ClickException(
                "SECRET_KEY is set from outside. Set it to the new key and PREVIOUS_SECRET_KEY to the old one,"
                f" and run: {program()} rotate-key"
            )
        interrupted = settings.previous_secret_key is not None
        key = settings.secret_key if interrupted else secretkey.replace(folder)
        urls, webhooks = parts.datasources.reseal(key), parts.webhooks.reseal(key)
        secretkey.forget_previous(folder)
    click.echo(f"The new key is in use; {urls} datasource URLs and {webhooks} webhooks are encrypted with it")
    if not own:
        click.echo("PREVIOUS_SECRET_KEY is no longer needed")


@click.command("migrate-database", cls=Verb)
@click.argument("url")
@services_command
def migrate_database(parts: "Services", url: str) -> None:
    """Copy the whole app database into the empty one at URL, and check it; `-` reads the URL from standard input.

    Run it while no server runs. Nothing is removed here; DATABASE_URL says which of the two is used.

    Example: exporter migrate-database postgresql://exporter@db.example/exporter
    """
    from exporter.storage.moving import move_into

    given = sys.stdin.readline().strip() if url == "-" else url
    target = SETTINGS["DATABASE_URL"][0]("URL", given)
    with _nobody_serving(parts):
        counts = move_into(target, parts.database)
    for table, rows in counts.items():
        click.echo(f"{rows:>10,} {table}")
    click.echo("All rows are there. Set EXPORTER_DATABASE_URL to that URL and start the server")


@contextmanager
def _nobody_serving(parts: "Services") -> Iterator[None]:
    """Hold an embedded installation's lock; on PostgreSQL only the admin knows whether a server runs."""
    if not parts.settings.embedded:
        yield
        return
    from exporter.jobs.engine import InstanceLock

    lock = InstanceLock(parts.settings.instance_path)
    lock.acquire()
    try:
        yield
    finally:
        lock.release()
