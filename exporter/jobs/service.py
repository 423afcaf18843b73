"""What people do with export jobs: submit, look, cancel, retry, download, delete."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, BinaryIO

from exporter.audit import Deed
from exporter.errors import (
    ArtifactExpired,
    ArtifactGone,
    DiskLow,
    JobNotCompleted,
    JobNotFound,
    JobProcessing,
    TransitionRefused,
)
from exporter.failpoints import reach
from exporter.jobs.requests import Checked, JobRequest, RequestChecker
from exporter.model import Attempt, AuditOutcome, Job, JobStatus, NewJob, Page, User
from exporter.storage.intake import IdempotencyKey, Line
from exporter.storage.jobs import JobQuery, JobStore
from exporter.storage.room import QueueLimits
from exporter.storage.staging import Store
from exporter.storage.transitions import JobTransitions
from exporter.templates import TemplateService

log = logging.getLogger(__name__)

KEYS_LIVE = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True)
class ClientKey:
    """An Idempotency-Key and the digest of the request that came with it."""

    key: str
    digest: str


class JobNotices:
    """Whom the service tells that a job came or must stop; the engine fills this in while it runs."""

    def __init__(self) -> None:
        self.queued: Callable[[], None] = _nobody
        self.cancelled: Callable[[str], None] = _nobody


class JobService:
    def __init__(
        self,
        *,
        jobs: JobStore,
        transitions: JobTransitions,
        checker: RequestChecker,
        templates: TemplateService,
        artifacts: Store,
        notices: JobNotices,
        limits: QueueLimits,
        clock: Callable[[], datetime],
    ) -> None:
        self._jobs = jobs
        self._transitions = transitions
        self._checker = checker
        self._templates = templates
        self._artifacts = artifacts
        self._notices = notices
        self._limits = limits
        self._clock = clock

    def submit(
        self,
        request: JobRequest,
        user: User,
        *,
        key: ClientKey | None = None,
        faults: Mapping[str, Any] | None = None,
        job_id: str | None = None,
        schedule_id: str | None = None,
        deed: Deed | None = None,
    ) -> tuple[Job, bool]:
        """Queue a job, or find the one that `key` or `job_id` created before; say which (True: created).

        With a created one the `deed` is noted, in the same transaction.
        `faults` are those of the request's shape that were found already: all faults are raised at once. Raises
        Invalid, TemplateInactive, DiskLow, QueueFull, UserQueueFull or KeyReused, and then leaves no trace.
        """
        now = self._clock()
        kept = None
        if key is not None:
            kept = IdempotencyKey(key=key.key, digest=key.digest, not_before=now - KEYS_LIVE)
            if (earlier := self._jobs.remembered(user.id, kept)) is not None:
                return _found(earlier, deed), False
        checked = self._checker.check(request, user, faults=faults)
        if not self._artifacts.has_room():
            raise DiskLow
        new = _new_job(request, user, checked, schedule_id)
        line = _noting(deed, now) if deed is not None else None
        job, created = self._jobs.insert(
            new, now=now, limits=self._limits, key=kept, job_id=job_id, line=line
        )
        _found(job, deed, noted=created)
        reach("after_submit")
        if created:
            _log(job, f"pending format={job.format}")
        if created and checked.template is not None:
            self._templates.count_use(checked.template)
        self._notices.queued()
        return job, created

    def get(self, job_id: str, user: User) -> Job:
        """Raise JobNotFound, also for somebody else's."""
        job = self._jobs.get(job_id)
        if job is None or not _may_see(job, user):
            raise JobNotFound
        return job

    def detail(self, job_id: str, user: User) -> tuple[Job, tuple[Attempt, ...]]:
        """Give a job with its attempts. Raise JobNotFound, also for somebody else's."""
        found = self._jobs.with_attempts(job_id)
        if found is None or not _may_see(found[0], user):
            raise JobNotFound
        return found

    def page(self, query: JobQuery, user: User) -> Page[Job]:
        """List the user's jobs; an admin's list has everybody's."""
        return self._jobs.page(query if user.is_admin else replace(query, owner_id=user.id))

    def cancel(self, job: Job) -> Job:
        """Raise TransitionRefused."""
        if not self._transitions.cancel(job.id, now=self._clock()):
            raise TransitionRefused(action="cancel", status=self._again(job).status)
        reach("after_cancel")
        _log(job, "cancelled")
        self._notices.cancelled(job.id)
        return self._again(job)

    def retry(self, job: Job) -> Job:
        """Raise TransitionRefused, QueueFull or UserQueueFull."""
        if not self._transitions.retry(job.id, now=self._clock(), limits=self._limits):
            raise TransitionRefused(action="retry", status=self._again(job).status)
        reach("after_retry")
        _log(job, "pending again, by a retry")
        self._notices.queued()
        return self._again(job)

    def delete(self, job: Job) -> None:
        """Delete the job and its file; a download that runs goes on to its end. Raises JobProcessing, JobNotFound."""
        deleted = self._jobs.delete(job.id)
        if deleted is None:
            self._again(job)
            raise JobProcessing
        reach("after_delete")
        _log(job, "deleted")
        if deleted.artifact is not None:
            self._artifacts.delete(deleted.artifact)

    def open_file(self, job: Job) -> BinaryIO:
        """Open the finished file. Raises JobNotCompleted, ArtifactExpired, ArtifactGone or StoreAway."""
        if job.status is not JobStatus.COMPLETED:
            raise JobNotCompleted(status=job.status)
        if job.artifact is None:
            raise self._absence(job)
        try:
            return self._artifacts.open(
                job.artifact, size=job.file_size or 0, sha256=job.checksum or "", tag=job.artifact_tag
            )
        except ArtifactGone as exc:
            now = self._again(job)
            if now.artifact is None:  # swept since `job` was read
                raise self._absence(now) from exc
            warning = {"code": exc.code, "count": 1, "message": exc.message}
            self._jobs.artifact_gone(job.id, job.artifact, warning)
            raise

    def receipt(self, job: Job) -> Mapping[str, Any]:
        """Raise JobNotCompleted."""
        if job.receipt is None:
            raise JobNotCompleted(status=job.status)
        return job.receipt

    def _absence(self, job: Job) -> ArtifactGone:
        """Say why a completed job has no file: the sweep leaves no warning behind, and a hand does."""
        lost = any(warning["code"] == ArtifactGone.code for warning in job.warnings)
        return ArtifactGone() if lost else ArtifactExpired()

    def _again(self, job: Job) -> Job:
        now = self._jobs.get(job.id)
        if now is None:
            raise JobNotFound
        return now


def _log(job: Job, told: str) -> None:
    log.info("job %s %s", job.id, told, extra={"job": job.id, "datasource": job.datasource_name})


def _new_job(request: JobRequest, user: User, checked: Checked, schedule_id: str | None) -> NewJob:
    return NewJob(
        owner_id=user.id,
        name=request.name,
        format=checked.configuration.entry.name,
        datasource_id=checked.datasource.id,
        datasource_name=checked.datasource.name,
        template_id=checked.template.id if checked.template else None,
        template_name=checked.template.name if checked.template else None,
        filters=checked.filters,
        options=checked.configuration.options,
        schedule_id=schedule_id,
    )


def _noting(deed: Deed, now: datetime) -> Line:
    return lambda job: replace(deed, object_id=job.id, object_name=job.title).line(AuditOutcome.DONE, at=now)


def _found(job: Job, deed: Deed | None, *, noted: bool = False) -> Job:
    """Say what the deed was about, and whether its line is written."""
    if deed is not None:
        deed.about(job.id, job.title)
        deed.unnoted = noted
    return job


def _may_see(job: Job, user: User) -> bool:
    return user.is_admin or job.owner_id == user.id


def _nobody(*_: object) -> None:
    """Tell nobody: the server that runs the job finds out from the row."""
