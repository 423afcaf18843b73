"""Reading one part of a table for an attempt that another worker runs."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from exporter.datasources import DatasourceService
from exporter.errors import DatabaseAway, DatasourceNotFound, ExporterError
from exporter.failpoints import reach
from exporter.jobs.asked import configuration_of, query_of
from exporter.jobs.partfiles import write_pieces
from exporter.model import Datasource, Job, JobStatus
from exporter.sources.base import SchemaBroken
from exporter.sources.sharing import Portion, Way
from exporter.storage.jobs import JobStore
from exporter.storage.secrets import same, sign
from exporter.storage.staging import Finished, Store
from exporter.version import __version__

if TYPE_CHECKING:
    from exporter.sources.postgresql.reader import PostgresqlReader
    from exporter.sources.postgresql.source import PostgresqlSource
    from exporter.sources.postgresql.textreader import PostgresqlTextReader

    PartReading = PostgresqlReader | PostgresqlTextReader

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.5  # as often as the attempt itself looks whether it goes on


class PartRefused(ExporterError):
    """This worker reads nothing for that attempt: {reason}"""

    code = "part_refused"


class PartReader:
    def __init__(
        self,
        *,
        jobs: JobStore,
        datasources: DatasourceService,
        artifacts: Store,
        secret_key: str,
        max_rows: int | None,
    ) -> None:
        self._jobs = jobs
        self._datasources = datasources
        self._artifacts = artifacts
        self._secret_key = secret_key
        self._max_rows = max_rows

    def read(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Leave a part in the store and tell of it in plain values, or say in a word why there is none."""
        try:
            return self._read(asked)
        except (ExporterError, SchemaBroken) as exc:
            told = "a part of job %s was not read: %s"
            log.warning(
                told, asked["job_id"], exc, extra={"job": asked["job_id"], "attempt": asked["attempt"]}
            )
            return {"error": _word(exc)}

    def _read(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        reach("part_asked")
        job = self._running(asked)
        if asked["version"] != __version__:
            raise PartRefused(reason=f"it is of version {__version__}, and the attempt of {asked['version']}")
        datasource = self._datasource(job, asked["login"])
        with (
            self._datasources.open_portion(datasource, Portion(**asked["portion"])) as source,
            self._watching(asked, source.interrupt),
        ):
            part, lost = self._left(asked, job, datasource, source)
        return {"part": asdict(part), "lost": [(place, code, count) for (place, code), count in lost.items()]}

    def _running(self, asked: Mapping[str, Any]) -> Job:
        job = self._jobs.get(asked["job_id"])
        if job is None or (job.status, job.attempt) != (JobStatus.PROCESSING, asked["attempt"]):
            raise PartRefused(reason="the attempt is over")
        return job

    def _datasource(self, job: Job, login: str) -> Datasource:
        if job.datasource_id is None:
            raise DatasourceNotFound
        datasource = self._datasources.get(job.datasource_id, None)
        if not same(login, sign(self._secret_key, datasource.url)):
            raise PartRefused(
                reason="the datasource has another address or login than when the attempt began"
            )
        return datasource

    def _left(
        self, asked: Mapping[str, Any], job: Job, datasource: Datasource, source: "PostgresqlSource"
    ) -> tuple[Finished, Mapping[tuple[int, str], int]]:
        """Leave the part in the store. Raises what reading and writing do, and then leaves nothing."""
        with closing(self._reader(asked, job, datasource, source)) as reader:
            staged = self._artifacts.stage(f"{job.id}-{job.attempt}.{uuid4().hex[:12]}")
            try:
                write_pieces(staged, _pieces(reader))
                reach("part_written")
                finished = staged.publish()
            except BaseException:
                staged.discard()
                raise
            self._keep(asked, finished)
            return finished, reader.lost

    def _reader(
        self, asked: Mapping[str, Any], job: Job, datasource: Datasource, source: "PostgresqlSource"
    ) -> "PartReading":
        """Begin to read the same statement in the same way as the attempt does. Raises PartRefused."""
        configuration, way = configuration_of(job), Way(asked["way"])
        statement = query_of(configuration, datasource, source, max_rows=self._max_rows)[1].statement
        if not same(asked["select"], sign(self._secret_key, source.select(statement).decode())):
            raise PartRefused(reason="the table or its columns are other ones there")
        entry = configuration.entry
        if way is not Way.TEXT:
            return source.read(statement, entry.form, careful=way is Way.CAREFUL)
        row = entry.row_text(statement.columns, configuration.options)
        reader = source.read_text(statement, row) if row is not None else None
        if reader is None:
            raise PartRefused(reason="its rows are not spelled by the database")
        return reader

    def _keep(self, asked: Mapping[str, Any], finished: Finished) -> None:
        """Take the part away again if nobody is there any more to take it."""
        reach("part_left")
        try:
            self._running(asked)
        except BaseException:
            self._artifacts.delete(finished.key)
            raise

    @contextmanager
    def _watching(self, asked: Mapping[str, Any], interrupt: Callable[[], None]) -> Iterator[None]:
        """Interrupt the reading once the attempt is over: cancelled, taken over, or ended."""
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(LOOK_SECONDS):
                try:
                    self._running(asked)
                except PartRefused:
                    interrupt()
                    return
                except DatabaseAway:
                    log.debug("whether the attempt goes on cannot be seen now")

        thread = threading.Thread(target=watch, name="exporter-errand", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def _pieces(reader: "PartReading") -> Iterator[Any]:
    """Give chunks or batches, whichever the reader has."""
    from exporter.sources.postgresql.reader import PostgresqlReader

    pieces: Iterator[Any] = reader.batches() if isinstance(reader, PostgresqlReader) else reader.chunks()
    for piece in pieces:
        reach("part_piece")
        yield piece


def _word(exc: ExporterError | SchemaBroken) -> str:
    """Name the fault without what a database's own words might tell."""
    if isinstance(exc, PartRefused):
        return exc.line
    return exc.code if isinstance(exc, ExporterError) else "schema_broken"
