"""Builds the services of one installation from its settings and its database engine. Nothing is global."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine as DatabaseEngine

from exporter.accounts import AccountService, LoginThrottle
from exporter.audit import AuditService
from exporter.datasources import DatasourceService
from exporter.figures import Figures
from exporter.jobs.dispatcher import Dispatcher
from exporter.jobs.engine import Engine, InstanceLock, NoLock, Parts, Post
from exporter.jobs.examination import Examiner
from exporter.jobs.executors.base import Executor
from exporter.jobs.executors.cluster import Cluster
from exporter.jobs.executors.threads import ThreadExecutor
from exporter.jobs.lease import Reaper
from exporter.jobs.requests import RequestChecker
from exporter.jobs.retention import Sweeper
from exporter.jobs.service import JobNotices, JobService
from exporter.jobs.workplace import Workplace, days, furnish, vault
from exporter.preview import PreviewService
from exporter.schedules.scheduler import Scheduler
from exporter.schedules.service import ScheduleService
from exporter.settings import Settings
from exporter.storage.audit import AuditStore
from exporter.storage.database import Database
from exporter.storage.deliveries import DeliveryStore
from exporter.storage.logins import LoginFailureStore
from exporter.storage.presigning import Presigner
from exporter.storage.room import QueueLimits
from exporter.storage.schedules import ScheduleStore
from exporter.storage.secrets import setup_code
from exporter.storage.staging import Store
from exporter.storage.templates import TemplateStore
from exporter.storage.users import TokenStore, UserStore
from exporter.storage.webhooks import WebhookStore
from exporter.templates import TemplateService
from exporter.webhooks.addresses import HostRules
from exporter.webhooks.sender import Sender
from exporter.webhooks.service import WebhookService


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
    cluster: Cluster | None  # None where exports run in this process
    figures: Figures
    clock: Callable[[], datetime]


def build_services(
    settings: Settings, database_engine: DatabaseEngine, clock: Callable[[], datetime]
) -> Services:
    database, figures = Database(database_engine), Figures()
    place = furnish(settings, database, figures, clock)
    users, schedules = UserStore(database), ScheduleStore(database)
    audit = AuditService(AuditStore(database), clock, keep=days(settings.audit_days))
    templates = TemplateService(TemplateStore(database), clock)
    checker = RequestChecker(place.datasources, templates, {"escape_formulas": settings.escape_formulas})
    notices = JobNotices()
    jobs = _jobs(settings, place, checker, templates, notices, clock=clock)
    scheduler = Scheduler(schedules, jobs, users.get, clock)
    schedule_service = ScheduleService(schedules, checker, clock)
    webhooks, sender = _webhooks(settings, place, schedule_service, templates, clock)
    sweeper = Sweeper(place.jobs, place.artifacts, (audit.forget_old, webhooks.forget_old), clock)
    cluster = _cluster(settings, place)
    engine = _engine(
        settings,
        place,
        cluster,
        notices,
        sweeper,
        figures=figures,
        tick=scheduler.tick,
        post=sender,
        clock=clock,
    )
    return Services(
        settings=settings,
        database=database,
        accounts=_accounts(settings, database, users, clock),
        audit=audit,
        datasources=place.datasources,
        templates=templates,
        jobs=jobs,
        checker=checker,
        previews=PreviewService(place.datasources, place.jobs, max_rows=settings.max_rows),
        schedules=schedule_service,
        scheduler=scheduler,
        webhooks=webhooks,
        sender=sender,
        artifacts=place.artifacts,
        signer=Presigner(settings.bucket) if settings.bucket is not None else None,
        sweeper=sweeper,
        engine=engine,
        cluster=cluster,
        figures=figures,
        clock=clock,
    )


def _jobs(
    settings: Settings,
    place: Workplace,
    checker: RequestChecker,
    templates: TemplateService,
    notices: JobNotices,
    *,
    clock: Callable[[], datetime],
) -> JobService:
    return JobService(
        jobs=place.jobs,
        transitions=place.transitions,
        checker=checker,
        templates=templates,
        artifacts=place.artifacts,
        notices=notices,
        limits=QueueLimits(server=settings.max_pending, user=settings.max_pending_per_user),
        clock=clock,
    )


def _engine(
    settings: Settings,
    place: Workplace,
    cluster: Cluster | None,
    notices: JobNotices,
    sweeper: Sweeper,
    *,
    figures: Figures,
    tick: Callable[[], None],
    post: Post,
    clock: Callable[[], datetime],
) -> Engine:
    parts = Parts(
        pulse=place.pulse,
        reaper=_reaper(settings, place, figures),
        sweeper=sweeper,
        notices=notices,
        lock=InstanceLock(settings.instance_path, settings.database_file) if settings.embedded else NoLock(),
        alone=settings.embedded,
        make_executor=lambda freed: _executor(settings, place, cluster, figures, freed),
        make_dispatcher=lambda executor, only: Dispatcher(place.jobs, executor, only=only),
        clock=clock,
        tick=tick,
        post=post,
    )
    return Engine(parts)


def _webhooks(
    settings: Settings,
    place: Workplace,
    schedules: ScheduleService,
    templates: TemplateService,
    clock: Callable[[], datetime],
) -> tuple[WebhookService, Sender]:
    store, deliveries = WebhookStore(place.database, vault(settings)), DeliveryStore(place.database)
    rules = HostRules(settings.webhook_hosts)
    sender = Sender(deliveries, store, rules, clock)
    service = WebhookService(
        store=store,
        deliveries=deliveries,
        sender=sender,
        rules=rules,
        schedules=schedules,
        templates=templates,
        datasources=place.datasources,
        clock=clock,
        keep=days(settings.webhook_days),
    )
    return service, sender


def _accounts(
    settings: Settings, database: Database, users: UserStore, clock: Callable[[], datetime]
) -> AccountService:
    throttle = LoginThrottle(LoginFailureStore(database), clock)
    code = setup_code(settings.secret_key)
    return AccountService(users, TokenStore(database), throttle, clock, setup_code=code)


def _reaper(settings: Settings, place: Workplace, figures: Figures) -> Reaper:
    return Reaper(
        place.jobs,
        place.transitions,
        figures,
        lease_seconds=settings.lease_seconds,
        max_attempts=settings.max_attempts,
        ours=place.pulse.attempts,
        monotonic=time.monotonic,
    )


def _cluster(settings: Settings, place: Workplace) -> Cluster | None:
    if settings.executor != "dask" or settings.dask_scheduler is None:
        return None
    examiner = Examiner(place.database, place.artifacts, settings.secret_key)
    return Cluster(settings.dask_scheduler, examiner)


def _executor(
    settings: Settings,
    place: Workplace,
    cluster: Cluster | None,
    figures: Figures,
    freed: Callable[[], None],
) -> Executor:
    if cluster is None:
        return ThreadExecutor(place.runner.run, settings.workers, freed)
    from exporter.jobs.executors.dask import DaskExecutor

    executor = DaskExecutor(
        cluster, place.jobs, figures, slots=settings.workers, freed=freed, patience=settings.lease_seconds
    )
    executor.start()
    return executor
