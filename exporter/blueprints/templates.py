"""Export templates."""

from typing import Any

from flask import Blueprint, Response, url_for

from exporter.blueprints import answers, examples
from exporter.blueprints.audited import audited, current_deed
from exporter.blueprints.body import json_object, load, query_arguments
from exporter.blueprints.context import answer, current_user, services
from exporter.blueprints.described import describes
from exporter.blueprints.paging import pagination
from exporter.blueprints.schemas import TemplateChangeSchema, TemplateListSchema, TemplateRequestSchema
from exporter.documents import template_detail, template_document
from exporter.errors import Forbidden, NameTaken, TemplateForbidden, TemplateNotFound
from exporter.model import Action, Template, TemplateType, User
from exporter.storage.templates import TemplateQuery
from exporter.templates import TemplateValues

bp = Blueprint("export_templates", __name__)

CHANGES = (Forbidden, TemplateForbidden, TemplateNotFound, NameTaken)


@bp.get("/")
@describes(
    "List templates",
    details="Your own, and those that are shared.",
    query=TemplateListSchema,
    answer=answers.Templates,
    answer_example=examples.TEMPLATE_LIST,
)
def index() -> Response:
    user = current_user()
    asked = load(TemplateListSchema, query_arguments())
    query = TemplateQuery(
        visible_to=None if user.is_admin else user.id, template_type=asked.pop("type"), **asked
    )
    page = services().templates.page(query)
    return answer(
        "Export templates retrieved successfully",
        {
            "templates": [template_document(template) for template in page.items],
            "total_count": page.total,
            "pagination": pagination(page),
        },
    )


@bp.post("/")
@audited(Action.TEMPLATE_CREATE)
@describes(
    "Create a template",
    body=TemplateRequestSchema,
    answer=answers.TemplateDetail,
    statuses=(201,),
    refuses=(Forbidden, NameTaken),
    request_example=examples.TEMPLATE_REQUEST,
    answer_example=examples.TEMPLATE_CREATED,
)
def create() -> Response:
    values = _values(load(TemplateRequestSchema, json_object()))
    template = services().templates.create(values, current_user())
    current_deed().about(template.id, template.name)
    location = url_for(".show", template_id=template.id)
    return answer(
        "Export template created successfully", template_detail(template), status=201, location=location
    )


@bp.get("/<template_id>/")
@describes("Show a template", answer=answers.TemplateDetail, refuses=(TemplateNotFound,))
def show(template_id: str) -> Response:
    template = _asked(template_id, current_user())
    return answer("Export template retrieved successfully", template_detail(template))


@bp.put("/<template_id>/")
@audited(Action.TEMPLATE_UPDATE)
@describes(
    "Replace a template",
    body=TemplateRequestSchema,
    answer=answers.TemplateDetail,
    refuses=CHANGES,
    request_example=examples.TEMPLATE_REPLACEMENT,
)
def replace(template_id: str) -> Response:
    return _change(template_id, TemplateRequestSchema)


@bp.patch("/<template_id>/")
@audited(Action.TEMPLATE_UPDATE)
@describes(
    "Change parts of a template",
    body=TemplateChangeSchema,
    answer=answers.TemplateDetail,
    refuses=CHANGES,
    request_example=examples.TEMPLATE_CHANGE,
)
def change(template_id: str) -> Response:
    return _change(template_id, TemplateChangeSchema)


@bp.delete("/<template_id>/")
@audited(Action.TEMPLATE_DELETE)
@describes("Delete a template", refuses=(TemplateForbidden, TemplateNotFound))
def delete(template_id: str) -> Response:
    user = current_user()
    services().templates.delete(_asked(template_id, user), user)
    return answer("Export template deleted successfully")


def _change(template_id: str, schema: type[TemplateRequestSchema]) -> Response:
    user = current_user()
    template = _asked(template_id, user)
    changed = services().templates.change(template, _values(load(schema, json_object())), user)
    return answer("Export template updated successfully", template_detail(changed))


def _asked(template_id: str, user: User) -> Template:
    template = services().templates.get(template_id, user)
    current_deed().about(template.id, template.name)
    return template


def _values(asked: dict[str, Any]) -> TemplateValues:
    chosen = asked.pop("template_type")
    return TemplateValues(**asked, template_type=TemplateType(chosen) if chosen else None)
