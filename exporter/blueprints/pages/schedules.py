"""Schedules: what recurs and how it went, made from a template, rested, run at once, deleted."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from flask import Response, request, url_for

from exporter.blueprints.audited import audited, current_deed
from exporter.blueprints.body import load, read
from exporter.blueprints.context import current_user, services
from exporter.blueprints.pages.base import bp, deed, page, see
from exporter.blueprints.pages.choices import Choices
from exporter.blueprints.pages.errors import sentences
from exporter.blueprints.pages.frame import frame_of
from exporter.blueprints.pages.offers import template_offers
from exporter.blueprints.schemas import PageSchema
from exporter.errors import Invalid, NameTaken
from exporter.model import Action, Schedule
from exporter.schedules.service import ScheduleValues

TYPED = ("name", "template", "datasource", "table", "cron", "timezone")
LAST_RUNS = 3
NEXT_TIMES = 3
CRONS = (
    ("0 * * * *", "every hour"),
    ("0 6 * * *", "every day at 6:00"),
    ("0 6 * * 1-5", "Monday to Friday at 6:00"),
    ("0 6 * * 1", "every Monday at 6:00"),
    ("0 6 1 * *", "the first of every month at 6:00"),
)


@bp.get("/schedules/")
def schedules() -> Response:
    """Show the list; what the address holds of a new schedule is in the form, with its next times."""
    return _schedules(typed=_typed(request.args))


@bp.get("/schedules/times/")
def schedule_times() -> Response:
    typed = _typed(request.args)
    return page("times.html", **_times(typed["cron"], typed["timezone"]))


@bp.get("/schedules/tables/")
def schedule_tables() -> Response:
    """Offer the tables of the chosen datasource; where they cannot be told, a name is typed."""
    typed = _typed(request.args)
    return page("table.html", typed=typed, tables=_tables(typed), faults={})


@bp.post("/schedules/")
def add_schedule() -> Response:
    typed = _typed(request.form)
    try:
        with deed(Action.SCHEDULE_CREATE) as done:
            schedule = services().schedules.create(_values(typed), current_user())
            done.about(schedule.id, schedule.name)
    except Invalid as exc:
        return _schedules(status=422, typed=typed, faults=_faults(exc.errors))
    except NameTaken as exc:
        return _schedules(status=422, typed=typed, faults={"name": exc.message})
    return see(url_for("pages.schedules"), f"Schedule {schedule.name} is set up.")


@bp.get("/schedules/<schedule_id>/")
def schedule(schedule_id: str) -> Response:
    found = _schedule(schedule_id)
    runs = services().schedules.runs(found)
    return page("schedule.html", each=found, runs=runs, **_times(found.cron, found.timezone))


@bp.post("/schedules/<schedule_id>/rest/")
@audited(Action.SCHEDULE_UPDATE)
def rest_schedule(schedule_id: str) -> Response:
    """Let one that runs rest, and one that rests run again."""
    found = _meant(schedule_id)
    kept = {name: getattr(found, name) for name in ScheduleValues.__dataclass_fields__}
    values = ScheduleValues(**{**kept, "is_active": not found.is_active})
    services().schedules.change(found, values, current_user())
    return see(
        url_for("pages.schedules"), f"Schedule {found.name} {'rests' if found.is_active else 'runs again'}."
    )


@bp.post("/schedules/<schedule_id>/run/")
@audited(Action.SCHEDULE_RUN)
def run_schedule(schedule_id: str) -> Response:
    found = _meant(schedule_id)
    job = services().scheduler.run_now(found)
    return see(f"{url_for('pages.home')}#job-{job.id}", f"Schedule {found.name} runs now, beside its turns.")


@bp.post("/schedules/<schedule_id>/delete/")
@audited(Action.SCHEDULE_DELETE)
def delete_schedule(schedule_id: str) -> Response:
    found = _meant(schedule_id)
    services().schedules.delete(found)
    return see(url_for("pages.schedules"), f"Schedule {found.name} deleted. Its exports stay.")


def _schedule(schedule_id: str) -> Schedule:
    return services().schedules.get(schedule_id, current_user())


def _meant(schedule_id: str) -> Schedule:
    found = _schedule(schedule_id)
    current_deed().about(found.id, found.name)
    return found


def _typed(given: Mapping[str, str]) -> dict[str, Any]:
    typed: dict[str, Any] = {name: given.get(name, "").strip() for name in TYPED}
    return {**typed, "catch_up": "catch_up" in given}


def _values(typed: Mapping[str, Any]) -> ScheduleValues:
    export = {name: typed[name] for name in ("datasource", "template") if typed[name]}
    filters = {"filters": {"table": typed["table"]}} if typed["table"] else {}
    return ScheduleValues(
        name=typed["name"],
        cron=typed["cron"],
        timezone=typed["timezone"],
        catch_up=typed["catch_up"],
        export={**export, **filters},
    )


def _faults(errors: Mapping[str, Any]) -> dict[str, str]:
    """Put each fault at the field where it can be mended; what the template brings with it is at the template."""
    told = {name: fault for name, fault in errors.items() if name != "export"}
    export = dict(errors.get("export", {}))
    if "datasource" in export:
        told["datasource"] = export.pop("datasource")
    filters = export.get("filters")
    if isinstance(filters, dict) and "table" in filters:
        told["table"] = filters["table"]
        export["filters"] = {name: fault for name, fault in filters.items() if name != "table"}
    if "format" in export and "template" not in export:
        export["template"] = "Choose a template: it says what is exported, and as what"
        del export["format"]
    rest = sentences(export)
    return {**told, **({"template": "; ".join(rest)} if rest else {})}


def _tables(typed: Mapping[str, Any]) -> list[str]:
    """Open a datasource only once it is chosen: the page itself does not wait for one."""
    if not typed["datasource"]:
        return []
    frame, _ = frame_of(Choices(datasource=typed["datasource"]), current_user())
    return [each.label for each in frame.tables]


def _times(cron: str, timezone: str) -> dict[str, Any]:
    """Give the next times as the zone's own clock shows them, or why there are none."""
    if not cron:
        return {"times": [], "wrong": None}
    try:
        found = services().schedules.upcoming(cron, timezone, count=NEXT_TIMES)
    except Invalid as exc:
        return {"times": [], "wrong": "; ".join(sentences(exc.errors))}
    times = [(_spoken(each, timezone), each) for each in found]
    return {"times": times, "wrong": None if times else "This line never comes true"}


def _spoken(moment: datetime, timezone: str) -> str:
    return f"{moment.astimezone(ZoneInfo(timezone)):%A, %-d %B %Y at %H:%M}, {timezone}"


def _schedules(*, status: int = 200, typed: Mapping[str, Any], **values: Any) -> Response:
    asked, _ = read(PageSchema, {name: request.args[name] for name in ("page",) if name in request.args})
    number = asked.get("page", 1)
    user = current_user()
    found = services().schedules.page(user, number=number, size=load(PageSchema, {})["page_size"])
    return page(
        "schedules.html",
        status=status,
        found=found,
        runs={each.id: services().schedules.runs(each, limit=LAST_RUNS) for each in found.items},
        typed=typed,
        tables=_tables(typed),
        templates=template_offers(user),
        datasources=services().datasources.all(user),
        zones=sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith("Etc/")),
        crons=CRONS,
        **{"faults": {}, **_times(typed["cron"], typed["timezone"]), **values},
    )
