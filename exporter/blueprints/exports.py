"""Export jobs."""

import hashlib
import json
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, request, url_for

from exporter.blueprints import answers, examples
from exporter.blueprints.audited import audited, current_deed
from exporter.blueprints.body import json_object, load, query_arguments, read
from exporter.blueprints.context import answer, current_user, services
from exporter.blueprints.described import describes
from exporter.blueprints.download import Attachment, media_types
from exporter.blueprints.handover import hand_over
from exporter.blueprints.paging import pagination
from exporter.blueprints.schemas import ExportRequestSchema, JobListSchema
from exporter.blueprints.shown import owners_of, shown
from exporter.errors import (
    ArtifactExpired,
    ArtifactGone,
    DiskLow,
    Invalid,
    JobNotCompleted,
    JobNotFound,
    JobProcessing,
    KeyReused,
    PreviewTooSlow,
    QueueFull,
    Stopping,
    StoreAway,
    TemplateInactive,
    TransitionRefused,
    UserQueueFull,
)
from exporter.failures import SourceUnavailable
from exporter.formats import registry
from exporter.jobs.documents import attempt_document
from exporter.jobs.requests import JobRequest
from exporter.jobs.service import ClientKey
from exporter.model import Action, Job, JobStatus
from exporter.storage.jobs import JobQuery

bp = Blueprint("exports", __name__)

MAX_KEY_CHARACTERS = 255
RETRY_AFTER_SECONDS = 5
POLL_AFTER_SECONDS = 1  # how long a client may well wait before it looks again


@bp.post("/")
@audited(Action.EXPORT_CREATE)
@describes(
    "Create an export job",
    details="Every name is checked against the real columns first, so that a wrong one is a 400 and no failed job.",
    body=ExportRequestSchema,
    answer=answers.Job,
    statuses=(200, 201),
    takes=("Idempotency-Key",),
    gives=("Location",),
    refuses=(TemplateInactive, KeyReused, UserQueueFull, QueueFull, Stopping, StoreAway, DiskLow),
    request_example=examples.EXPORT_REQUEST,
    answer_example=examples.JOB_CREATED,
)
def create() -> Response:
    user = current_user()
    if services().engine.stopping:
        raise Stopping(retry_after=RETRY_AFTER_SECONDS)
    body = json_object()
    values, faults = read(ExportRequestSchema, body)
    job, created = services().jobs.submit(
        JobRequest(**values), user, key=_client_key(body), faults=faults, deed=current_deed()
    )
    return answer(
        "Export job created successfully",
        shown(job),
        status=201 if created else 200,
        location=url_for(".show", job_id=job.id),
    )


@bp.post("/estimate/")
@describes(
    "Estimate an export",
    details="Creates nothing.",
    body=ExportRequestSchema,
    answer=answers.Estimate,
    refuses=(TemplateInactive, SourceUnavailable, PreviewTooSlow),
    request_example=examples.EXPORT_REQUEST,
)
def estimate() -> Response:
    user = current_user()
    values, faults = read(ExportRequestSchema, json_object())
    checked = services().checker.check(JobRequest(**values), user, faults=faults)
    expected = services().previews.estimate(checked.datasource, checked.configuration)
    return answer("Export estimated successfully", asdict(expected))


@bp.get("/")
@describes(
    "List export jobs",
    details="Your own; an admin sees everybody's.",
    query=JobListSchema,
    answer=answers.Jobs,
    answer_example=examples.JOB_LIST,
)
def index() -> Response:
    asked = load(JobListSchema, query_arguments())
    page = services().jobs.page(JobQuery(datasource_id=asked.pop("datasource"), **asked), current_user())
    owners = owners_of(page.items)
    return answer(
        "Export jobs retrieved successfully",
        {"export_jobs": [shown(job, owners) for job in page.items], "pagination": pagination(page)},
    )


@bp.get("/<job_id>/")
@describes(
    "Show an export job",
    details="While it waits or runs, `Retry-After` says when to look again.",
    answer=answers.JobDetail,
    gives=("Retry-After",),
    conditional=True,
    refuses=(JobNotFound,),
    answer_example=examples.JOB_SHOWN,
)
def show(job_id: str) -> Response:
    job, attempts = services().jobs.detail(job_id, current_user())
    told = {**shown(job), "attempts": [attempt_document(attempt) for attempt in attempts]}
    response = answer("Export job retrieved successfully", told)
    if job.status in {JobStatus.PENDING, JobStatus.PROCESSING}:
        response.headers["Retry-After"] = str(POLL_AFTER_SECONDS)
    response.headers["Cache-Control"] = "private, no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response


@bp.post("/<job_id>/cancel/")
@audited(Action.EXPORT_CANCEL)
@describes(
    "Cancel a pending or processing job",
    answer=answers.Job,
    refuses=(JobNotFound, TransitionRefused),
    answer_example=examples.JOB_CANCELLED,
)
def cancel(job_id: str) -> Response:
    return answer("Export job cancelled successfully", shown(services().jobs.cancel(_asked(job_id))))


@bp.post("/<job_id>/retry/")
@audited(Action.EXPORT_RETRY)
@describes(
    "Retry a failed or cancelled job",
    answer=answers.Job,
    refuses=(JobNotFound, TransitionRefused),
)
def retry(job_id: str) -> Response:
    return answer("Export job retried successfully", shown(services().jobs.retry(_asked(job_id))))


@bp.get("/<job_id>/download/")
@audited(Action.EXPORT_DOWNLOAD)
@describes(
    "Download the file",
    details="The `ETag` is the file's sha256.",
    media=media_types,
    gives=("Content-Disposition", "Accept-Ranges"),
    conditional=True,
    ranged=True,
    sent_on="The file is at `Location` for a few minutes, where the server's `DOWNLOADS` is `presigned`",
    refuses=(JobNotFound, JobNotCompleted, ArtifactExpired, ArtifactGone, StoreAway),
)
def download(job_id: str) -> Response:
    job = _asked(job_id)
    file = services().jobs.open_file(job)
    content_type = registry.FORMATS[job.format].content_type(job.options)
    what = Attachment(
        size=job.file_size or 0,
        etag=job.checksum or "",
        name=job.file_name or job.id,
        content_type=content_type,
    )
    return hand_over(file, job, what)


@bp.get("/<job_id>/receipt/")
@describes("Show the receipt", answer=answers.Receipt, refuses=(JobNotFound, JobNotCompleted))
def receipt(job_id: str) -> Response:
    return answer("Export receipt retrieved successfully", dict(services().jobs.receipt(_asked(job_id))))


@bp.delete("/<job_id>/")
@audited(Action.EXPORT_DELETE)
@describes("Delete a job and its file", refuses=(JobNotFound, JobProcessing))
def delete(job_id: str) -> Response:
    services().jobs.delete(_asked(job_id))
    return answer("Export job deleted successfully")


def _asked(job_id: str) -> Job:
    job = services().jobs.get(job_id, current_user())
    current_deed().about(job.id, job.title)
    return job


def _client_key(body: dict[str, Any]) -> ClientKey | None:
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not (1 <= len(key) <= MAX_KEY_CHARACTERS and key.isprintable()):
        raise Invalid({"Idempotency-Key": f"Must be 1 to {MAX_KEY_CHARACTERS} printable characters"})
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return ClientKey(key=key, digest=hashlib.sha256(canonical.encode()).hexdigest())
