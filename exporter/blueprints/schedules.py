"""Recurring exports."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, url_for

from exporter.blueprints import answers, examples
from exporter.blueprints.audited import audited, current_deed
from exporter.blueprints.body import json_object, load, query_arguments, read
from exporter.blueprints.context import answer, current_user, services
from exporter.blueprints.described import describes
from exporter.blueprints.paging import pagination
from exporter.blueprints.schemas import PageSchema, ScheduleChangeSchema, ScheduleRequestSchema
from exporter.blueprints.shown import shown
from exporter.documents import schedule_document, schedule_run_document
from exporter.errors import DiskLow, NameTaken, QueueFull, ScheduleNotFound, UserQueueFull
from exporter.model import Action, Schedule
from exporter.schedules.service import ScheduleValues

bp = Blueprint("schedules", __name__)


@bp.get("/")
@describes(
    "List schedules",
    details="Your own; an admin sees everybody's.",
    query=PageSchema,
    answer=answers.Schedules,
)
def index() -> Response:
    asked = load(PageSchema, query_arguments())
    page = services().schedules.page(current_user(), number=asked["page"], size=asked["page_size"])
    return answer(
        "Schedules retrieved successfully",
        {"schedules": [schedule_document(each) for each in page.items], "pagination": pagination(page)},
    )


@bp.post("/")
@audited(Action.SCHEDULE_CREATE)
@describes(
    "Create a schedule",
    details="The export is checked as a request for it would be, and made as yours whenever the line comes true.",
    body=ScheduleRequestSchema,
    answer=answers.Schedule,
    statuses=(201,),
    gives=("Location",),
    refuses=(NameTaken,),
    request_example=examples.SCHEDULE_REQUEST,
)
def create() -> Response:
    user = current_user()
    values, faults = _asked(json_object())
    schedule = services().schedules.create(values, user, faults=faults)
    current_deed().about(schedule.id, schedule.name)
    location = url_for(".show", schedule_id=schedule.id)
    return answer("Schedule created successfully", schedule_document(schedule), status=201, location=location)


@bp.get("/<schedule_id>/")
@describes("Show a schedule", answer=answers.Schedule, refuses=(ScheduleNotFound,))
def show(schedule_id: str) -> Response:
    return answer("Schedule retrieved successfully", schedule_document(_schedule(schedule_id)))


@bp.put("/<schedule_id>/")
@audited(Action.SCHEDULE_UPDATE)
@describes(
    "Replace a schedule",
    details="What is left out takes its default; the next time is reckoned from now.",
    body=ScheduleRequestSchema,
    answer=answers.Schedule,
    refuses=(ScheduleNotFound, NameTaken),
    request_example=examples.SCHEDULE_REQUEST,
)
def replace(schedule_id: str) -> Response:
    return _changed(schedule_id, json_object())


@bp.patch("/<schedule_id>/")
@audited(Action.SCHEDULE_UPDATE)
@describes(
    "Change a schedule",
    details="Only the fields that are given change; `export` as a whole.",
    body=ScheduleChangeSchema,
    answer=answers.Schedule,
    refuses=(ScheduleNotFound, NameTaken),
    request_example={"is_active": False},
)
def change(schedule_id: str) -> Response:
    present = schedule_document(_meant(schedule_id))
    kept = {name: present[name] for name in ScheduleRequestSchema().fields}
    return _changed(schedule_id, {**kept, **json_object()})


@bp.delete("/<schedule_id>/")
@audited(Action.SCHEDULE_DELETE)
@describes(
    "Delete a schedule",
    details="Its jobs stay.",
    answer=answers.Nothing,
    refuses=(ScheduleNotFound,),
)
def delete(schedule_id: str) -> Response:
    services().schedules.delete(_meant(schedule_id))
    return answer("Schedule deleted successfully")


@bp.post("/<schedule_id>/run/")
@audited(Action.SCHEDULE_RUN)
@describes(
    "Run a schedule now",
    details="As its owner, beside its turns.",
    answer=answers.Job,
    statuses=(201,),
    gives=("Location",),
    refuses=(ScheduleNotFound, UserQueueFull, QueueFull, DiskLow),
)
def run(schedule_id: str) -> Response:
    job = services().scheduler.run_now(_meant(schedule_id))
    location = url_for("exports.show", job_id=job.id)
    return answer("Export job created successfully", shown(job), status=201, location=location)


@bp.get("/<schedule_id>/runs/")
@describes(
    "List a schedule's last runs",
    details="Newest first, at most 100.",
    answer=answers.ScheduleRuns,
    refuses=(ScheduleNotFound,),
)
def runs(schedule_id: str) -> Response:
    found = services().schedules.runs(_schedule(schedule_id))
    return answer("Runs retrieved successfully", {"runs": [schedule_run_document(each) for each in found]})


def _schedule(schedule_id: str) -> Schedule:
    return services().schedules.get(schedule_id, current_user())


def _meant(schedule_id: str) -> Schedule:
    schedule = _schedule(schedule_id)
    current_deed().about(schedule.id, schedule.name)
    return schedule


def _changed(schedule_id: str, body: Mapping[str, Any]) -> Response:
    schedule = _meant(schedule_id)
    values, faults = _asked(body)
    changed = services().schedules.change(schedule, values, current_user(), faults=faults)
    return answer("Schedule updated successfully", schedule_document(changed))


def _asked(body: Mapping[str, Any]) -> tuple[ScheduleValues, dict[str, Any]]:
    """Read what is valid; the faults of the rest are told with those that the service finds."""
    values, faults = read(ScheduleRequestSchema, body)
    return ScheduleValues(**{"name": "", "cron": "", "timezone": "", "export": {}, **values}), faults
