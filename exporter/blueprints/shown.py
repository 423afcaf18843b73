"""A job as the answers of the API hold it."""

from collections.abc import Iterable, Mapping
from typing import Any

from flask import url_for

from exporter.blueprints.context import current_user, services
from exporter.jobs.documents import job_document
from exporter.model import Job


def shown(job: Job, owners: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Give one job; of several, `owners` saves looking each one up."""
    names = owners if owners is not None else owners_of([job])
    return job_document(
        job,
        owner=names[job.owner_id],
        now=services().clock(),
        download_url=url_for("exports.download", job_id=job.id),
    )


def owners_of(jobs: Iterable[Job]) -> Mapping[str, str]:
    """Give the usernames of the jobs' owners by their ids."""
    return services().accounts.usernames({job.owner_id for job in jobs}, asking=current_user())
