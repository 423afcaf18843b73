"""The app's own tables. Plain SQLAlchemy: knows nothing of Flask. Migrations in `exporter/migrations` follow it."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Text,
    TypeDecorator,
    false,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from exporter.model import JobStatus

SCHEMA_VERSION = "0010"  # the newest migration

Id = String(36)
Counter = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up only an INTEGER key


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time; SQLite keeps no zone, so it is put back on reading."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        del dialect
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Word(TypeDecorator[str]):
    """One of our own words; drivers differ in what they make of a StrEnum, so it goes in as plain text."""

    impl = String(16)
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        del dialect
        return None if value is None else str(value)


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime(), dict[str, Any]: JSON(none_as_null=True), list[Any]: JSON}


class UserRow(Base):
    __tablename__ = "users"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    username: Mapped[str] = mapped_column(String(150), unique=True)
    role: Mapped[str] = mapped_column(Word)
    password_hash: Mapped[str] = mapped_column(Text)
    is_active: Mapped[bool] = mapped_column(default=True)
    session_key: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]


class TokenRow(Base):
    __tablename__ = "tokens"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(150))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class DatasourceRow(Base):
    __tablename__ = "datasources"

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(150), unique=True)
    kind: Mapped[str] = mapped_column(Word)
    url_encrypted: Mapped[str] = mapped_column(Text)
    table: Mapped[str | None] = mapped_column("table_name", Text)
    query: Mapped[str | None] = mapped_column(Text)
    date_column: Mapped[str | None] = mapped_column(Text)
    is_shared: Mapped[bool]
    snapshot_copy: Mapped[bool] = mapped_column(server_default=false())
    warnings: Mapped[list[Any]]
    created_at: Mapped[datetime]


class TemplateRow(Base):
    __tablename__ = "templates"
    __table_args__ = (
        CheckConstraint("template_type IN ('user', 'shared', 'system')", name="template_type"),
        Index("uq_templates_owner_name", "owner_id", "name", unique=True),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    owner_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(150))
    description: Mapped[str] = mapped_column(Text)
    template_type: Mapped[str] = mapped_column(Word)
    format: Mapped[str] = mapped_column(Word)
    configuration: Mapped[dict[str, Any]]
    is_active: Mapped[bool]
    usage_count: Mapped[int]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


HAS_FILE = text("artifact IS NOT NULL")  # few jobs keep their file for long; the sweep asks for no others


class JobRow(Base):
    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint("status IN ({})".format(", ".join(f"'{s.value}'" for s in JobStatus)), name="status"),
        Index("ix_jobs_status_queued_at", "status", "queued_at"),
        Index("ix_jobs_status_owner_id_queued_at", "status", "owner_id", "queued_at", "id"),
        Index("ix_jobs_owner_id_created_at_id", "owner_id", "created_at", "id"),
        Index("ix_jobs_created_at_id", "created_at", "id"),
        Index("ix_jobs_datasource_id_status_format", "datasource_id", "status", "format", "created_at"),
        Index(
            "ix_jobs_with_file", "expires_at", "artifact", sqlite_where=HAS_FILE, postgresql_where=HAS_FILE
        ),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str | None] = mapped_column(String(150))
    status: Mapped[str] = mapped_column(Word)
    phase: Mapped[str] = mapped_column(Word)
    format: Mapped[str] = mapped_column(Word)
    progress: Mapped[int]
    datasource_id: Mapped[str | None] = mapped_column(ForeignKey("datasources.id", ondelete="SET NULL"))
    datasource_name: Mapped[str] = mapped_column(String(150))
    template_id: Mapped[str | None] = mapped_column(
        ForeignKey("templates.id", ondelete="SET NULL"), index=True
    )
    template_name: Mapped[str | None] = mapped_column(String(150))
    schedule_id: Mapped[str | None] = mapped_column(Id)  # what made it; it may be gone
    filters: Mapped[dict[str, Any]]
    options: Mapped[dict[str, Any]]
    rows_total: Mapped[int | None] = mapped_column(BigInteger)
    rows_total_kind: Mapped[str | None] = mapped_column(String(16))
    row_count: Mapped[int | None] = mapped_column(BigInteger)
    file_size: Mapped[int | None] = mapped_column(BigInteger)
    file_name: Mapped[str | None] = mapped_column(Text)
    checksum: Mapped[str | None] = mapped_column(String(64))
    artifact: Mapped[str | None] = mapped_column(Text)
    artifact_tag: Mapped[str | None] = mapped_column(Text)
    warnings: Mapped[list[Any]]
    receipt: Mapped[dict[str, Any] | None]
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_message: Mapped[str | None] = mapped_column(Text)
    attempt: Mapped[int]
    crashes: Mapped[int]  # attempts lost to a dead worker or a passing fault, since submit or retry
    worker: Mapped[str | None] = mapped_column(String(100))
    beat: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime]
    queued_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]
    stopped_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]


class AttemptRow(Base):
    __tablename__ = "attempts"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(String(16))
    error_code: Mapped[str | None] = mapped_column(String(64))
    error_message: Mapped[str | None] = mapped_column(Text)
    row_count: Mapped[int | None] = mapped_column(BigInteger)


class ScheduleRow(Base):
    __tablename__ = "schedules"
    __table_args__ = (
        Index("uq_schedules_owner_name", "owner_id", "name", unique=True),
        Index("ix_schedules_is_active_next_run_at", "is_active", "next_run_at"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(150))
    cron: Mapped[str] = mapped_column(String(150))
    timezone: Mapped[str] = mapped_column(String(64))
    catch_up: Mapped[bool]
    export: Mapped[dict[str, Any]]
    is_active: Mapped[bool]
    next_run_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class ScheduleRunRow(Base):
    __tablename__ = "schedule_runs"

    schedule_id: Mapped[str] = mapped_column(ForeignKey("schedules.id", ondelete="CASCADE"), primary_key=True)
    due_at: Mapped[datetime] = mapped_column(primary_key=True)
    started_at: Mapped[datetime]
    outcome: Mapped[str] = mapped_column(Word)
    job_id: Mapped[str | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"), index=True)
    error: Mapped[str | None] = mapped_column(Text)


class WebhookRow(Base):
    """Narrowed to a schedule, template or datasource it goes with it, so that it never tells more than it was to."""

    __tablename__ = "webhooks"
    __table_args__ = (Index("uq_webhooks_owner_name", "owner_id", "name", unique=True),)

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(150))
    url_encrypted: Mapped[str] = mapped_column(Text)
    secret_encrypted: Mapped[str] = mapped_column(Text)
    events: Mapped[list[Any]]
    schedule_id: Mapped[str | None] = mapped_column(
        ForeignKey("schedules.id", ondelete="CASCADE"), index=True
    )
    template_id: Mapped[str | None] = mapped_column(
        ForeignKey("templates.id", ondelete="CASCADE"), index=True
    )
    datasource_id: Mapped[str | None] = mapped_column(
        ForeignKey("datasources.id", ondelete="CASCADE"), index=True
    )
    is_active: Mapped[bool]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class DeliveryRow(Base):
    """One event for one webhook, written in the transaction that ended the job; `attempt` is the fencing token."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index("ix_webhook_deliveries_status_next_at", "status", "next_at"),
        Index("ix_webhook_deliveries_webhook_id_created_at_id", "webhook_id", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(Id, primary_key=True)
    webhook_id: Mapped[str] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    event: Mapped[str] = mapped_column(String(32))
    job_id: Mapped[str | None] = mapped_column(ForeignKey("jobs.id", ondelete="SET NULL"), index=True)
    body: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Word)
    attempt: Mapped[int]
    tries: Mapped[int]
    next_at: Mapped[datetime | None]  # while it is being sent: when it is taken for lost
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None] = mapped_column(index=True)


class DeliveryAttemptRow(Base):
    __tablename__ = "webhook_attempts"

    delivery_id: Mapped[str] = mapped_column(
        ForeignKey("webhook_deliveries.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True)
    started_at: Mapped[datetime]
    status_code: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(Text)
    milliseconds: Mapped[int | None]


class IdempotencyRow(Base):
    """The first answer to an Idempotency-Key; `digest` is the sha256 of the request's canonical body."""

    __tablename__ = "idempotency_keys"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]


class AuditRow(Base):
    """One deed; rows are added and, once too old, removed, but never changed. It points at nothing: it outlives all."""

    __tablename__ = "audit_log"
    __table_args__ = (
        Index("ix_audit_log_username_id", "username", "id"),
        Index("ix_audit_log_action_id", "action", "id"),
    )

    id: Mapped[int] = mapped_column(Counter, primary_key=True, autoincrement=True)
    at: Mapped[datetime] = mapped_column(index=True)
    user_id: Mapped[str | None] = mapped_column(Id)
    username: Mapped[str | None] = mapped_column(String(150))
    address: Mapped[str] = mapped_column(String(200))
    action: Mapped[str] = mapped_column(String(32))
    outcome: Mapped[str] = mapped_column(Word)
    reason: Mapped[str | None] = mapped_column(String(64))
    object_kind: Mapped[str | None] = mapped_column(Word)
    object_id: Mapped[str | None] = mapped_column(Id)
    object_name: Mapped[str | None] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(String(64))


class LoginFailureRow(Base):
    """How often log-ins failed lately, for one account or one address; `digest` hides which.

    `told` says that the present wait stands in the audit log already.
    """

    __tablename__ = "login_failures"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    failures: Mapped[int]
    last_at: Mapped[datetime] = mapped_column(index=True)
    told: Mapped[bool]
