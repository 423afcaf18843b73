"""exporter templates …"""

import json
from pathlib import Path
from typing import Any

import click

from exporter.cli.base import Noun, acting_user, as_json, as_user, services_command, show_json, show_table
from exporter.errors import BadRequest, Invalid
from exporter.jobs.receipt import instant
from exporter.model import Template, TemplateType
from exporter.storage.templates import TemplateQuery
from exporter.templates import TemplateValues
from exporter.wiring import Services

ALL = 1_000_000
KEYS = frozenset({"format", "filters", "options"})


@click.group(cls=Noun)
def templates() -> None:
    """Named, reusable configurations."""


@templates.command("list")
@as_user
@as_json
@services_command
def list_templates(parts: Services, *, username: str | None, as_json: bool) -> None:
    """List the templates that the user may use."""
    user = acting_user(parts, username)
    query = TemplateQuery(visible_to=None if user.is_admin else user.id, page_size=ALL)
    rows = [_row(template) for template in parts.templates.page(query).items]
    if as_json:
        show_json({"templates": rows})
    else:
        columns = ("name", "template_type", "format", "usage_count", "is_active", "owner")
        show_table(rows, columns, empty="There are no templates yet.")


@templates.command()
@click.argument("name")
@as_user
@services_command
def show(parts: Services, name: str, *, username: str | None) -> None:
    """Print a template with its configuration, as JSON."""
    template = parts.templates.named(name, acting_user(parts, username))
    show_json({**_row(template), "configuration": dict(template.configuration)})


@templates.command()
@click.argument("name")
@click.option(
    "--file",
    "path",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON: {format, filters, options}",
)
@click.option("--description", default="", help="What it is for.")
@click.option(
    "--type",
    "template_type",
    type=click.Choice([kind.value for kind in TemplateType]),
    default="user",
    show_default=True,
    help="Who may use it.",
)
@as_user
@services_command
def create(
    parts: Services, name: str, *, path: Path, description: str, template_type: str, username: str | None
) -> None:
    """Create a template: exporter templates create monthly --file monthly.json"""
    values = TemplateValues(
        name=name,
        description=description,
        configuration=_configuration(path),
        template_type=TemplateType(template_type),
    )
    template = parts.templates.create(values, acting_user(parts, username))
    click.echo(f"Template {template.name} created")


@templates.command()
@click.argument("name")
@as_user
@services_command
def delete(parts: Services, name: str, *, username: str | None) -> None:
    """Delete a template; the exports made with it stay."""
    user = acting_user(parts, username)
    parts.templates.delete(parts.templates.named(name, user), user)
    click.echo(f"Template {name} deleted")


def _configuration(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as exc:
        message = f"{path} is not JSON: {exc}"
        raise BadRequest(message) from exc
    if not isinstance(value, dict):
        message = f"{path} must hold one JSON object"
        raise BadRequest(message)
    if unknown := sorted(value.keys() - KEYS):
        raise Invalid(dict.fromkeys(unknown, "Unknown field"))
    return value


def _row(template: Template) -> dict[str, Any]:
    return {
        "id": template.id,
        "name": template.name,
        "description": template.description,
        "template_type": template.template_type.value,
        "format": template.configuration["format"],
        "usage_count": template.usage_count,
        "has_filters": bool(template.configuration.get("filters")),
        "is_active": template.is_active,
        "owner": template.owner,
        "created_at": instant(template.created_at),
        "updated_at": instant(template.updated_at),
    }
