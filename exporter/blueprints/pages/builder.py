"""A new export: the form that every button re-renders, its preview, and what pressing Export does."""

from dataclasses import replace
from typing import Any

from flask import Response, request, url_for

from exporter.blueprints.context import current_user, services
from exporter.blueprints.exports import RETRY_AFTER_SECONDS
from exporter.blueprints.pages import formview
from exporter.blueprints.pages.base import bp, by_htmx, deed, page, see
from exporter.blueprints.pages.choices import Choices, edited, from_form
from exporter.blueprints.pages.compose import Composed, compose, overriding, placed
from exporter.blueprints.pages.decompose import given_options, of_configuration
from exporter.blueprints.pages.frame import Frame, frame_of
from exporter.errors import ExporterError, Invalid, NameTaken, Stopping, TemplateNotFound
from exporter.formats import registry
from exporter.jobs.requests import JobRequest
from exporter.model import Action, Job, Template, TemplateType
from exporter.templates import TemplateValues

STALE = {"HX-Trigger-After-Settle": "stale"}  # tells the preview that the form has changed


@bp.get("/exports/new/")
def new_export() -> Response:
    choices = Choices(datasource=request.args.get("datasource", ""), table=request.args.get("table", ""))
    if "again" in request.args:
        choices = _of_job(request.args["again"])
    if "template" in request.args:
        choices = _with_template(replace(choices, template=request.args["template"]))
    return show_form(choices)


@bp.post("/exports/new/")
def build() -> Response:
    choices = from_form(request.form)
    match request.form.get("do", "show"):
        case "export":
            return _export(choices)
        case "save":
            return _save(choices)
        case "template":
            return show_form(_with_template(choices))
        case what:
            return show_form(edited(choices, what))


@bp.post("/exports/new/preview/")
def preview() -> Response:
    choices = from_form(request.form)
    frame, choices = frame_of(choices, current_user())
    if frame.relation is None or frame.datasource is None:
        return page("preview.html", waiting=True, faults=frame.faults)
    composed = _composed(choices, frame)
    try:
        with deed(Action.DATASOURCE_PREVIEW) as done:
            done.about(frame.datasource.id, frame.datasource.name)
            seen = formview.preview(choices, composed, frame, current_user())
        return page("preview.html", **seen)
    except Invalid as exc:
        return page("preview.html", faults=placed(exc.errors, composed.places))
    except ExporterError as exc:
        return page("preview.html", sorry=exc.message)


def show_form(choices: Choices, faults: dict[str, str] | None = None) -> Response:
    """Give the whole page, or only the form to a browser that has the rest."""
    frame, choices = frame_of(choices, current_user())
    values = formview.form(choices, frame, {**frame.faults, **(faults or {})}, current_user())
    response = page(
        "builder_form.html" if by_htmx() else "builder.html", status=422 if faults else 200, **values
    )
    response.headers.update(STALE)
    return response


def _export(choices: Choices) -> Response:
    user = current_user()
    if services().engine.stopping:
        raise Stopping(retry_after=RETRY_AFTER_SECONDS)
    frame, choices = frame_of(choices, user)
    if missing := _missing(choices, frame):
        return show_form(choices, missing)
    composed = _composed(choices, frame)
    try:
        job = _submitted(_request(choices, composed))
    except Invalid as exc:
        return show_form(choices, placed(exc.errors, composed.places))
    except ExporterError as exc:
        return show_form(choices, {"": exc.message})
    return see(f"{url_for('pages.home')}#job-{job.id}")


def _missing(choices: Choices, frame: Frame) -> dict[str, str]:
    """Say in the page's own words what has not been chosen yet."""
    if not choices.datasource:
        return {"datasource": "Choose a datasource"}
    return {} if choices.table or frame.pinned or frame.faults else {"table": "Choose a table"}


def _submitted(asked: JobRequest) -> Job:
    with deed(Action.EXPORT_CREATE) as done:
        return services().jobs.submit(asked, current_user(), deed=done)[0]


def _save(choices: Choices) -> Response:
    """Keep the choices as a template, a new one or the one that is being edited."""
    frame, choices = frame_of(choices, current_user())
    composed = _composed(choices, frame)
    try:
        with deed(Action.TEMPLATE_UPDATE if choices.editing else Action.TEMPLATE_CREATE) as done:
            template = _keep(choices, composed)
            done.about(template.id, template.name)
    except Invalid as exc:
        return show_form(choices, _template_faults(exc.errors, composed))
    except NameTaken as exc:
        return show_form(choices, {"save_name": exc.message})
    except ExporterError as exc:
        return show_form(choices, {"": exc.message})
    return see(url_for("pages.templates"), f"Template {template.name} saved.")


def _keep(choices: Choices, composed: Composed) -> Template:
    """Raise Invalid, NameTaken, Forbidden or TemplateForbidden."""
    user, templates = current_user(), services().templates
    kind = choices.save_type if choices.save_type in set(TemplateType) else TemplateType.USER
    values = TemplateValues(
        name=choices.save_name.strip(),
        description=choices.save_description.strip(),
        configuration=composed.configuration,
        template_type=TemplateType(kind),
    )
    if choices.editing:
        return templates.change(templates.get(choices.editing, user), values, user)
    return templates.create(values, user)


def _template_faults(errors: Any, composed: Composed) -> dict[str, str]:
    found = placed(errors.get("configuration", {}), composed.places)
    return {**found, **({"save_name": errors["name"]} if "name" in errors else {})}


def _composed(choices: Choices, frame: Frame) -> Composed:
    return compose(choices, frame.relation, frame.dialect, pinned=frame.pinned)


def _request(choices: Choices, composed: Composed) -> JobRequest:
    template = _template_that_fits(choices, composed)
    return JobRequest(
        datasource=choices.datasource or None,
        format=composed.format,
        filters=overriding(composed.filters) if template else composed.filters,
        options=composed.options,
        template=template,
        name=choices.name.strip() or None,
    )


def _template_that_fits(choices: Choices, composed: Composed) -> str | None:
    """Name the template, unless one of its options was taken back: it would come in again by the merge."""
    if not choices.template or choices.editing:
        return None
    try:
        template = services().templates.get(choices.template, current_user())
    except TemplateNotFound:
        return None
    entry = registry.FORMATS.get(composed.format)
    known = entry.options().fields if entry else {}
    given = template.configuration.get("options") or {}
    return None if {name for name in given if name in known} - composed.options.keys() else template.id


def _with_template(choices: Choices) -> Choices:
    if not choices.template:
        return choices
    template = services().templates.get(choices.template, current_user())
    return of_configuration(template.configuration, choices)


def _of_job(job_id: str) -> Choices:
    """Begin with what an earlier export asked for."""
    job = services().jobs.get(job_id, current_user())
    configuration = {
        "format": job.format,
        "filters": job.filters,
        "options": given_options(job.format, job.options, formview.option_defaults()),
    }
    base = Choices(datasource=job.datasource_id or "", name=job.name or "")
    return of_configuration(configuration, base)
