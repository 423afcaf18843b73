"""What people do with export jobs: submit, look, cancel, retry, download, delete."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, BinaryIO

from exporter.configuration import Configuration, RawConfiguration, merge, parse_configuration
from exporter.datasources import DatasourceService, relation_of
from exporter.errors import (
    ArtifactExpired,
    ArtifactGone,
    DatasourceNotFound,
    DiskLow,
    ExportFailed,
    Invalid,
    JobNotCompleted,
    JobNotFound,
    JobProcessing,
    TemplateNotFound,
    TransitionRefused,
)
from exporter.model import Attempt, Datasource, Job, JobStatus, NewJob, Page, Template, User
from exporter.query import check
from exporter.storage.artifacts import LocalStore
from exporter.storage.jobs import IdempotencyKey, JobQuery, JobStore, QueueLimits
from exporter.storage.transitions import JobTransitions
from exporter.templates import TemplateService, raw_configuration

KEYS_LIVE = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True)
class JobRequest:
    """A request for an export, its shape checked; names and values are checked by `submit`."""

    datasource: str | None = None
    format: str | None = None
    filters: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    template: str | None = None
    name: str | None = None

    @property
    def raw(self) -> RawConfiguration:
        return RawConfiguration(format=self.format, filters=self.filters, options=self.options)


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A request whose every name and value is known to be good."""

    datasource: Datasource
    configuration: Configuration
    filters: Mapping[str, Any]
    template: Template | None


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
        datasources: DatasourceService,
        templates: TemplateService,
        artifacts: LocalStore,
        notices: JobNotices,
        limits: QueueLimits,
        option_defaults: Mapping[str, Any],
        clock: Callable[[], datetime],
    ) -> None:
        self._jobs = jobs
        self._transitions = transitions
        self._datasources = datasources
        self._templates = templates
        self._artifacts = artifacts
        self._notices = notices
        self._limits = limits
        self._option_defaults = option_defaults
        self._clock = clock

    def submit(
        self,
        request: JobRequest,
        user: User,
        *,
        key: ClientKey | None = None,
        faults: Mapping[str, Any] | None = None,
    ) -> tuple[Job, bool]:
        """Queue a job, or find the one that `key` created before; say which (True: created).

        `faults` are those of the request's shape that were found already: all faults are raised at once. Raises
        Invalid, TemplateInactive, DiskLow, QueueFull, UserQueueFull or KeyReused, and then leaves no trace.
        """
        checked = self.check(request, user, faults=faults)
        if not self._artifacts.has_room():
            raise DiskLow
        now = self._clock()
        kept = None
        if key is not None:
            kept = IdempotencyKey(key=key.key, digest=key.digest, not_before=now - KEYS_LIVE)
        new = _new_job(request, user, checked)
        job, created = self._jobs.insert(new, now=now, limits=self._limits, key=kept)
        if created and checked.template is not None:
            self._templates.count_use(checked.template)
        self._notices.queued()
        return job, created

    def check(self, request: JobRequest, user: User, *, faults: Mapping[str, Any] | None = None) -> Checked:
        """Lay the request over its template and check everything. Raises Invalid, TemplateInactive."""
        found = dict(faults or {})
        template = self._template(request, user, found)
        raw = merge(raw_configuration(template.configuration), request.raw) if template else request.raw
        datasource = self._datasource(request, user, found)
        configuration = self._configuration(raw, found)
        if datasource is not None and configuration is not None:
            self._check_names(datasource, configuration, found)
        if found or datasource is None or configuration is None:
            raise Invalid(found)
        return Checked(
            datasource=datasource, configuration=configuration, filters=raw.filters, template=template
        )

    def get(self, job_id: str, user: User) -> Job:
        """Raise JobNotFound, also for somebody else's."""
        job = self._jobs.get(job_id)
        if job is None or not (user.is_admin or job.owner_id == user.id):
            raise JobNotFound
        return job

    def attempts(self, job: Job) -> tuple[Attempt, ...]:
        return self._jobs.attempts(job.id)

    def queue_position(self, job: Job) -> int | None:
        return self._jobs.queue_position(job)

    def page(self, query: JobQuery, user: User) -> Page[Job]:
        """List the user's jobs; an admin's list has everybody's."""
        return self._jobs.page(query if user.is_admin else replace(query, owner_id=user.id))

    def cancel(self, job: Job) -> Job:
        """Raise TransitionRefused."""
        if not self._transitions.cancel(job.id, now=self._clock()):
            raise TransitionRefused(action="cancel", status=self._again(job).status)
        self._notices.cancelled(job.id)
        return self._again(job)

    def retry(self, job: Job) -> Job:
        """Raise TransitionRefused."""
        if not self._transitions.retry(job.id, now=self._clock()):
            raise TransitionRefused(action="retry", status=self._again(job).status)
        self._notices.queued()
        return self._again(job)

    def delete(self, job: Job) -> None:
        """Delete the job and its file; a download that runs goes on to its end. Raises JobProcessing, JobNotFound."""
        deleted = self._jobs.delete(job.id)
        if deleted is None:
            self._again(job)
            raise JobProcessing
        if deleted.artifact is not None:
            self._artifacts.delete(deleted.artifact)

    def open_file(self, job: Job) -> BinaryIO:
        """Open the finished file. Raises JobNotCompleted, ArtifactExpired or ArtifactGone."""
        if job.status is not JobStatus.COMPLETED:
            raise JobNotCompleted(status=job.status)
        if job.artifact is None:
            expired = job.expires_at is not None and job.expires_at <= self._clock()
            raise ArtifactExpired if expired else ArtifactGone
        return self._artifacts.open(job.artifact, size=job.file_size or 0)

    def receipt(self, job: Job) -> Mapping[str, Any]:
        """Raise JobNotCompleted."""
        if job.receipt is None:
            raise JobNotCompleted(status=job.status)
        return job.receipt

    def _again(self, job: Job) -> Job:
        now = self._jobs.get(job.id)
        if now is None:
            raise JobNotFound
        return now

    def _template(self, request: JobRequest, user: User, faults: dict[str, Any]) -> Template | None:
        if request.template is None or "template" in faults:
            return None
        try:
            return self._templates.usable(request.template, user)
        except TemplateNotFound as exc:
            faults["template"] = exc.message
            return None

    def _datasource(self, request: JobRequest, user: User, faults: dict[str, Any]) -> Datasource | None:
        if request.datasource is None or "datasource" in faults:
            faults.setdefault("datasource", "Required: the id of a datasource")
            return None
        try:
            return self._datasources.get(request.datasource, user)
        except DatasourceNotFound as exc:
            faults["datasource"] = exc.message
            return None

    def _configuration(self, raw: RawConfiguration, faults: dict[str, Any]) -> Configuration | None:
        try:
            return parse_configuration(raw, defaults=self._option_defaults)
        except Invalid as exc:
            for name, fault in exc.errors.items():
                if not (
                    name == "format" and raw.format is None and "template" in faults
                ):  # the template has it
                    faults.setdefault(name, fault)
            return None

    def _check_names(
        self, datasource: Datasource, configuration: Configuration, faults: dict[str, Any]
    ) -> None:
        """Hold every name against the real columns, so that a wrong one is never a failed job."""
        try:
            with self._datasources.open(datasource) as source:
                relation = relation_of(source, datasource, configuration.spec.table)
                check(
                    configuration.spec,
                    relation,
                    dialect=source.dialect,
                    date_column=datasource.date_column,
                )
        except Invalid as exc:
            faults["filters"] = exc.errors
        except ExportFailed as exc:
            faults["datasource"] = exc.message


def _new_job(request: JobRequest, user: User, checked: Checked) -> NewJob:
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
    )


def _nobody(*_: object) -> None:
    """Tell nobody: the server that runs the job finds out from the row."""
