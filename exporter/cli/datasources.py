"""exporter datasources …"""

import click

from exporter.cli.backend import Backend, Document
from exporter.cli.base import Noun, backend_command, reaching_group
from exporter.cli.output import as_json, program, show_json, show_table, show_warnings


@click.group(cls=Noun)
@reaching_group
def datasources() -> None:
    """The databases to export from, here or on a server.

    Example: exporter datasources --server https://data.example list
    """


@datasources.command()
@click.argument("name")
@click.argument("url")
@click.option("--table", help="Offer this table or view only.")
@click.option("--query", metavar="SELECT", help="Offer the result of this SELECT only.")
@click.option("--date-column", metavar="NAME", help="The column that a date range means.")
@click.option("--shared", "is_shared", is_flag=True, help="Every user may export from it.")
@click.option(
    "--snapshot-copy", is_flag=True, help="Read a copy of the SQLite file, so that its writers do not wait."
)
@as_json
@backend_command
def add(backend: Backend, *, as_json: bool, **values: object) -> None:
    """Register a database, once it answers.

    Example: exporter datasources add shop sqlite:///shop.db --shared
    """
    datasource = backend.add_datasource(values)
    show_warnings(datasource.get("warnings", []))
    if as_json:
        show_json(datasource)
    else:
        click.echo(f"Datasource {datasource['name']} registered with id {datasource['id']}")


@datasources.command("list")
@as_json
@backend_command
def list_datasources(backend: Backend, *, as_json: bool) -> None:
    """List the datasources.

    Example: exporter datasources list --json
    """
    columns = ("id", "name", "kind", "table", "date_column", "is_shared")
    empty = f"No datasource yet. Add one: {program()} datasources add NAME URL{backend.flags}"
    _show("datasources", backend.datasources(), columns, empty=empty, as_json=as_json)


@datasources.command()
@click.argument("name")
@as_json
@backend_command
def test(backend: Backend, name: str, *, as_json: bool) -> None:
    """Connect, and say how long it took.

    Example: exporter datasources test shop
    """
    datasource = backend.datasource(name)
    seen = backend.test_datasource(datasource["id"])
    if as_json:
        show_json(seen)
        return
    show_warnings(seen["warnings"])
    answer = f"{datasource['kind']} {seen['server_version']}, {seen['milliseconds']:.0f} ms"
    click.echo(f"{datasource['name']} answers: {answer}")


@datasources.command()
@click.argument("name")
@as_json
@backend_command
def tables(backend: Backend, name: str, *, as_json: bool) -> None:
    """List tables and views with their estimated rows.

    Example: exporter datasources tables shop
    """
    found = backend.tables(backend.datasource(name)["id"])
    columns = ("name", "kind", "estimated_rows")
    _show("tables", found, columns, empty="This database has no tables.", as_json=as_json)


@datasources.command()
@click.argument("name")
@click.option("--table", help="Needed unless the datasource is bound to a table or a query.")
@as_json
@backend_command
def columns(backend: Backend, name: str, *, table: str | None, as_json: bool) -> None:
    """List the columns of a table.

    Example: exporter datasources columns shop --table orders
    """
    found = backend.columns(backend.datasource(name)["id"], table)
    shown = ("name", "database_type", "nullable", "exported_type")
    _show("columns", found, shown, empty="This table has no columns.", as_json=as_json)


@datasources.command()
@click.argument("name")
@backend_command
def remove(backend: Backend, name: str) -> None:
    """Forget a datasource; its finished exports stay.

    Example: exporter datasources remove shop
    """
    datasource = backend.datasource(name)
    backend.remove_datasource(datasource["id"])
    click.echo(f"Datasource {datasource['name']} removed")


def _show(key: str, rows: list[Document], columns: tuple[str, ...], *, empty: str, as_json: bool) -> None:
    if as_json:
        show_json({key: rows})
    else:
        show_table(rows, columns, empty=empty)
