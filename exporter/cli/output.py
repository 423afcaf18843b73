"""What a command tells: errors as one line, data as a table or as JSON."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from exporter.model import Page

ID_WIDTH = 36  # an id is there to be copied: it never folds

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def program() -> str:
    """Name the program as it was started, so that a hint can be typed as it stands."""
    name = click.get_current_context().find_root().info_name or "exporter"
    return f"{name} --app wsgi" if name.endswith("flask") else name


def show_json(data: object) -> None:
    click.echo(json.dumps(data, ensure_ascii=False, indent=2, default=str))


def listing(total: int, limit: int) -> dict[str, Any]:
    """Give the pagination block of a list that is its first page."""
    page: Page[None] = Page(items=(), number=1, size=limit, total=total)
    return {
        "total_count": total,
        "page_count": page.count,
        "current_page": 1,
        "has_next": page.count > 1,
        "has_previous": False,
        "page_size": limit,
    }


def show_document(document: Mapping[str, Any]) -> None:
    """Print what is known of one thing, a field a line."""
    for name, value in document.items():
        if value not in (None, [], {}, ""):
            nested = isinstance(value, dict | list)
            click.echo(f"{name}: {json.dumps(value, ensure_ascii=False) if nested else shown(value)}")


def show_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, empty: str) -> None:
    """Print rows under the names of `columns`; cells fold on a terminal, and are never cut.

    Where a folded id could not be copied, a row is a block of lines.
    """
    if not rows:
        click.echo(empty)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console = Console(width=10_000)
    if "id" in columns and console.width <= 2 * ID_WIDTH:
        blocks = ["\n".join(f"{name}: {shown(row[name])}" for name in columns) for row in rows]
        click.echo("\n\n".join(blocks))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        whole = ID_WIDTH if column == "id" else None
        table.add_column(column.replace("_", " "), overflow="fold", min_width=whole)
    for row in rows:
        table.add_row(*(Text(shown(row[column])) for column in columns))
    console.print(table, soft_wrap=False)


def show_warnings(warnings: Sequence[str]) -> None:
    for warning in warnings:
        click.echo(f"Warning: {warning}", err=True)


def shown(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)
