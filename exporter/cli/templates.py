"""exporter templates …"""

import json
from pathlib import Path

import click

from exporter.cli.backend import Backend, Document
from exporter.cli.base import Noun, as_user, backend_command, reaching_group
from exporter.cli.output import as_json, show_document, show_json, show_table
from exporter.errors import BadRequest, Invalid
from exporter.model import TemplateType

KEYS = frozenset({"format", "filters", "options"})


@click.group(cls=Noun)
@reaching_group
def templates() -> None:
    """Named, reusable configurations, here or on a server.

    Example: exporter templates --server https://data.example list
    """


@templates.command("list")
@as_user
@as_json
@backend_command
def list_templates(backend: Backend, *, as_json: bool) -> None:
    """List the templates that the user may use.

    Example: exporter templates list
    """
    rows = backend.templates()
    if as_json:
        show_json({"templates": rows, "total_count": len(rows)})
    else:
        columns = ("name", "template_type", "format", "usage_count", "is_active", "owner")
        show_table(rows, columns, empty="There are no templates yet.")


@templates.command()
@click.argument("name")
@as_user
@as_json
@backend_command
def show(backend: Backend, name: str, *, as_json: bool) -> None:
    """Show a template with its configuration.

    Example: exporter templates show monthly --json
    """
    template = backend.template(name)
    if as_json:
        show_json(template)
    else:
        show_document(template)


@templates.command()
@click.argument("name")
@click.option(
    "--file",
    "path",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="JSON: {format, filters, options}",
)
@click.option("--description", metavar="TEXT", default="", help="What it is for.")
@click.option(
    "--type",
    "template_type",
    type=click.Choice([kind.value for kind in TemplateType]),
    default="user",
    show_default=True,
    help="Who may use it.",
)
@as_user
@as_json
@backend_command
def create(
    backend: Backend, name: str, *, path: Path, description: str, template_type: str, as_json: bool
) -> None:
    """Create a template from a file.

    Example: exporter templates create monthly --file monthly.json
    """
    values = {
        "name": name,
        "description": description,
        "configuration": _configuration(path),
        "template_type": template_type,
    }
    template = backend.create_template(values)
    if as_json:
        show_json(template)
    else:
        click.echo(f"Template {template['name']} created")


@templates.command()
@click.argument("name")
@as_user
@backend_command
def delete(backend: Backend, name: str) -> None:
    """Delete a template; the exports made with it stay.

    Example: exporter templates delete monthly
    """
    template = backend.template(name)
    backend.delete_template(template["id"])
    click.echo(f"Template {template['name']} deleted")


def _configuration(path: Path) -> Document:
    """Raise BadRequest or Invalid."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as exc:
        raise BadRequest(f"{path} is not JSON: {exc}") from exc
    if not isinstance(value, dict):
        raise BadRequest(f"{path} must hold one JSON object")
    if unknown := sorted(value.keys() - KEYS):
        raise Invalid({"configuration": dict.fromkeys(unknown, "Unknown field")})
    return value
