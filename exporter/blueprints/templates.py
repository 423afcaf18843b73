"""Export templates."""

from typing import Any

from flask import Blueprint, Response, url_for

from exporter.blueprints.body import json_object, load, query_arguments
from exporter.blueprints.context import answer, current_user, services
from exporter.blueprints.paging import pagination
from exporter.blueprints.schemas import TemplateListSchema, TemplateSchema
from exporter.jobs.receipt import instant
from exporter.model import Template, TemplateType
from exporter.storage.templates import TemplateQuery
from exporter.templates import TemplateValues

bp = Blueprint("export_templates", __name__)


@bp.get("/")
def index() -> Response:
    user = current_user()
    asked = load(TemplateListSchema(), query_arguments())
    query = TemplateQuery(
        visible_to=None if user.is_admin else user.id, template_type=asked.pop("type"), **asked
    )
    page = services().templates.page(query)
    return answer(
        "Export templates retrieved successfully",
        {
            "templates": [_summary(template) for template in page.items],
            "total_count": page.total,
            "pagination": pagination(page),
        },
    )


@bp.post("/")
def create() -> Response:
    values = _values(load(TemplateSchema(), json_object()))
    template = services().templates.create(values, current_user())
    location = url_for(".show", template_id=template.id)
    return answer("Export template created successfully", _detail(template), status=201, location=location)


@bp.get("/<template_id>/")
def show(template_id: str) -> Response:
    template = services().templates.get(template_id, current_user())
    return answer("Export template retrieved successfully", _detail(template))


@bp.put("/<template_id>/")
def replace(template_id: str) -> Response:
    return _change(template_id, TemplateSchema())


@bp.patch("/<template_id>/")
def change(template_id: str) -> Response:
    return _change(template_id, TemplateSchema(partial=("name", "description", "configuration")))


@bp.delete("/<template_id>/")
def delete(template_id: str) -> Response:
    user = current_user()
    services().templates.delete(services().templates.get(template_id, user), user)
    return answer("Export template deleted successfully")


def _change(template_id: str, schema: TemplateSchema) -> Response:
    user = current_user()
    template = services().templates.get(template_id, user)
    changed = services().templates.change(template, _values(load(schema, json_object())), user)
    return answer("Export template updated successfully", _detail(changed))


def _values(asked: dict[str, Any]) -> TemplateValues:
    chosen = asked.pop("template_type")
    return TemplateValues(**asked, template_type=TemplateType(chosen) if chosen else None)


def _summary(template: Template) -> dict[str, Any]:
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


def _detail(template: Template) -> dict[str, Any]:
    return {**_summary(template), "configuration": dict(template.configuration)}
