"""Builds the services of one installation from its settings and its database engine. Nothing is global."""

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import Engine as DatabaseEngine

from exporter.accounts import AccountService, LoginThrottle
from exporter.audit import AuditService
from exporter.datasources import DatasourceService
from exporter.figures import Figures
from exporter.jobs.dispatcher import Dispatcher
from exporter.jobs.engine import Engine, InstanceLock, NoLock, Parts
from exporter.jobs.executors import ThreadExecutor
from exporter.jobs.journal import Journal
from exporter.jobs.lease import Pulse, Reaper
from exporter.jobs.requests import RequestChecker
from exporter.jobs.retention import Sweeper
from exporter.jobs.runner import Runner, RunnerRules
from exporter.jobs.service import JobNotices, JobService
from exporter.preview import PreviewService
from exporter.schedules.scheduler import Scheduler
from exporter.schedules.service import ScheduleService
from exporter.settings import Settings
from exporter.sources.registry import SourceLimits
from exporter.storage.artifacts import LocalStore
from exporter.storage.audit import AuditStore
from exporter.storage.bucket import Bucket
from exporter.storage.database import Database
from exporter.storage.datasources import DatasourceStore
from exporter.storage.deliveries import DeliveryStore
from exporter.storage.jobs import JobStore
from exporter.storage.logins import LoginFailureStore
from exporter.storage.objects import S3Store
from exporter.storage.presigning import Presigner
from exporter.storage.room import QueueLimits
from exporter.storage.schedules import ScheduleStore
from exporter.storage.secrets import Vault, setup_code
from exporter.storage.staging import Store, StoreLimits
from exporter.storage.templates import TemplateStore
from exporter.storage.transitions import JobTransitions
from exporter.storage.users import TokenStore, UserStore
from exporter.storage.webhooks import WebhookStore
from exporter.templates import TemplateService
from exporter.webhooks.addresses import HostRules
from exporter.webhooks.sender import Sender
from exporter.webhooks.service import WebhookService

CONNECT_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything a view or a command may ask."""

    settings: Settings
    database: Database
    accounts: AccountService
    audit: AuditService
    datasources: DatasourceService
    templates: TemplateService
    jobs: JobService
    checker: RequestChecker
    previews: PreviewService
    schedules: ScheduleService
    scheduler: Scheduler
    webhooks: WebhookService
    sender: Sender
    artifacts: Store
    signer: Presigner | None
    sweeper: Sweeper
    engine: Engine
    figures: Figures
    clock: Callable[[], datetime]


@dataclass(frozen=True, kw_only=True)
class _Stores:
    database: Database
    jobs: JobStore
    transitions: JobTransitions
    artifacts: Store


def build_services(
    settings: Settings, database_engine: DatabaseEngine, clock: Callable[[], datetime]
) -> Services:
    database = Database(database_engine)
    stores = _stores(settings, database)
    users = UserStore(database)
    datasources = _datasources(settings, stores, clock)
    templates = TemplateService(TemplateStore(database), clock)
    checker = RequestChecker(datasources, templates, {"escape_formulas": settings.escape_formulas})
    notices = JobNotices()
    audit = AuditService(AuditStore(database), clock, keep=_days(settings.audit_days))
    jobs = JobService(
        jobs=stores.jobs,
        transitions=stores.transitions,
        checker=checker,
        templates=templates,
        artifacts=stores.artifacts,
        notices=notices,
        limits=QueueLimits(server=settings.max_pending, user=settings.max_pending_per_user),
        clock=clock,
    )
    schedules = ScheduleStore(database)
    scheduler = Scheduler(schedules, jobs, users.get, clock)
    figures = Figures()
    schedule_service = ScheduleService(schedules, checker, clock)
    webhooks, sender = _webhooks(settings, database, schedule_service, templates, datasources, clock)
    sweeper = Sweeper(stores.jobs, stores.artifacts, (audit.forget_old, webhooks.forget_old), clock)
    parts = _parts(
        settings,
        stores,
        datasources=datasources,
        notices=notices,
        sweeper=sweeper,
        scheduler=scheduler,
        figures=figures,
        sender=sender,
        clock=clock,
    )
    return Services(
        settings=settings,
        database=database,
        accounts=_accounts(settings, database, users, clock),
        audit=audit,
        datasources=datasources,
        templates=templates,
        jobs=jobs,
        checker=checker,
        previews=PreviewService(datasources, stores.jobs, max_rows=settings.max_rows),
        schedules=schedule_service,
        scheduler=scheduler,
        webhooks=webhooks,
        sender=sender,
        artifacts=stores.artifacts,
        signer=Presigner(settings.bucket) if settings.bucket is not None else None,
        sweeper=sweeper,
        engine=Engine(parts),
        figures=figures,
        clock=clock,
    )


def _stores(settings: Settings, database: Database) -> _Stores:
    limits = StoreLimits(min_free=settings.min_free_bytes, max_file=settings.max_file_bytes)
    jobs = JobStore(database)
    return _Stores(
        database=database,
        jobs=jobs,
        transitions=JobTransitions(database),
        artifacts=_artifacts(settings, limits, jobs),
    )


def _artifacts(settings: Settings, limits: StoreLimits, jobs: JobStore) -> Store:
    if settings.bucket is not None:
        return S3Store(Bucket(settings.bucket), settings.storage_path, limits)
    return LocalStore(settings.storage_path, limits, kept=lambda: bool(jobs.artifacts()))


def _datasources(settings: Settings, stores: _Stores, clock: Callable[[], datetime]) -> DatasourceService:
    rows = DatasourceStore(stores.database, _vault(settings))
    return DatasourceService(rows, stores.jobs, _source_limits(settings), clock)


def _vault(settings: Settings) -> Vault:
    return Vault(settings.secret_key, settings.previous_secret_key)


def _webhooks(
    settings: Settings,
    database: Database,
    schedules: ScheduleService,
    templates: TemplateService,
    datasources: DatasourceService,
    clock: Callable[[], datetime],
) -> tuple[WebhookService, Sender]:
    store, deliveries = WebhookStore(database, _vault(settings)), DeliveryStore(database)
    rules = HostRules(settings.webhook_hosts)
    sender = Sender(deliveries, store, rules, clock)
    service = WebhookService(
        store=store,
        deliveries=deliveries,
        sender=sender,
        rules=rules,
        schedules=schedules,
        templates=templates,
        datasources=datasources,
        clock=clock,
        keep=_days(settings.webhook_days),
    )
    return service, sender


def _accounts(
    settings: Settings, database: Database, users: UserStore, clock: Callable[[], datetime]
) -> AccountService:
    throttle = LoginThrottle(LoginFailureStore(database), clock)
    code = setup_code(settings.secret_key)
    return AccountService(users, TokenStore(database), throttle, clock, setup_code=code)


def _parts(
    settings: Settings,
    stores: _Stores,
    *,
    datasources: DatasourceService,
    notices: JobNotices,
    sweeper: Sweeper,
    scheduler: Scheduler,
    figures: Figures,
    sender: Sender,
    clock: Callable[[], datetime],
) -> Parts:
    pulse = Pulse(stores.transitions, lease_seconds=settings.lease_seconds)
    runner = Runner(
        jobs=stores.jobs,
        transitions=stores.transitions,
        datasources=datasources,
        artifacts=stores.artifacts,
        pulse=pulse,
        journal=Journal(figures),
        worker=f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}",
        rules=RunnerRules(
            max_rows=settings.max_rows,
            keep=_days(settings.retention_days),
            lease_seconds=settings.lease_seconds,
            max_attempts=settings.max_attempts,
        ),
        clock=clock,
    )
    reaper = Reaper(
        stores.jobs,
        stores.transitions,
        lease_seconds=settings.lease_seconds,
        max_attempts=settings.max_attempts,
        ours=pulse.attempts,
        monotonic=time.monotonic,
    )
    return Parts(
        pulse=pulse,
        reaper=reaper,
        sweeper=sweeper,
        notices=notices,
        lock=InstanceLock(settings.instance_path) if settings.embedded else NoLock(),
        alone=settings.embedded,
        make_executor=lambda freed: ThreadExecutor(runner.run, settings.workers, freed),
        make_dispatcher=lambda executor, only: Dispatcher(stores.jobs, executor, only=only),
        clock=clock,
        tick=scheduler.tick,
        post=sender,
    )


def _days(number: int) -> timedelta | None:
    """Read a setting whose 0 means for good."""
    return timedelta(days=number) if number else None


def _source_limits(settings: Settings) -> SourceLimits:
    own = settings.database_file
    return SourceLimits(
        instance=settings.instance_path,
        sqlite_roots=settings.sqlite_roots,
        forbidden_files=frozenset({own} if own is not None else ()),
        postgres_hosts=settings.postgres_hosts,
        statement_timeout=float(settings.statement_timeout),
        parallel_reads=settings.parallel_reads,
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
    )
