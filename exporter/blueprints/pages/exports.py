"""The list of exports, live; one export with its receipt; and what can be done with it."""

import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from flask import Response, request, url_for

from exporter.blueprints.audited import audited, current_deed
from exporter.blueprints.body import read
from exporter.blueprints.context import current_user, services
from exporter.blueprints.pages.base import bp, by_htmx, page, see
from exporter.blueprints.pages.jobview import job_view
from exporter.blueprints.schemas import FORMAT_NAMES, STATUSES, JobListSchema
from exporter.errors import JobNotCompleted
from exporter.jobs.documents import attempt_document
from exporter.model import Action, Job, Page, User
from exporter.storage.jobs import JobQuery
from exporter.storage.overview import overview

FAILURES_OF = timedelta(days=1)
FILTERS = ("status", "format", "datasource", "search", "page")


@bp.get("/")
def home() -> Response:
    return page("exports.html", **_list(), statuses=STATUSES, formats=FORMAT_NAMES)


@bp.get("/exports/rows/")
def rows() -> Response:
    """Give the list alone, for htmx: again and again while something runs, and mostly as a 304."""
    listed = _list()
    told = json.dumps([listed["views"], listed["figures"], listed["asked"], listed["total"]], default=str)
    etag = hashlib.sha256(told.encode()).hexdigest()[:32]
    if request.if_none_match.contains(etag):
        response = Response(status=304)
    else:
        response = page("rows.html", **listed)
        if request.headers.get("HX-Trigger") != "jobs":  # other filters were chosen, and a reload keeps them
            response.headers["HX-Replace-Url"] = url_for("pages.home", **listed["asked"])
    response.set_etag(etag)
    response.headers["Cache-Control"] = "private, no-cache"
    return response


@bp.get("/exports/<job_id>/")
def show(job_id: str) -> Response:
    job, attempts = services().jobs.detail(job_id, current_user())
    try:
        receipt = services().jobs.receipt(job)
    except JobNotCompleted:
        receipt = None
    view = _view(job)
    told = [attempt_document(attempt) for attempt in attempts]
    return page("export.html", view=view, attempts=told, receipt=receipt)


@bp.post("/exports/<job_id>/cancel/")
@audited(Action.EXPORT_CANCEL)
def cancel(job_id: str) -> Response:
    return _changed(services().jobs.cancel(_asked(job_id)), "Export cancelled.")


@bp.post("/exports/<job_id>/retry/")
@audited(Action.EXPORT_RETRY)
def retry(job_id: str) -> Response:
    return _changed(services().jobs.retry(_asked(job_id)), "The export is queued again.")


@bp.post("/exports/<job_id>/delete/")
@audited(Action.EXPORT_DELETE)
def delete(job_id: str) -> Response:
    services().jobs.delete(_asked(job_id))
    if by_htmx() and job_id not in request.headers.get("HX-Current-URL", "").partition("#")[0]:
        return Response()  # its row leaves the list
    return see(url_for("pages.home"), "Export deleted.")


def _changed(job: Job, notice: str) -> Response:
    if by_htmx():
        return page("row.html", view=_view(job))
    return see(url_for("pages.show", job_id=job.id), notice)


def _list() -> dict[str, Any]:
    """Read the query string leniently: a filter that means nothing is left out, not a fault."""
    user = current_user()
    given = {name: request.args[name].strip() for name in FILTERS if request.args.get(name, "").strip()}
    values, faults = read(JobListSchema, given)
    asked = {name: value for name, value in given.items() if name not in faults}
    values = read(JobListSchema, asked)[0] if faults else values
    query = JobQuery(datasource_id=values.pop("datasource"), **values)
    found = services().jobs.page(query, user)
    owners = services().accounts.usernames({job.owner_id for job in found.items}, asking=user)
    return {
        "views": [_view(job, owners) for job in found.items],
        "figures": _figures(user),
        "asked": asked,
        "total": found.total,
        "found": found,
        "filtered": bool(asked.keys() - {"page"}),
        "datasources": services().datasources.all(user),
        "links": _links(found, asked),
    }


def _links(found: Page[Job], asked: Mapping[str, Any]) -> dict[str, str]:
    """Give the addresses of the neighbouring pages, those that there are."""
    near = {"newer": found.number - 1, "older": found.number + 1}
    return {
        name: url_for("pages.home", **{**asked, "page": number})
        for name, number in near.items()
        if 1 <= number <= found.count
    }


def _figures(user: User) -> Any:
    if not user.is_admin:
        return None
    parts = services()
    return overview(parts.database, failed_since=parts.clock() - FAILURES_OF)


def _view(job: Job, owners: Mapping[str, str] | None = None) -> dict[str, Any]:
    owners = owners or services().accounts.usernames({job.owner_id}, asking=current_user())
    return job_view(
        job,
        now=services().clock(),
        download_url=url_for("exports.download", job_id=job.id),
        owner=owners[job.owner_id],
        own=job.owner_id == current_user().id,
    )


def _asked(job_id: str) -> Job:
    job = services().jobs.get(job_id, current_user())
    current_deed().about(job.id, job.title)
    return job
