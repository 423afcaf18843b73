"""exporter init, cleanup and doctor: looking after an installation."""

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from exporter import secretkey
from exporter.cli.base import Verb, read_password, ready_services, services, services_command, upgrade_schema
from exporter.cli.output import as_json, program, show_json
from exporter.cli.users import create_user
from exporter.errors import DatabaseAway, ExporterError, StoreAway
from exporter.failures import DiskFull, StoreFailed
from exporter.model import Role, instant

if TYPE_CHECKING:
    from exporter.jobs.executors.cluster import Cluster
    from exporter.wiring import Services

LATE = timedelta(minutes=15)  # by then a delivery was tried four times, where a server runs
OK, WARN, WRONG = "ok", "warn", "WRONG"


@click.command(cls=Verb)
@click.option("--admin", "admin_name", metavar="NAME", help="Also create this admin; asks for the password.")
def init(admin_name: str | None) -> None:
    """Create or upgrade the app database and the folder of finished files.

    Example: exporter init --admin ada
    """
    parts = services()
    upgrade_schema()
    parts.artifacts.create()
    click.echo(f"App database ready in {parts.settings.instance_path}")
    known = {user.username for user in parts.accounts.users()}
    if admin_name is None:
        if not known:
            click.echo(f"Nobody can sign in yet. Create an admin: {program()} init --admin NAME")
    elif admin_name in known:
        click.echo(f"User {admin_name} exists already")
    else:
        create_user(parts, admin_name, read_password(), role=Role.ADMIN)
        click.echo(f"Admin {admin_name} created")


@click.command(cls=Verb)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@as_json
@services_command
def cleanup(parts: "Services", *, dry_run: bool, as_json: bool) -> None:
    """Remove expired files and files that no job refers to.

    Example: exporter cleanup --dry-run
    """
    swept = parts.sweeper.sweep(dry_run=dry_run)
    if as_json:
        show_json({"expired": swept.expired, "orphans": swept.orphans, "staged": swept.staged})
        return
    verb = "Would remove" if dry_run else "Removed"
    orphaned = len(swept.orphans) + len(swept.staged)
    click.echo(f"{verb} {len(swept.expired)} expired and {orphaned} orphaned files")


@click.command(cls=Verb)
@as_json
def doctor(*, as_json: bool) -> None:
    """Check settings, app database, store and each datasource.

    Example: exporter doctor
    """
    findings = []
    for finding, line in _findings(ready_services()):
        findings.append({"finding": finding, "message": line})
        if not as_json:
            click.echo(f"{finding:5} {line}")
    if as_json:
        show_json({"findings": findings})
    if troubles := sum(found["finding"] == WRONG for found in findings):
        raise click.ClickException(f"{troubles} thing{'s' if troubles > 1 else ''} to mend")


def _findings(parts: "Services") -> Iterator[tuple[str, str]]:
    yield OK, f"settings: instance folder {parts.settings.instance_path}"
    key = parts.settings.instance_path / secretkey.KEY
    if key.exists() and key.stat().st_mode & 0o077:
        yield WARN, f"{key}: others can read it. Run: chmod 600 {key}"
    yield _database(parts)
    yield _store(parts)
    if parts.cluster is not None:
        yield from _cluster(parts.cluster)
    yield from _webhooks(parts)
    if not any(user.is_admin and user.is_active for user in parts.accounts.users()):
        yield WRONG, f"users: there is no admin. Run: {program()} init --admin NAME"
    for datasource in parts.datasources.all(None):
        try:
            connection = parts.datasources.test(datasource)
        except ExporterError as exc:
            yield WRONG, f"datasource {datasource.name}: {exc.message}"
            continue
        yield OK, f"datasource {datasource.name}: {datasource.kind} {connection.server_version}"
        for warning in connection.warnings:
            yield WARN, f"datasource {datasource.name}: {warning}"


def _database(parts: "Services") -> tuple[str, str]:
    try:
        parts.database.try_writing()
    except DatabaseAway:
        return WRONG, "app database: it is locked, full or read-only, so that nothing can be written to it"
    return OK, "app database"


def _store(parts: "Services") -> tuple[str, str]:
    try:
        parts.artifacts.prepare()
        free = parts.artifacts.free_bytes()
        parts.artifacts.stage("doctor").discard()
    except (StoreAway, StoreFailed, DiskFull) as exc:
        return WRONG, f"store: {parts.artifacts.shown} cannot be used: {exc.facts.get('reason', exc.message)}"
    if not parts.artifacts.has_room():
        return WRONG, f"store: only {free:,} bytes free, below MIN_FREE_BYTES: free some disk space"
    where = f" in {parts.settings.storage_path}" if parts.settings.bucket is not None else ""
    return OK, f"store: {parts.artifacts.shown}, {free:,} bytes free{where}"


def _webhooks(parts: "Services") -> Iterator[tuple[str, str]]:
    """Say nothing where nothing was ever sent, and warn where a receiver is not reached."""
    tally = parts.webhooks.tally()
    if not tally.counts:
        return
    told = ", ".join(f"{count} {status}" for status, count in sorted(tally.counts.items()))
    late = tally.oldest is not None and parts.clock() - tally.oldest > LATE
    since = f"; since {instant(tally.oldest)} one waits, see: {program()} webhooks list" if late else ""
    yield WARN if late else OK, f"webhooks: {told}{since}"


def _cluster(cluster: "Cluster") -> Iterator[tuple[str, str]]:
    try:
        verdicts = cluster.survey()
    except OSError as exc:
        yield WRONG, f"dask: {cluster.address} does not answer: {exc}. Start it with: dask scheduler"
        return
    except ExporterError as exc:
        yield WRONG, f"dask: the workers cannot be examined: {exc.line}"
        return
    if not verdicts:
        yield WRONG, f"dask: {cluster.address} has no workers. Start one with: dask worker {cluster.address}"
    for member, verdict in sorted(verdicts.items(), key=lambda pair: pair[0].address):
        if not verdict.faults:
            threads = f"{member.threads} thread{'s' if member.threads > 1 else ''}"
            yield OK, f"worker {member.address}: {threads}, same app database, key and store"
        for line in verdict.faults:
            yield WRONG, f"worker {member.address}: {line}"
        for line in verdict.doubts:
            yield WARN, f"worker {member.address}: {line}"
