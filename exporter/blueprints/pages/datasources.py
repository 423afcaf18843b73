"""Datasources: everybody sees what they may export from; an admin adds, tries, shares and removes."""

from typing import Any

from flask import Response, request, url_for

from exporter.blueprints.body import read
from exporter.blueprints.context import current_user, require_admin, services
from exporter.blueprints.pages.base import bp, deed, page, see
from exporter.blueprints.pages.errors import sentences
from exporter.blueprints.schemas import DatasourceRequestSchema
from exporter.datasources import DatasourceValues
from exporter.errors import DatasourceInUse, Invalid, NameTaken
from exporter.failures import ExportFailed
from exporter.model import Action, Datasource

TEXTS = ("name", "url", "table", "query", "date_column")
FLAGS = ("is_shared", "snapshot_copy")


@bp.get("/datasources/")
def datasources() -> Response:
    return _datasources()


@bp.post("/datasources/")
def add_datasource() -> Response:
    """Try the connection, then keep it; a failure is shown at its field, with everything that was typed."""
    require_admin()
    typed: dict[str, Any] = {name: request.form.get(name, "").strip() for name in TEXTS}
    typed |= {name: name in request.form for name in FLAGS}
    values, faults = read(DatasourceRequestSchema, {name: v for name, v in typed.items() if v != ""})
    if faults:
        return _datasources(
            status=422, faults={name: _plain(each) for name, each in faults.items()}, typed=typed
        )
    try:
        with deed(Action.DATASOURCE_CREATE) as done:
            datasource = services().datasources.register(DatasourceValues(**values))
            done.about(datasource.id, datasource.name)
    except Invalid as exc:
        faults = {name: "; ".join(sentences(each)) for name, each in exc.errors.items()}
        return _datasources(status=422, faults=faults, typed=typed)
    except NameTaken as exc:
        return _datasources(status=422, faults={"name": exc.message}, typed=typed)
    return see(
        url_for("pages.datasources"), f"Datasource {datasource.name} answers and is ready to export from."
    )


@bp.post("/datasources/<datasource_id>/test/")
def test_datasource(datasource_id: str) -> Response:
    datasource = services().datasources.get(datasource_id, current_user())
    try:
        told = services().datasources.test(datasource)
    except ExportFailed as exc:
        return _datasources(tested={datasource.id: (False, exc.message)})
    words = f"Answers in {told.milliseconds:.0f} ms: {told.server_version}"
    return _datasources(tested={datasource.id: (True, words)})


@bp.post("/datasources/<datasource_id>/share/")
def share_datasource(datasource_id: str) -> Response:
    datasource = _changeable(datasource_id)
    values = DatasourceValues(
        name=datasource.name,
        url=None,
        table=datasource.table,
        query=datasource.query,
        date_column=datasource.date_column,
        is_shared=not datasource.is_shared,
        snapshot_copy=datasource.snapshot_copy,
    )
    try:
        with deed(Action.DATASOURCE_UPDATE) as done:
            done.about(datasource.id, datasource.name)
            services().datasources.update(datasource, values)
    except Invalid as exc:  # a change tries the connection first
        return _datasources(tested={datasource.id: (False, "; ".join(sentences(exc.errors)))})
    notice = "is for admins alone" if datasource.is_shared else "is shared with everybody"
    return see(url_for("pages.datasources"), f"Datasource {datasource.name} {notice}.")


@bp.post("/datasources/<datasource_id>/delete/")
def delete_datasource(datasource_id: str) -> Response:
    datasource = _changeable(datasource_id)
    try:
        with deed(Action.DATASOURCE_DELETE) as done:
            done.about(datasource.id, datasource.name)
            services().datasources.delete(datasource)
    except DatasourceInUse as exc:
        return _datasources(tested={datasource.id: (False, exc.message)})
    notice = f"Datasource {datasource.name} removed. Its finished exports stay."
    return see(url_for("pages.datasources"), notice)


def _changeable(datasource_id: str) -> Datasource:
    return services().datasources.get(datasource_id, require_admin())


def _plain(fault: object) -> str:
    return "; ".join(sentences(fault))


def _datasources(*, status: int = 200, **values: Any) -> Response:
    found = services().datasources.all(current_user())
    return page("datasources.html", status=status, datasources=found, **{"tested": {}, "typed": {}, **values})
