"""What is told of attempts: each change is one line in the log, and counts among the figures of this process."""

import logging
import time

from exporter.errors import ExporterError
from exporter.figures import Figures
from exporter.jobs.cancel import Reason
from exporter.jobs.lease import Running
from exporter.model import Job, Outcome

log = logging.getLogger(__name__)


class Journal:
    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def claimed(self, job: Job) -> None:
        """Note how long the job waited; both times are the app database's own rows."""
        if job.started_at is not None:
            self._figures.waits.add(max(0.0, (job.started_at - job.queued_at).total_seconds()))

    def began(self, job: Job, running: Running) -> None:
        self._line(job, running, "processing")

    def completed(self, job: Job, running: Running, outcome: Outcome) -> None:
        self._ended(job, running, "completed")
        self._figures.rows.add(job.format, by=outcome.row_count)
        self._figures.bytes.add(job.format, by=outcome.file_size)
        self._line(job, running, f"completed rows={outcome.row_count} bytes={outcome.file_size}")

    def failed(
        self, job: Job, running: Running, fault: ExporterError, *, message: str, again: bool = False
    ) -> None:
        """Note a failure; `again` says that the job goes on with its next attempt."""
        self._ended(job, running, "failed")
        self._figures.failures.add(fault.code)
        goes_on = ", and runs again" if again else ""
        told = f"failed{goes_on} code={fault.code} reason={message}"
        self._line(job, running, told, level=logging.WARNING)

    def stopped(self, job: Job, running: Running, reason: Reason) -> None:
        self._ended(job, running, "stopped")
        self._line(job, running, f"stopped reason={reason.value}")

    def unexpected(self, job: Job, running: Running, fault: BaseException) -> None:
        """Leave the traceback to the log; no count: the failure that follows is one."""
        log.error("job %s met an unexpected fault", job.id, exc_info=fault, extra=_facts(job, running))

    def _ended(self, job: Job, running: Running, outcome: str) -> None:
        self._figures.attempts.add(time.monotonic() - running.began, job.format, outcome)

    def _line(self, job: Job, running: Running, told: str, *, level: int = logging.INFO) -> None:
        log.log(level, "job %s attempt %d %s", job.id, running.attempt, told, extra=_facts(job, running))


def _facts(job: Job, running: Running) -> dict[str, object]:
    return {"job": job.id, "attempt": running.attempt, "datasource": job.datasource_name}
