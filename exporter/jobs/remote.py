"""What runs on a worker of a Dask cluster. A server sends for these functions by name; plain values travel, no code.

A worker process builds its part of the installation once, from its own settings: its pulse beats for the jobs that
run there, and hears of a cancel from the job's row. It hands out nothing, takes over nothing and migrates nothing;
of the store it clears up only what was left half written.
"""

import asyncio
import logging
import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from distributed import Status, Worker, WorkerPlugin, get_client, get_worker
from sqlalchemy import create_engine

from exporter import log
from exporter.errors import DatabaseAway, ExporterError, StoreAway, WorkerLeaving
from exporter.figures import Figures
from exporter.jobs.cancel import Reason
from exporter.jobs.errands import Crew
from exporter.jobs.examination import answer, wrong_schema
from exporter.jobs.executors.crew import Peers
from exporter.jobs.reading import PartReader
from exporter.jobs.retention import clear_staging
from exporter.jobs.workplace import furnish
from exporter.model import utc_now
from exporter.settings import load_settings
from exporter.storage.database import Database, engine_options

logger = logging.getLogger(__name__)

NAME = "exporter"
LET_GO_SECONDS = 5.0  # within the ten that `dask worker` gives its processes at the end
BUILD_SECONDS = 10.0
HANDS = 2  # parts that each further reader has at a time: one being read, one that waits for it

_building = threading.Lock()


class Installation(WorkerPlugin):
    """This process's part of one installation. As the worker's plugin it is told when the worker ends."""

    def __init__(self) -> None:
        """Raise an ExporterError where the settings do not fit, or the app database or the store is away."""
        self.settings = load_settings(os.environ)
        url = self.settings.database_url
        database = Database(create_engine(url, **engine_options(url)))
        self.figures = Figures()
        self.place = furnish(self.settings, database, self.figures, utc_now)
        log.configure(self.settings.log_format)
        with suppress(StoreAway):  # which is told to the server that asks for it
            clear_staging(self.place.jobs, self.place.artifacts)
        self.place.pulse.start()
        self.reader = PartReader(
            jobs=self.place.jobs,
            datasources=self.place.datasources,
            artifacts=self.place.artifacts,
            secret_key=self.settings.secret_key,
            max_rows=self.settings.max_rows,
        )

    def crew(self, others: Sequence[str]) -> Crew | None:
        """Give those who may read for an export that runs here; None where there are none, or it reads alone."""
        readers = min(self.settings.export_readers - 1, len(others))
        if readers < 1:
            return None
        try:
            client = get_client()
        except OSError as exc:
            logger.warning("the scheduler is not to be had, so this worker reads alone: %s", exc)
            return None
        send = Peers(client, others, read_part).send
        return Crew(send, self.place.artifacts, self.settings.secret_key, hands=HANDS * readers)

    async def teardown(self, worker: Worker) -> None:
        """Put what runs here back in the queue, for the worker ends."""
        del worker
        await asyncio.to_thread(self._let_go)

    def _let_go(self) -> None:
        pulse = self.place.pulse
        logger.info("the worker ends: running exports go back to the queue")
        pulse.cancel_all(Reason.STOPPING)
        pulse.wait_until_idle(seconds=LET_GO_SECONDS)
        try:
            pulse.release_all(now=utc_now())
        except DatabaseAway:
            logger.warning("stuck exports stay as they are: the app database does not answer")
        pulse.stop()


def run_job(job_id: str, workers: Sequence[str]) -> dict[str, list[Any]]:
    """Run the job, if the claim of it succeeds, and give what this process has counted. Raises WorkerLeaving.

    The other ones of `workers` may read for it.
    """
    worker = _working()
    installation = _installation(worker)
    others = [address for address in workers if address != worker.address]
    installation.place.runner.run(job_id, installation.crew(others))
    return installation.figures.take()


def read_part(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Read a part of an export that another worker runs. Raises WorkerLeaving."""
    worker = _working()
    return {"worker": worker.address, **_installation(worker).reader.read(asked)}


async def examine(question: Mapping[str, Any], dask_worker: Worker) -> dict[str, Any]:
    """Answer the server's question beside the exports that run, not behind them."""
    return await asyncio.to_thread(_examine, question, dask_worker)


def _examine(question: Mapping[str, Any], worker: Worker) -> dict[str, Any]:
    try:
        installation = _installation(worker)
        if (wrong := wrong_schema(installation.place.database)) is not None:
            return {"error": wrong}
        return answer(question, installation.place, installation.settings.secret_key)
    except ExporterError as exc:
        return {"error": exc.line}


def _working() -> Worker:
    worker = get_worker()
    if worker.status is not Status.running:
        raise WorkerLeaving
    return worker


def _installation(worker: Worker) -> Installation:
    """Give the process's installation, built on first use; from any thread but the worker's own loop."""
    with _building:
        found = worker.plugins.get(NAME)
        if not isinstance(found, Installation):
            found = Installation()
            loop: asyncio.AbstractEventLoop = worker.io_loop.asyncio_loop  # type: ignore[attr-defined]
            asyncio.run_coroutine_threadsafe(worker.plugin_add(found, name=NAME), loop).result(BUILD_SECONDS)
        return found
