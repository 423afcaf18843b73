"""What runs attempts in one process, be it a server or a worker elsewhere: stores, sources, pulse and runner."""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from exporter.datasources import DatasourceService
from exporter.figures import Figures
from exporter.jobs.journal import Journal
from exporter.jobs.lease import Pulse
from exporter.jobs.runner import Runner, RunnerRules
from exporter.settings import Settings
from exporter.sources.registry import SourceLimits
from exporter.storage.artifacts import LocalStore
from exporter.storage.bucket import Bucket
from exporter.storage.database import Database
from exporter.storage.datasources import DatasourceStore
from exporter.storage.jobs import JobStore
from exporter.storage.objects import S3Store
from exporter.storage.secrets import Vault
from exporter.storage.staging import Store, StoreLimits
from exporter.storage.transitions import JobTransitions

CONNECT_TIMEOUT_SECONDS = 10.0


@dataclass(frozen=True, kw_only=True)
class Workplace:
    database: Database
    jobs: JobStore
    transitions: JobTransitions
    artifacts: Store
    datasources: DatasourceService
    pulse: Pulse
    runner: Runner


def furnish(
    settings: Settings, database: Database, figures: Figures, clock: Callable[[], datetime]
) -> Workplace:
    jobs, transitions = JobStore(database), JobTransitions(database)
    artifacts = _open_store(settings, jobs)
    datasources = _datasources(settings, database, jobs, clock)
    pulse = Pulse(transitions, lease_seconds=settings.lease_seconds)
    runner = Runner(
        jobs=jobs,
        transitions=transitions,
        datasources=datasources,
        artifacts=artifacts,
        pulse=pulse,
        journal=Journal(figures),
        worker=f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}",
        rules=_rules(settings),
        clock=clock,
    )
    return Workplace(
        database=database,
        jobs=jobs,
        transitions=transitions,
        artifacts=artifacts,
        datasources=datasources,
        pulse=pulse,
        runner=runner,
    )


def vault(settings: Settings) -> Vault:
    return Vault(settings.secret_key, settings.previous_secret_key)


def _open_store(settings: Settings, jobs: JobStore) -> Store:
    limits = StoreLimits(min_free=settings.min_free_bytes, max_file=settings.max_file_bytes)
    if settings.bucket is not None:
        return S3Store(Bucket(settings.bucket), settings.storage_path, limits)
    return LocalStore(settings.storage_path, limits, kept=lambda: bool(jobs.artifacts()))


def days(number: int) -> timedelta | None:
    """Read a setting whose 0 means for good."""
    return timedelta(days=number) if number else None


def _rules(settings: Settings) -> RunnerRules:
    return RunnerRules(
        max_rows=settings.max_rows,
        keep=days(settings.retention_days),
        lease_seconds=settings.lease_seconds,
        max_attempts=settings.max_attempts,
    )


def _datasources(
    settings: Settings, database: Database, jobs: JobStore, clock: Callable[[], datetime]
) -> DatasourceService:
    rows = DatasourceStore(database, vault(settings))
    return DatasourceService(rows, jobs, _source_limits(settings), clock)


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
