"""Templates: mine, shared, those of the server; used, edited, shared, deleted."""

from dataclasses import replace

from flask import Response, request, url_for

from exporter.blueprints.audited import audited, current_deed
from exporter.blueprints.body import read
from exporter.blueprints.context import current_user, services
from exporter.blueprints.pages.base import bp, page, see
from exporter.blueprints.pages.builder import show_form
from exporter.blueprints.pages.choices import Choices
from exporter.blueprints.pages.decompose import of_configuration
from exporter.blueprints.schemas import TEMPLATE_TYPES, TemplateListSchema
from exporter.model import Action, Template, TemplateType, User
from exporter.storage.templates import TemplateQuery
from exporter.templates import TemplateValues

FILTERS = ("type", "search", "page")
TYPE_WORDS = {"user": "private", "shared": "shared", "system": "of the server"}


@bp.get("/templates/")
def templates() -> Response:
    user = current_user()
    given = {name: request.args[name].strip() for name in FILTERS if request.args.get(name, "").strip()}
    values, faults = read(TemplateListSchema, given)
    asked = {name: value for name, value in given.items() if name not in faults}
    values = read(TemplateListSchema, asked)[0] if faults else values
    query = TemplateQuery(
        visible_to=None if user.is_admin else user.id, template_type=values.pop("type"), **values
    )
    found = services().templates.page(query)
    return page(
        "templates.html",
        found=found,
        asked=asked,
        types=TEMPLATE_TYPES,
        words=TYPE_WORDS,
        changeable={template.id for template in found.items if _may_change(template, user)},
    )


@bp.get("/templates/<template_id>/")
def edit_template(template_id: str) -> Response:
    """Show the form of an export, filled from the template; saving changes the template."""
    template = services().templates.get(template_id, current_user())
    choices = Choices(
        editing=template.id,
        save_name=template.name,
        save_description=template.description,
        save_type=template.template_type.value,
        datasource=request.args.get("datasource", ""),
    )
    return show_form(replace(of_configuration(template.configuration, choices), template=""))


@bp.post("/templates/<template_id>/share/")
@audited(Action.TEMPLATE_UPDATE)
def share_template(template_id: str) -> Response:
    user = current_user()
    template = services().templates.get(template_id, user)
    current_deed().about(template.id, template.name)
    shared = template.template_type is TemplateType.SHARED
    kind = TemplateType.USER if shared else TemplateType.SHARED
    services().templates.change(template, TemplateValues(template_type=kind), user)
    notice = "is private again" if shared else "is shared with everybody"
    return see(url_for("pages.templates"), f"Template {template.name} {notice}.")


@bp.post("/templates/<template_id>/delete/")
@audited(Action.TEMPLATE_DELETE)
def delete_template(template_id: str) -> Response:
    user = current_user()
    template = services().templates.get(template_id, user)
    current_deed().about(template.id, template.name)
    services().templates.delete(template, user)
    return see(url_for("pages.templates"), f"Template {template.name} deleted. Its past exports stay.")


def _may_change(template: Template, user: User) -> bool:
    own = template.owner_id == user.id and template.template_type is not TemplateType.SYSTEM
    return user.is_admin or own
