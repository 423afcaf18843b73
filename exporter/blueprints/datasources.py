"""Datasources: everybody lists what they may export from; an admin adds, changes and removes."""

from typing import Any

from flask import Blueprint, Response, url_for

from exporter.blueprints import answers, examples
from exporter.blueprints.audited import audited, current_deed
from exporter.blueprints.body import json_object, load, optional_json_object, query_arguments
from exporter.blueprints.context import answer, current_user, require_admin, services
from exporter.blueprints.described import describes
from exporter.blueprints.schemas import ColumnsQuerySchema, DatasourceChangeSchema, DatasourceRequestSchema
from exporter.datasources import DatasourceValues
from exporter.documents import column_document, datasource_document, table_document
from exporter.errors import DatasourceInUse, DatasourceNotFound, Forbidden, NameTaken, PreviewTooSlow
from exporter.failures import ExportFailed, SourceUnavailable
from exporter.model import Action, Datasource, User
from exporter.query.schema import FiltersSchema

bp = Blueprint("datasources", __name__)

READS = (DatasourceNotFound, ExportFailed, SourceUnavailable)  # what a call that opens the database may meet


@bp.get("/")
@describes("List those you may export from", answer=answers.Datasources)
def index() -> Response:
    user = current_user()
    found = [
        datasource_document(datasource, for_admin=user.is_admin)
        for datasource in services().datasources.all(user)
    ]
    return answer("Datasources retrieved successfully", {"datasources": found})


@bp.post("/")
@audited(Action.DATASOURCE_CREATE)
@describes(
    "Register a database",
    details="Admins only. The connection is tried first.",
    body=DatasourceRequestSchema,
    answer=answers.Datasource,
    statuses=(201,),
    refuses=(Forbidden, NameTaken),
    request_example=examples.DATASOURCE_REQUEST,
)
def create() -> Response:
    user = require_admin()
    values = DatasourceValues(**load(DatasourceRequestSchema, json_object()))
    datasource = services().datasources.register(values)
    current_deed().about(datasource.id, datasource.name)
    location = url_for(".show", datasource_id=datasource.id)
    return answer(
        "Datasource created successfully",
        datasource_document(datasource, for_admin=user.is_admin),
        status=201,
        location=location,
    )


@bp.get("/<datasource_id>/")
@describes("Show a datasource", answer=answers.Datasource, refuses=(DatasourceNotFound,))
def show(datasource_id: str) -> Response:
    datasource, user = _asked(datasource_id)
    return answer(
        "Datasource retrieved successfully", datasource_document(datasource, for_admin=user.is_admin)
    )


@bp.put("/<datasource_id>/")
@audited(Action.DATASOURCE_UPDATE)
@describes(
    "Change a datasource",
    details="Admins only. Without `url` the old one is kept; everything else is replaced.",
    body=DatasourceChangeSchema,
    answer=answers.Datasource,
    refuses=(Forbidden, DatasourceNotFound, NameTaken),
)
def update(datasource_id: str) -> Response:
    user = require_admin()
    datasource, _ = _asked(datasource_id)
    values = DatasourceValues(**load(DatasourceChangeSchema, json_object()))
    changed = services().datasources.update(datasource, values)
    return answer("Datasource updated successfully", datasource_document(changed, for_admin=user.is_admin))


@bp.delete("/<datasource_id>/")
@audited(Action.DATASOURCE_DELETE)
@describes(
    "Remove a datasource",
    details="Admins only. Its finished jobs stay.",
    refuses=(Forbidden, DatasourceNotFound, DatasourceInUse),
)
def delete(datasource_id: str) -> Response:
    require_admin()
    datasource, _ = _asked(datasource_id)
    services().datasources.delete(datasource)
    return answer("Datasource deleted successfully")


@bp.post("/<datasource_id>/test/")
@describes("Try the connection", answer=answers.Connection, refuses=READS)
def test(datasource_id: str) -> Response:
    datasource, user = _asked(datasource_id)
    connection = services().datasources.test(datasource)
    told: dict[str, Any] = {
        "server_version": connection.server_version,
        "milliseconds": round(connection.milliseconds, 1),
    }
    if user.is_admin:
        told["warnings"] = list(connection.warnings)
    return answer("The datasource answers", told)


@bp.get("/<datasource_id>/tables/")
@describes("List tables and views", answer=answers.Tables, refuses=READS)
def tables(datasource_id: str) -> Response:
    datasource, _ = _asked(datasource_id)
    found = [table_document(table) for table in services().datasources.tables(datasource)]
    return answer("Tables retrieved successfully", {"tables": found})


@bp.get("/<datasource_id>/columns/")
@describes(
    "List columns",
    details="`table` is needed unless the datasource has a table or query of its own.",
    query=ColumnsQuerySchema,
    answer=answers.Columns,
    refuses=READS,
)
def columns(datasource_id: str) -> Response:
    datasource, _ = _asked(datasource_id)
    asked = load(ColumnsQuerySchema, query_arguments())
    relation = services().datasources.relation(datasource, asked["table"])
    return answer(
        "Columns retrieved successfully",
        {"columns": [column_document(column) for column in relation.columns]},
    )


@bp.post("/<datasource_id>/preview/")
@audited(Action.DATASOURCE_PREVIEW)
@describes(
    "Preview the first rows",
    body=FiltersSchema,
    body_required=False,
    answer=answers.Preview,
    refuses=(*READS, PreviewTooSlow),
    request_example=examples.FILTERS,
)
def preview(datasource_id: str) -> Response:
    datasource, _ = _asked(datasource_id)
    seen = services().previews.preview(datasource, optional_json_object())
    return answer(
        "Preview retrieved successfully",
        {
            "columns": [dict(column) for column in seen.columns],
            "rows": seen.rows,
            "rows_total": seen.total.rows if seen.total is not None else None,
            "rows_total_kind": seen.total.kind if seen.total is not None else None,
            "sql": seen.sql,
            "profile": [dict(column) for column in seen.profile],
        },
    )


def _asked(datasource_id: str) -> tuple[Datasource, User]:
    user = current_user()
    datasource = services().datasources.get(datasource_id, user)
    current_deed().about(datasource.id, datasource.name)
    return datasource, user
