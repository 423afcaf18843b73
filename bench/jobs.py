"""Runs real jobs to their end, as a server would.

The first argument is the body of `POST exports/` with a `count` of equal jobs beside it. The installation is that of
the environment. Prints the jobs' documents, and the seconds from the first job's start to the last one's end.
"""

import json
import os
import sys
import time
from typing import TYPE_CHECKING

from sqlalchemy import create_engine

from exporter.jobs.documents import job_document
from exporter.jobs.requests import JobRequest
from exporter.model import Job, JobStatus, utc_now
from exporter.settings import load_settings
from exporter.storage.database import engine_options, prepare_engine
from exporter.wiring import Services, build_services

if TYPE_CHECKING:
    from exporter.model import User

LOOK_SECONDS = 0.05  # each look takes time from the job
UNFINISHED = {JobStatus.PENDING, JobStatus.PROCESSING}


def run() -> None:
    request = json.loads(sys.argv[1])
    count = request.pop("count")
    settings = load_settings(os.environ)
    engine = create_engine(settings.database_url, **engine_options(settings.database_url))
    prepare_engine(engine)
    services = build_services(settings, engine, utc_now)
    user = services.accounts.only_admin()
    if user is None:
        raise SystemExit("the bench's instance has no admin")
    ended = _exported(services, user, request, count)
    documents = [job_document(job, owner=user.username, now=utc_now(), download_url=None) for job in ended]
    print(
        json.dumps({"jobs": documents, "seconds": _span(ended), "artifacts": [job.artifact for job in ended]})
    )


def _exported(services: Services, user: "User", request: dict[str, object], count: int) -> list[Job]:
    asked = JobRequest(**request)  # type: ignore[arg-type]
    jobs = [services.jobs.submit(asked, user)[0] for _ in range(count)]
    services.engine.start(only=frozenset(job.id for job in jobs))
    try:
        while any(services.jobs.get(job.id, user).status in UNFINISHED for job in jobs):
            time.sleep(LOOK_SECONDS)
        return [services.jobs.get(job.id, user) for job in jobs]
    finally:
        services.engine.stop(grace=0)


def _span(jobs: list[Job]) -> float:
    started = [job.started_at for job in jobs if job.started_at is not None]
    ended = [job.completed_at for job in jobs if job.completed_at is not None]
    return (max(ended) - min(started)).total_seconds() if started and ended else 0.0
