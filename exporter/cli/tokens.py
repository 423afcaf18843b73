"""exporter tokens …"""

from typing import TYPE_CHECKING, Any

import click

from exporter.cli.base import Noun, services_command
from exporter.cli.deeds import deed
from exporter.cli.output import as_json, show_json, show_table
from exporter.model import Action, Token

if TYPE_CHECKING:
    from exporter.wiring import Services


@click.group(cls=Noun)
def tokens() -> None:
    """API tokens, for scripts.

    Example: exporter tokens list
    """


@tokens.command()
@click.argument("user")
@click.option("--name", default="command line", show_default=True, help="What the token is for.")
@click.option("--expires-in-days", type=click.IntRange(1, 36500), help="Never, if left out.")
@services_command
def create(parts: "Services", user: str, name: str, expires_in_days: int | None) -> None:
    """Create a token and print its secret, once.

    Example: exporter tokens create ada --name nightly
    """
    owner = parts.accounts.user_named(user)
    with deed(parts, Action.TOKEN_CREATE, owner) as done:
        token, secret = parts.accounts.create_token(owner, name=name, expires_in_days=expires_in_days)
        done.about(token.id, token.name)
    click.echo(secret)


@tokens.command("list")
@as_json
@services_command
def list_tokens(parts: "Services", *, as_json: bool) -> None:
    """List everybody's tokens; never their secrets.

    Example: exporter tokens list --json
    """
    rows = [_row(token) for token in parts.accounts.tokens(None)]
    if as_json:
        show_json({"tokens": rows})
    else:
        columns = ("id", "user", "name", "expires_at", "last_used_at")
        show_table(rows, columns, empty="There are no tokens yet.")


@tokens.command()
@click.argument("token_id", metavar="ID")
@services_command
def revoke(parts: "Services", token_id: str) -> None:
    """Make a token worthless at once.

    Example: exporter tokens revoke ID
    """
    with deed(parts, Action.TOKEN_REVOKE) as done:
        token = parts.accounts.revoke_token(token_id, user=None)
        done.about(token.id, token.name)
    click.echo("Token revoked")


def _row(token: Token) -> dict[str, Any]:
    from exporter.model import instant

    return {
        "id": token.id,
        "user": token.username,
        "name": token.name,
        "created_at": instant(token.created_at),
        "expires_at": instant(token.expires_at),
        "last_used_at": instant(token.last_used_at),
    }
