"""exporter users …"""

from typing import TYPE_CHECKING, Any

import click

from exporter.cli.base import Noun, read_password, services_command
from exporter.cli.output import as_json, show_json, show_table
from exporter.model import Role, User

if TYPE_CHECKING:
    from exporter.wiring import Services


@click.group(cls=Noun)
def users() -> None:
    """Who may sign in.

    Example: exporter users list
    """


@users.command()
@click.argument("name")
@click.option("--admin", is_flag=True, help="May manage datasources, users and everybody's jobs.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@services_command
def create(parts: "Services", name: str, *, admin: bool, password_stdin: bool) -> None:
    """Create a user; asks for the password.

    Example: exporter users create ada --admin
    """
    del password_stdin  # standard input is read wherever it is no terminal
    role = Role.ADMIN if admin else Role.MEMBER
    user = parts.accounts.create_user(name, read_password(), role=role)
    click.echo(f"User {user.username} created ({user.role})")


@users.command("list")
@as_json
@services_command
def list_users(parts: "Services", *, as_json: bool) -> None:
    """List the users.

    Example: exporter users list --json
    """
    rows = [_row(user) for user in parts.accounts.users()]
    if as_json:
        show_json({"users": rows})
    else:
        show_table(rows, ("username", "role", "is_active", "created_at"), empty="There are no users yet.")


@users.command()
@click.argument("name")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@services_command
def set_password(parts: "Services", name: str, *, password_stdin: bool) -> None:
    """Change a password and end the user's sessions.

    Example: exporter users set-password ada
    """
    del password_stdin  # standard input is read wherever it is no terminal
    parts.accounts.set_password(parts.accounts.user_named(name), read_password())
    click.echo(f"Password of {name} changed")


@users.command()
@click.argument("name")
@services_command
def disable(parts: "Services", name: str) -> None:
    """Keep a user out; the jobs stay.

    Example: exporter users disable ada
    """
    parts.accounts.disable(parts.accounts.user_named(name))
    click.echo(f"User {name} disabled")


@users.command()
@click.argument("name")
@services_command
def enable(parts: "Services", name: str) -> None:
    """Let a disabled user in again.

    Example: exporter users enable ada
    """
    parts.accounts.enable(parts.accounts.user_named(name))
    click.echo(f"User {name} enabled")


def _row(user: User) -> dict[str, Any]:
    from exporter.jobs.receipt import instant

    return {
        "id": user.id,
        "username": user.username,
        "role": user.role.value,
        "is_active": user.is_active,
        "created_at": instant(user.created_at),
    }
