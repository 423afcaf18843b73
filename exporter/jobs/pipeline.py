"""The data path of one attempt: Source -> rows ahead -> Writer -> staged file.

Knows nothing of job rows: it takes a Work, reports to a Progress, obeys a CancelToken and returns what it wrote.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exporter.failpoints import reach
from exporter.failures import ReceiptMismatch
from exporter.formats.base import FormatEntry, TextUnclear, Writer, WriterRequest
from exporter.jobs.cancel import CancelToken
from exporter.jobs.feeds import BatchFeed, Feed, TextFeed
from exporter.jobs.progress import Progress
from exporter.jobs.readahead import reading_ahead
from exporter.model import Phase
from exporter.query import CompiledQuery
from exporter.sources.base import Column, Notice, RowEstimate, SchemaBroken, Snapshot, Source
from exporter.storage.staging import Staged

log = logging.getLogger(__name__)


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
    stage: Callable[[], Staged]


@dataclass(frozen=True, kw_only=True)
class Written:
    """A staged file that is complete but not yet published, and the facts about it."""

    staged: Staged
    columns: tuple[Column, ...]
    nulls: Mapping[str, int]
    row_count: int
    rows_in_file: int
    limit_applied: Mapping[str, Any] | None
    notices: tuple[Notice, ...]
    snapshot: Snapshot


def write_rows(work: Work, token: CancelToken, progress: Progress) -> Written:
    """Run the query into a staged file. Raises ExportFailed or Cancelled, and then leaves no file.

    Rows that the database spells itself are taken first. Where it does not, or where their bytes do not tell all
    that a receipt says, the same snapshot is read as batches; and once more, with types that hold every value, where
    a value does not fit the announced column.
    """
    progress.total = work.expected
    for opened in (_text, _batches, _careful_batches):
        progress.rows = 0
        try:
            written = _attempt(work, opened, token, progress)
        except (TextUnclear, SchemaBroken) as exc:
            if opened is _careful_batches:
                raise
            log.info("reading once more: %s", exc)
        else:
            if written is not None:
                return written
    raise AssertionError("unreachable")


def _text(work: Work) -> Feed | None:
    columns = work.compiled.statement.columns
    row = work.entry.row_text(columns, work.options)
    reader = work.source.read_text(work.compiled.statement, row) if row is not None else None
    return TextFeed(reader, row) if reader is not None and row is not None else None


def _batches(work: Work) -> Feed:
    return BatchFeed(work.source.read(work.compiled.statement, work.entry.form))


def _careful_batches(work: Work) -> Feed:
    return BatchFeed(work.source.read(work.compiled.statement, work.entry.form, careful=True))


def _attempt(
    work: Work, opened: Callable[[Work], Feed | None], token: CancelToken, progress: Progress
) -> Written | None:
    with token.interrupting(work.source.interrupt):
        feed = opened(work)
        if feed is None:
            return None
        try:
            return _stage(work, feed, token, progress)
        finally:
            feed.reader.close()


def _stage(work: Work, feed: Feed, token: CancelToken, progress: Progress) -> Written:
    staged = work.stage()
    try:
        written = _fill(work, feed, staged, token, progress)
        work.source.confirm()
    except BaseException:
        staged.discard()
        raise
    return written


def _fill(work: Work, feed: Feed, staged: Staged, token: CancelToken, progress: Progress) -> Written:
    request = WriterRequest(
        stream=staged,
        columns=feed.reader.columns,
        options=work.options,
        include_headers=work.include_headers,
        file_name=work.file_name,
    )
    writer = work.entry.open_writer(request)
    try:
        count = _Count(work.compiled.limit, feed)
        _pump(work, count, writer, token, progress)
        return _finished(work, count, writer, staged, token, progress)
    except BaseException:
        writer.abandon()
        raise


class _Count:
    """What went by: rows and NULLs, up to the limit."""

    def __init__(self, limit: int | None, feed: Feed) -> None:
        self.feed = feed
        self.limit = limit
        self.rows = 0
        self.cut = False
        self.nulls = [0] * len(feed.reader.columns)

    def kept(self, piece: Any) -> Any:
        """Give what the limit leaves of a piece: None for nothing."""
        left = None if self.limit is None else self.limit - self.rows
        if left is None or self.feed.rows(piece) <= left:
            return piece
        self.cut = True
        return self.feed.first(piece, left) if left else None

    def add(self, piece: Any, nulls: Sequence[int]) -> None:
        self.rows += self.feed.rows(piece)
        self.nulls = [before + more for before, more in zip(self.nulls, nulls, strict=True)]


def _pump(work: Work, count: _Count, writer: Writer, token: CancelToken, progress: Progress) -> None:
    feed = count.feed
    interrupt = work.source.interrupt
    with reading_ahead(feed.pieces(), size=feed.size, interrupt=interrupt, again=(TextUnclear,)) as pieces:
        for piece in pieces:
            token.check()
            reach("batch")
            kept = count.kept(piece)
            if kept is not None:
                count.add(kept, feed.write(writer, kept))
            progress.rows = count.rows
            if count.cut:
                break
            del piece, kept  # else they would stay while the next ones are waited for


def _finished(
    work: Work, count: _Count, writer: Writer, staged: Staged, token: CancelToken, progress: Progress
) -> Written:
    token.check()
    progress.phase = Phase.PUBLISHING
    reach("before_finish")
    writer.finish()
    if writer.rows_in_file != count.rows:
        raise ReceiptMismatch(read=count.rows, written=writer.rows_in_file)
    reader, compiled = count.feed.reader, work.compiled
    limit = {"limit": compiled.limit, "source": compiled.limit_source} if count.cut else None
    return Written(
        staged=staged,
        columns=reader.columns,
        nulls={column.name: nulls for column, nulls in zip(reader.columns, count.nulls, strict=True)},
        row_count=count.rows,
        rows_in_file=writer.rows_in_file,
        limit_applied=limit,
        notices=(*reader.notices(), *writer.notices(), *_limit_notice(limit)),
        snapshot=work.source.snapshot,
    )


def _limit_notice(limit: Mapping[str, Any] | None) -> tuple[Notice, ...]:
    if limit is None:
        return ()
    whose = "the request's limit" if limit["source"] == "request" else "this server's MAX_ROWS"
    message = f"The file stops at {limit['limit']} rows by {whose}; there are more in the database"
    return (Notice(code="rows_cut", count=None, message=message),)
