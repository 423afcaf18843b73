"""exporter datasources …"""

import click

from exporter.cli.base import Noun, as_json, services_command, show_json, show_table
from exporter.datasources import DatasourceValues, public_fields
from exporter.jobs.receipt import instant
from exporter.sources.types import exported_type
from exporter.wiring import Services


@click.group(cls=Noun)
def datasources() -> None:
    """The databases to export from."""


@datasources.command()
@click.argument("name")
@click.argument("url")
@click.option("--table", help="Offer this table or view only.")
@click.option("--query", help="Offer the result of this SELECT only.")
@click.option("--date-column", help="The column that a date range means.")
@click.option("--shared", is_flag=True, help="Every user may export from it.")
@services_command
def add(
    parts: Services,
    name: str,
    url: str,
    *,
    table: str | None,
    query: str | None,
    date_column: str | None,
    shared: bool,
) -> None:
    """Register a database, once it answers: exporter datasources add shop sqlite:///shop.db --shared"""
    values = DatasourceValues(
        name=name, url=url, table=table, query=query, date_column=date_column, is_shared=shared
    )
    datasource = parts.datasources.register(values)
    for warning in datasource.warnings:
        click.echo(f"Warning: {warning}", err=True)
    click.echo(f"Datasource {datasource.name} registered with id {datasource.id}")


@datasources.command("list")
@as_json
@services_command
def list_datasources(parts: Services, *, as_json: bool) -> None:
    """List the datasources."""
    rows = [
        {**public_fields(found), "created_at": instant(found.created_at)}
        for found in parts.datasources.all(None)
    ]
    if as_json:
        show_json({"datasources": rows})
    else:
        columns = ("id", "name", "kind", "table", "date_column", "is_shared")
        show_table(rows, columns, empty="No datasource yet. Add one: exporter datasources add NAME URL")


@datasources.command()
@click.argument("name")
@as_json
@services_command
def test(parts: Services, name: str, *, as_json: bool) -> None:
    """Connect, and say how long it took."""
    datasource = parts.datasources.named(name, None)
    connection = parts.datasources.test(datasource)
    if as_json:
        show_json(
            {
                "server_version": connection.server_version,
                "milliseconds": round(connection.milliseconds, 1),
                "warnings": list(connection.warnings),
            }
        )
        return
    for warning in connection.warnings:
        click.echo(f"Warning: {warning}", err=True)
    click.echo(
        f"{name} answers: {datasource.kind} {connection.server_version}, {connection.milliseconds:.0f} ms"
    )


@datasources.command()
@click.argument("name")
@as_json
@services_command
def tables(parts: Services, name: str, *, as_json: bool) -> None:
    """List tables and views with their estimated rows."""
    rows = [
        {"name": table.label, "kind": table.kind, "estimated_rows": table.rows}
        for table in parts.datasources.tables(parts.datasources.named(name, None))
    ]
    if as_json:
        show_json({"tables": rows})
    else:
        show_table(rows, ("name", "kind", "estimated_rows"), empty="This database has no tables.")


@datasources.command()
@click.argument("name")
@click.option("--table", help="Needed unless the datasource is bound to a table or a query.")
@as_json
@services_command
def columns(parts: Services, name: str, *, table: str | None, as_json: bool) -> None:
    """List the columns of a table."""
    relation = parts.datasources.relation(parts.datasources.named(name, None), table)
    rows = [
        {
            "name": column.name,
            "database_type": column.database_type,
            "nullable": column.nullable,
            "exported_type": exported_type(column),
        }
        for column in relation.columns
    ]
    if as_json:
        show_json({"columns": rows})
    else:
        shown = ("name", "database_type", "nullable", "exported_type")
        show_table(rows, shown, empty="This table has no columns.")


@datasources.command()
@click.argument("name")
@services_command
def remove(parts: Services, name: str) -> None:
    """Forget a datasource; its finished exports stay."""
    parts.datasources.delete(parts.datasources.named(name, None))
    click.echo(f"Datasource {name} removed")
