"""The data path of one attempt: Source -> record batches -> Writer -> staged file.

Knows nothing of job rows: it takes a Work, reports to a Progress, obeys a CancelToken and returns what it wrote.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exporter.errors import ReceiptMismatch
from exporter.failpoints import reach
from exporter.formats.base import FormatEntry, Writer, WriterRequest
from exporter.jobs.cancel import CancelToken
from exporter.jobs.progress import Progress
from exporter.model import Phase
from exporter.query import CompiledQuery
from exporter.sources.base import Column, Notice, Reader, RowEstimate, SchemaBroken, Snapshot, Source
from exporter.storage.artifacts import StagedFile

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, kw_only=True)
class Work:
    """What one attempt has to do. `stage` opens a fresh staged file each time it is called."""

    source: Source
    compiled: CompiledQuery
    expected: RowEstimate | None
    entry: FormatEntry
    options: Mapping[str, Any]
    include_headers: bool
    file_name: str
    stage: Callable[[], StagedFile]


@dataclass(frozen=True, kw_only=True)
class Written:
    """A staged file that is complete but not yet published, and the facts about it."""

    staged: StagedFile
    columns: tuple[Column, ...]
    nulls: Mapping[str, int]
    row_count: int
    rows_in_file: int
    limit_applied: Mapping[str, Any] | None
    notices: tuple[Notice, ...]
    snapshot: Snapshot


def write_rows(work: Work, token: CancelToken, progress: Progress) -> Written:
    """Run the query into a staged file. Raises ExportFailed or Cancelled, and then leaves no file.

    A typed read may find that a value does not fit the announced column; the same snapshot is then read once more
    with types that hold every value.
    """
    progress.total = work.expected
    for careful in (False, True):
        try:
            return _attempt(work, token, progress, careful=careful)
        except SchemaBroken:
            if careful:
                raise
            progress.rows = 0
    raise AssertionError("unreachable")


def _attempt(work: Work, token: CancelToken, progress: Progress, *, careful: bool) -> Written:
    staged = work.stage()
    try:
        with token.interrupting(work.source.interrupt):
            return _fill(work, staged, token, progress, careful=careful)
    except BaseException:
        staged.discard()
        raise


def _fill(
    work: Work, staged: StagedFile, token: CancelToken, progress: Progress, *, careful: bool
) -> Written:
    reader = work.source.read(work.compiled.statement, work.entry.form, careful=careful)
    try:
        writer = work.entry.open_writer(
            WriterRequest(
                stream=staged,
                columns=reader.columns,
                options=work.options,
                include_headers=work.include_headers,
                file_name=work.file_name,
            )
        )
        try:
            return _pump(_Pump(reader, writer, work.compiled), staged, token, progress, work.source.snapshot)
        except BaseException:
            writer.abandon()
            raise
    finally:
        reader.close()


class _Pump:
    """Batches on their way: counts rows and NULLs, and cuts at the limit."""

    def __init__(self, reader: Reader, writer: Writer, compiled: CompiledQuery) -> None:
        self.reader = reader
        self.writer = writer
        self.compiled = compiled
        self.rows = 0
        self.cut = False
        self.nulls: Counter[str] = Counter({column.name: 0 for column in reader.columns})

    def batches(self) -> "Iterator[pa.RecordBatch]":
        limit = self.compiled.limit
        for batch in self.reader.batches():
            if limit is not None and self.rows + batch.num_rows > limit:
                self.cut = True
                kept = batch.slice(0, limit - self.rows)
                if kept.num_rows:
                    yield self._counted(kept)
                return
            yield self._counted(batch)

    def _counted(self, batch: "pa.RecordBatch") -> "pa.RecordBatch":
        self.rows += batch.num_rows
        for column, values in zip(self.reader.columns, batch.columns, strict=True):
            self.nulls[column.name] += values.null_count
        return batch


def _pump(
    pump: _Pump, staged: StagedFile, token: CancelToken, progress: Progress, snapshot: Snapshot
) -> Written:
    for batch in pump.batches():
        token.check()
        reach("batch")
        pump.writer.write(batch)
        progress.rows = pump.rows
    token.check()
    progress.phase = Phase.PUBLISHING
    reach("before_finish")
    pump.writer.finish()
    if pump.writer.rows_in_file != pump.rows:
        raise ReceiptMismatch(read=pump.rows, written=pump.writer.rows_in_file)
    limit = {"limit": pump.compiled.limit, "source": pump.compiled.limit_source} if pump.cut else None
    return Written(
        staged=staged,
        columns=pump.reader.columns,
        nulls=dict(pump.nulls),
        row_count=pump.rows,
        rows_in_file=pump.writer.rows_in_file,
        limit_applied=limit,
        notices=(*pump.reader.notices(), *pump.writer.notices(), *_limit_notice(limit)),
        snapshot=snapshot,
    )


def _limit_notice(limit: Mapping[str, Any] | None) -> tuple[Notice, ...]:
    if limit is None:
        return ()
    whose = "the request's limit" if limit["source"] == "request" else "this server's MAX_ROWS"
    message = f"The file stops at {limit['limit']} rows by {whose}; there are more in the database"
    return (Notice(code="rows_cut", count=1, message=message),)
