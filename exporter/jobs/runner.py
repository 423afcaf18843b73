"""One attempt of one job, from the claim to the truthful end of its row."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import TypeVar

from exporter.configuration import Configuration
from exporter.datasources import DatasourceService
from exporter.errors import DatabaseAway, DatasourceNotFound, ExporterError, Invalid, StoreAway
from exporter.failpoints import reach
from exporter.failures import DiskFull, Internal, SourceUnavailable
from exporter.formats.options import file_name
from exporter.jobs.asked import configuration_of, query_of
from exporter.jobs.cancel import Cancelled, CancelToken, Reason
from exporter.jobs.errands import Crew
from exporter.jobs.journal import Journal
from exporter.jobs.lease import Pulse, Running
from exporter.jobs.pipeline import Work, Written, write_rows
from exporter.jobs.progress import Progress
from exporter.jobs.receipt import make_receipt, warnings_of
from exporter.jobs.scratch import lent
from exporter.model import Datasource, Job, Outcome
from exporter.query import expected_rows
from exporter.sources.base import Source
from exporter.sources.sharing import Helpers
from exporter.storage.jobs import JobStore
from exporter.storage.staging import FULL, Finished, Store
from exporter.storage.transitions import JobTransitions

log = logging.getLogger(__name__)

T = TypeVar("T")

LAST_WORD_RETRY_SECONDS = 0.5
BACKOFF_SECONDS = 1.0
MOST_BACKOFF_SECONDS = 15.0
PASSING = (SourceUnavailable, DatabaseAway, StoreAway)  # faults that another attempt may not meet


@dataclass(frozen=True, kw_only=True)
class RunnerRules:
    """`max_rows` is the installation's ceiling, `keep` a file's life, `lease_seconds` how long a row stays ours.

    `max_attempts` bounds the attempts that end by a fault that may pass.
    """

    max_rows: int | None
    keep: timedelta | None
    lease_seconds: float
    max_attempts: int


class Runner:
    """Runs attempts. It is called by an Executor with nothing but a job's id."""

    def __init__(
        self,
        *,
        jobs: JobStore,
        transitions: JobTransitions,
        datasources: DatasourceService,
        artifacts: Store,
        pulse: Pulse,
        journal: Journal,
        worker: str,
        rules: RunnerRules,
        clock: Callable[[], datetime],
    ) -> None:
        self._jobs = jobs
        self._transitions = transitions
        self._datasources = datasources
        self._artifacts = artifacts
        self._pulse = pulse
        self._journal = journal
        self._worker = worker
        self._rules = rules
        self._clock = clock

    def run(self, job_id: str, crew: Crew | None = None) -> None:
        """Claim the job and bring it to an end; return at once if another was first."""
        try:
            self._bring_to_an_end(job_id, crew)
        except DatabaseAway:
            told = "job %s is left to be taken over: the app database does not answer"
            log.warning(told, job_id, extra={"job": job_id})

    def _bring_to_an_end(self, job_id: str, crew: Crew | None) -> None:
        attempt = self._transitions.claim(job_id, worker=self._worker, now=self._clock())
        reach("after_claim")
        job = self._jobs.get(job_id)
        if attempt is not None and job is not None:
            self._journal.claimed(job)
        delays = backoff()
        delay = 0.0
        while attempt is not None and job is not None:
            running = Running(
                job_id=job_id, attempt=attempt, token=CancelToken(), progress=Progress(), crew=crew
            )
            with self._pulse.watching(running):
                attempt = self._run(job, running, delay=delay)
            delay = next(delays)

    def _run(self, job: Job, running: Running, *, delay: float) -> int | None:
        """Run one attempt after `delay` seconds. If a fault ended it that may pass, give the next one's number."""
        try:
            running.token.wait(delay)
            self._journal.began(job, running)
            outcome = self._export(job, running)
        except Cancelled as exc:
            self._stopped(job, running, exc.reason)
        except PASSING as exc:
            return self._again(job, running, exc)
        except ExporterError as exc:
            self._failed(job, running, exc)
        except BaseException as exc:  # noqa: BLE001 - whatever it is, the row says how the attempt ended
            self._journal.unexpected(job, running, exc)
            self._failed(job, running, _told(exc))
        else:
            self._publish(job, running, outcome)
        return None

    def _export(self, job: Job, running: Running) -> Outcome:
        """Write the file and give it its name; the row does not speak of it yet."""
        configuration = configuration_of(job)
        if job.datasource_id is None:
            raise DatasourceNotFound
        datasource = self._datasources.get(job.datasource_id, None)
        started_at = self._clock()
        scratch = lent(self._artifacts, f"{job.id}-{running.attempt}", running.token)
        with (
            scratch as room,
            _helping(running, datasource) as helpers,
            self._datasources.open(datasource, scratch=room, helpers=helpers) as source,
        ):
            running.token.check()
            work = self._work(job, running, configuration, datasource, source)
            written = write_rows(work, running.token, running.progress)
        reach("written")
        finished = _durable(written, running.token)
        now = self._clock()
        return Outcome(
            artifact=finished.key,
            artifact_tag=finished.tag,
            file_name=work.file_name,
            file_size=finished.size,
            checksum=finished.sha256,
            row_count=written.row_count,
            warnings=warnings_of(written.notices),
            receipt=make_receipt(
                job, running.attempt, work, written, finished, started_at=started_at, now=now
            ),
            expires_at=now + self._rules.keep if self._rules.keep is not None else None,
        )

    def _work(
        self,
        job: Job,
        running: Running,
        configuration: Configuration,
        datasource: Datasource,
        source: Source,
    ) -> Work:
        """Compile the query against the columns as they are now. Raises Invalid."""
        spec, options, entry = configuration.spec, configuration.options, configuration.entry
        relation, compiled = query_of(configuration, datasource, source, max_rows=self._rules.max_rows)
        today = self._clock().date()
        return Work(
            source=source,
            compiled=compiled,
            expected=expected_rows(source, spec, relation, compiled),
            entry=entry,
            options=options,
            include_headers=spec.include_headers,
            file_name=file_name(options, datasource=job.datasource_name, date=today, entry=entry),
            stage=lambda: self._artifacts.stage(f"{job.id}-{running.attempt}"),
        )

    def _publish(self, job: Job, running: Running, outcome: Outcome) -> None:
        """Let the row speak of the file; if it no longer may, remove the file.

        Where the database stays away the file is left: the row may have been written, and the sweep knows better.
        """

        def complete() -> bool:
            reach("before_complete")
            done = self._transitions.complete(job.id, running.attempt, outcome, now=self._clock())
            reach("after_complete")
            return done or self._speaks_of(outcome, job.id)

        try:
            spoken = self._say(complete)
        except DatabaseAway:
            raise
        except BaseException as exc:  # noqa: BLE001 - whatever it is, the row says how the attempt ended
            self._journal.unexpected(job, running, exc)
            self._failed(job, running, _told(exc))
            if not self._speaks_of(outcome, job.id):
                self._artifacts.delete(outcome.artifact)
            return
        if spoken:
            self._journal.completed(job, running, outcome)
            return
        self._artifacts.delete(outcome.artifact)
        self._stopped(job, running, running.token.reason or Reason.LOST)

    def _speaks_of(self, outcome: Outcome, job_id: str) -> bool:
        """Tell whether an earlier try did write the row, though its answer was lost."""
        job = self._jobs.get(job_id)
        return job is not None and job.artifact == outcome.artifact

    def _again(self, job: Job, running: Running, fault: ExporterError) -> int | None:
        """Start the next attempt in this slot, if one is left; else the fault is the job's end."""
        if running.token.reason is None:
            reach("before_again")
            following = self._say(
                lambda: self._transitions.again(
                    job.id,
                    running.attempt,
                    code=fault.code,
                    message=fault.message,
                    row_count=running.progress.rows,
                    max_attempts=self._rules.max_attempts,
                    now=self._clock(),
                )
            )
            reach("after_again")
            if following is not None:
                self._journal.failed(job, running, fault, message=fault.message, again=True)
                return following
        self._failed(job, running, fault)
        return None

    def _failed(self, job: Job, running: Running, fault: ExporterError) -> None:
        if running.token.reason is not None:  # the interrupt itself surfaces as a failed query
            self._stopped(job, running, running.token.reason)
            return
        message = _sentence(fault)

        def fail() -> bool:
            reach("before_fail")
            return self._transitions.fail(
                job.id,
                running.attempt,
                code=fault.code,
                message=message,
                row_count=running.progress.rows,
                now=self._clock(),
            )

        if self._say(fail):
            self._journal.failed(job, running, fault, message=message)
        else:
            self._stopped(job, running, Reason.LOST)

    def _stopped(self, job: Job, running: Running, reason: Reason) -> None:
        """Say that the worker has let go; a job that stops with its server goes back to the queue."""

        def stopped() -> bool:
            reach("before_stopped")
            if reason is Reason.STOPPING and self._transitions.release(
                job.id, running.attempt, now=self._clock()
            ):
                return True
            self._transitions.stopped(job.id, running.attempt, now=self._clock())
            return True

        self._say(stopped)
        self._journal.stopped(job, running, reason)

    def _say(self, word: Callable[[], T]) -> T:
        """Write the last word on a job, trying for as long as the lease may still be ours. Raises DatabaseAway."""
        deadline = time.monotonic() + self._rules.lease_seconds
        while True:
            try:
                return word()
            except DatabaseAway:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(LAST_WORD_RETRY_SECONDS)


def _helping(running: Running, datasource: Datasource) -> AbstractContextManager[Helpers | None]:
    if running.crew is None:
        return nullcontext()
    return running.crew.helping(running.job_id, running.attempt, datasource.url)


def _durable(written: Written, token: CancelToken) -> Finished:
    """Publish the staged file, or remove it. Raises Cancelled, DiskFull, StoreFailed or StoreAway."""
    try:
        token.check()
        return written.staged.publish(token)
    except BaseException:
        written.staged.discard()
        raise


def _sentence(fault: ExporterError) -> str:
    if isinstance(fault, Invalid):
        return f"The request no longer fits the database: {fault.line}"
    return fault.message


def backoff() -> Iterator[float]:
    """Give how long to wait before each further attempt, in seconds: twice as long each time, up to a limit."""
    return (min(MOST_BACKOFF_SECONDS, BACKOFF_SECONDS * 2.0**times) for times in count())


def _told(exc: BaseException) -> ExporterError:
    """Say of a fault that no rule knows what of it is a user's business."""
    if isinstance(exc, MemoryError):
        return Internal("The server ran out of memory during this export. Narrow it, or ask an admin.")
    if isinstance(exc, OSError) and exc.errno in FULL:
        return DiskFull()
    return Internal()
