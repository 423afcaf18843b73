"""exporter users …"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from exporter.cli.base import Noun, read_password, services_command
from exporter.cli.deeds import deed
from exporter.cli.output import as_json, show_json, show_table
from exporter.model import Action, Role, User

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
    user = create_user(parts, name, read_password(), role=role)
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
    _on_user(
        parts, name, Action.USER_PASSWORD, lambda user: parts.accounts.set_password(user, read_password())
    )
    click.echo(f"Password of {name} changed")


@users.command()
@click.argument("name")
@services_command
def disable(parts: "Services", name: str) -> None:
    """Keep a user out; the jobs stay.

    Example: exporter users disable ada
    """
    _on_user(parts, name, Action.USER_DISABLE, parts.accounts.disable)
    click.echo(f"User {name} disabled")


@users.command()
@click.argument("name")
@services_command
def enable(parts: "Services", name: str) -> None:
    """Let a disabled user in again.

    Example: exporter users enable ada
    """
    _on_user(parts, name, Action.USER_ENABLE, parts.accounts.enable)
    click.echo(f"User {name} enabled")


def create_user(parts: "Services", name: str, password: str, *, role: Role) -> User:
    with deed(parts, Action.USER_CREATE) as done:
        user = parts.accounts.create_user(name, password, role=role)
        done.about(user.id, user.username)
    return user


def _on_user(parts: "Services", name: str, action: Action, act: Callable[[User], None]) -> None:
    with deed(parts, action) as done:
        user = parts.accounts.user_named(name)
        done.about(user.id, user.username)
        act(user)


def _row(user: User) -> dict[str, Any]:
    from exporter.model import instant

    return {
        "id": user.id,
        "username": user.username,
        "role": user.role.value,
        "is_active": user.is_active,
        "created_at": instant(user.created_at),
    }
