"""The values that everybody speaks of, frozen. Times are aware and UTC; ids are UUIDs as text."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class JobStatus(StrEnum):
    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


# The only transitions there are. PROCESSING -> PENDING is a worker's death or a graceful stop.
TRANSITIONS: Mapping[JobStatus, frozenset[JobStatus]] = MappingProxyType(
    {
        JobStatus.PENDING: frozenset({JobStatus.PROCESSING, JobStatus.CANCELLED}),
        JobStatus.PROCESSING: frozenset(
            {JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.PENDING}
        ),
        JobStatus.COMPLETED: frozenset(),
        JobStatus.FAILED: frozenset({JobStatus.PENDING}),
        JobStatus.CANCELLED: frozenset({JobStatus.PENDING}),
    }
)


class Phase(StrEnum):
    QUEUED = "queued"
    READING = "reading"
    PUBLISHING = "publishing"
    DONE = "done"


class Role(StrEnum):
    ADMIN = "admin"
    MEMBER = "member"


class TemplateType(StrEnum):
    USER = "user"
    SHARED = "shared"
    SYSTEM = "system"


@dataclass(frozen=True, kw_only=True)
class User:
    """Somebody who may sign in. `session_key` changes when all of the user's sessions must end."""

    id: str
    username: str
    role: Role
    is_active: bool
    session_key: str = field(repr=False)
    created_at: datetime

    @property
    def is_admin(self) -> bool:
        return self.role is Role.ADMIN


@dataclass(frozen=True, kw_only=True)
class Token:
    id: str
    user_id: str
    username: str
    name: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Datasource:
    """A registered database, perhaps pinned to one table or one saved SELECT. `url` holds a password."""

    id: str
    name: str
    kind: str
    url: str = field(repr=False)
    table: str | None
    query: str | None
    date_column: str | None
    is_shared: bool
    snapshot_copy: bool  # exports read a copy of the file, so that its writers do not wait for them
    warnings: tuple[str, ...]
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Template:
    """A named configuration. `owner_id` is None for one that ships with the server."""

    id: str
    owner_id: str | None
    owner: str | None
    name: str
    description: str
    template_type: TemplateType
    configuration: Mapping[str, Any]
    is_active: bool
    usage_count: int
    created_at: datetime
    updated_at: datetime


class RunOutcome(StrEnum):
    SUBMITTED = "submitted"  # a job was made
    MISSED = "missed"  # the server did not run, and the schedule does not catch up
    REFUSED = "refused"  # the request no longer fits, or may no longer be made


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """An export to be made again and again. `export` is the request; `next_run_at` is None where none will come."""

    id: str
    owner_id: str
    owner: str
    name: str
    cron: str
    timezone: str
    catch_up: bool
    export: Mapping[str, Any]
    is_active: bool
    next_run_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, kw_only=True)
class ScheduleRun:
    """One time a schedule was due at, and what came of it; `job_status` is filled in on reading."""

    schedule_id: str
    due_at: datetime
    started_at: datetime
    outcome: str
    job_id: str | None
    error: str | None
    job_status: str | None = None


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One run of a job; `outcome` is None while it runs, else a status word, `worker_lost` or `released`."""

    number: int
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    error_code: str | None
    error_message: str | None
    row_count: int | None


@dataclass(frozen=True, kw_only=True)
class Job:
    """One export job as its row tells it. `options` are complete; `artifact` is the store's key of the file.

    `artifact_tag` is what the store called the file when it arrived, where the store has such names. `queue_position`
    counts the jobs that waited when the row was read, up to this one and itself included; None unless it is pending.
    """

    id: str
    owner_id: str
    name: str | None
    status: JobStatus
    phase: Phase
    format: str
    progress: int
    datasource_id: str | None
    datasource_name: str
    template_id: str | None
    template_name: str | None
    filters: Mapping[str, Any]
    options: Mapping[str, Any]
    rows_total: int | None
    rows_total_kind: str | None
    row_count: int | None
    file_size: int | None
    file_name: str | None
    checksum: str | None
    artifact: str | None
    artifact_tag: str | None
    warnings: tuple[Mapping[str, Any], ...]
    receipt: Mapping[str, Any] | None
    error_code: str | None
    error_message: str | None
    attempt: int
    created_at: datetime
    queued_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    stopped_at: datetime | None
    expires_at: datetime | None
    queue_position: int | None = None

    @property
    def title(self) -> str:
        return self.name or self.datasource_name


@dataclass(frozen=True, kw_only=True)
class NewJob:
    """A checked request, ready to become a row in `pending`; `schedule_id` names what asked in its owner's stead."""

    owner_id: str
    name: str | None
    format: str
    datasource_id: str
    datasource_name: str
    template_id: str | None
    template_name: str | None
    filters: Mapping[str, Any]
    options: Mapping[str, Any]
    schedule_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a finished attempt publishes with its file."""

    artifact: str
    artifact_tag: str | None = None
    file_name: str
    file_size: int
    checksum: str
    row_count: int
    warnings: tuple[Mapping[str, Any], ...]
    receipt: Mapping[str, Any]
    expires_at: datetime | None


class Action(StrEnum):
    """What the audit log speaks of: the kind of thing, and what was done to it."""

    LOG_IN = "user.log_in"
    LOG_OUT = "user.log_out"
    USER_CREATE = "user.create"
    USER_PASSWORD = "user.password"  # noqa: S105 - that it was changed
    USER_ROLE = "user.role"
    USER_DISABLE = "user.disable"
    USER_ENABLE = "user.enable"
    TOKEN_CREATE = "token.create"  # noqa: S105 - the same
    TOKEN_REVOKE = "token.revoke"  # noqa: S105 - the same
    DATASOURCE_CREATE = "datasource.create"
    DATASOURCE_UPDATE = "datasource.update"
    DATASOURCE_DELETE = "datasource.delete"
    DATASOURCE_PREVIEW = "datasource.preview"
    EXPORT_CREATE = "export.create"
    EXPORT_CANCEL = "export.cancel"
    EXPORT_RETRY = "export.retry"
    EXPORT_DELETE = "export.delete"
    EXPORT_DOWNLOAD = "export.download"
    TEMPLATE_CREATE = "template.create"
    TEMPLATE_UPDATE = "template.update"
    TEMPLATE_DELETE = "template.delete"
    SCHEDULE_CREATE = "schedule.create"
    SCHEDULE_UPDATE = "schedule.update"
    SCHEDULE_DELETE = "schedule.delete"
    SCHEDULE_RUN = "schedule.run"
    WEBHOOK_CREATE = "webhook.create"
    WEBHOOK_UPDATE = "webhook.update"
    WEBHOOK_DELETE = "webhook.delete"
    WEBHOOK_TEST = "webhook.test"
    WEBHOOK_REDELIVER = "webhook.redeliver"

    @property
    def kind(self) -> str:
        return self.value.partition(".")[0]


class AuditOutcome(StrEnum):
    DONE = "done"
    REFUSED = "refused"  # an answer that says why
    FAILED = "failed"  # a fault of ours


@dataclass(frozen=True, kw_only=True)
class Actor:
    """Who acts, and from where: a network address, or `cli:ACCOUNT` of the machine's own command line."""

    user: User | None
    address: str
    request_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """One deed as the log keeps it. `reason` is the code of the error that refused it; `id` counts up."""

    id: int
    at: datetime
    user_id: str | None
    username: str | None
    address: str
    action: Action
    outcome: AuditOutcome
    reason: str | None
    object_kind: str | None
    object_id: str | None
    object_name: str | None
    request_id: str | None


@dataclass(frozen=True, kw_only=True)
class Page(Generic[T]):
    """One page of a list; `number` counts from 1."""

    items: tuple[T, ...]
    number: int
    size: int
    total: int

    @property
    def count(self) -> int:
        return max(1, -(-self.total // self.size))


def utc_now() -> datetime:
    return datetime.now(UTC)


def instant(moment: datetime | None) -> str | None:
    """Spell a time as the API does: UTC, ISO 8601, whole seconds, `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment is not None else None
