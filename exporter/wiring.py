"""Builds the services of one installation from its settings and its database engine. Nothing is global."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine as DatabaseEngine

from exporter.accounts import AccountService, LoginThrottle
from exporter.audit import AuditService
from exporter.datasources import DatasourceService
from exporter.jobs.dispatcher import Dispatcher
from exporter.jobs.engine import Engine, InstanceLock, NoLock, Parts
from exporter.jobs.examination import Examiner
from exporter.jobs.executors.base import Executor
from exporter.jobs.executors.cluster import Cluster
from exporter.jobs.executors.threads import ThreadExecutor
from exporter.jobs.lease import Reaper
from exporter.jobs.requests import RequestChecker
from exporter.jobs.retention import Sweeper
from exporter.jobs.service import JobNotices, JobService
from exporter.jobs.workplace import Workplace, days, furnish
from exporter.preview import PreviewService
from exporter.schedules.scheduler import Scheduler
from exporter.schedules.service import ScheduleService
from exporter.settings import Settings
from exporter.storage.artifacts import LocalStore
from exporter.storage.audit import AuditStore
from exporter.storage.database import Database
from exporter.storage.logins import LoginFailureStore
from exporter.storage.room import QueueLimits
from exporter.storage.schedules import ScheduleStore
from exporter.storage.secrets import setup_code
from exporter.storage.templates import TemplateStore
from exporter.storage.users import TokenStore, UserStore
from exporter.templates import TemplateService


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
    artifacts: LocalStore
    sweeper: Sweeper
    engine: Engine
    cluster: Cluster | None  # None where exports run in this process
    clock: Callable[[], datetime]


def build_services(
    settings: Settings, database_engine: DatabaseEngine, clock: Callable[[], datetime]
) -> Services:
    database = Database(database_engine)
    place = furnish(settings, database, clock)
    users = UserStore(database)
    templates = TemplateService(TemplateStore(database), clock)
    checker = RequestChecker(place.datasources, templates, {"escape_formulas": settings.escape_formulas})
    notices = JobNotices()
    audit = AuditService(AuditStore(database), clock, keep=days(settings.audit_days))
    sweeper = Sweeper(place.jobs, place.artifacts, audit, clock)
    jobs = JobService(
        jobs=place.jobs,
        transitions=place.transitions,
        checker=checker,
        templates=templates,
        artifacts=place.artifacts,
        notices=notices,
        limits=QueueLimits(server=settings.max_pending, user=settings.max_pending_per_user),
        clock=clock,
    )
    schedules = ScheduleStore(database)
    scheduler = Scheduler(schedules, jobs, users.get, clock)
    cluster = _cluster(settings, place)
    parts = Parts(
        pulse=place.pulse,
        reaper=_reaper(settings, place),
        sweeper=sweeper,
        notices=notices,
        lock=InstanceLock(settings.instance_path) if settings.embedded else NoLock(),
        alone=settings.embedded,
        make_executor=lambda freed: _executor(settings, place, cluster, freed),
        make_dispatcher=lambda executor, only: Dispatcher(place.jobs, executor, only=only),
        clock=clock,
        tick=scheduler.tick,
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
        schedules=ScheduleService(schedules, checker, clock),
        scheduler=scheduler,
        artifacts=place.artifacts,
        sweeper=sweeper,
        engine=Engine(parts),
        cluster=cluster,
        clock=clock,
    )


def _accounts(
    settings: Settings, database: Database, users: UserStore, clock: Callable[[], datetime]
) -> AccountService:
    throttle = LoginThrottle(LoginFailureStore(database), clock)
    code = setup_code(settings.secret_key)
    return AccountService(users, TokenStore(database), throttle, clock, setup_code=code)


def _reaper(settings: Settings, place: Workplace) -> Reaper:
    return Reaper(
        place.jobs,
        place.transitions,
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
    settings: Settings, place: Workplace, cluster: Cluster | None, freed: Callable[[], None]
) -> Executor:
    if cluster is None:
        return ThreadExecutor(place.runner.run, settings.workers, freed)
    from exporter.jobs.executors.dask import DaskExecutor

    executor = DaskExecutor(
        cluster, place.jobs, slots=settings.workers, freed=freed, patience=settings.lease_seconds
    )
    executor.start()
    return executor
