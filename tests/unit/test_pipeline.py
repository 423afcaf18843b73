"""From a source to a staged file: rows as batches, and rows that the database spells itself."""

import gzip
import io
import json
import threading
from types import SimpleNamespace

import apsw
import pytest

from exporter.failures import ExportFailed, ReceiptMismatch
from exporter.formats import registry
from exporter.formats.base import WriterRequest
from exporter.formats.json import layout_of
from exporter.formats.options import parse_options
from exporter.jobs import readahead
from exporter.jobs.cancel import Cancelled, CancelToken, Reason
from exporter.jobs.pipeline import Work, write_rows
from exporter.jobs.progress import Progress
from exporter.query import CompiledQuery
from exporter.sources.base import Cells, Notice, Statement, TextChunk
from exporter.sources.limits import SourceLimits
from exporter.sources.sqlite.source import SqliteSource
from exporter.storage.artifacts import LocalStore
from exporter.storage.staging import StoreLimits

ROWS = [(1, "a"), (2, None), (3, "x,\n=1"), (4, "=1"), (5, ""), (None, "null"), (7, "é")]


class Spelling:
    """A TextReader over the batches of a real one, spelled by the real writers two rows at a time."""

    def __init__(self, reader, row, options, format_name, *, miscount=0):
        self.columns, self._reader, self._row = reader.columns, reader, row
        self._options, self._format, self._miscount = options, format_name, miscount
        self.closed = False

    def chunks(self):
        for batch in self._reader.batches():
            for start in range(0, batch.num_rows, 2):
                part = batch.slice(start, 2)
                yield TextChunk(data=self._spelled(part), rows=part.num_rows + self._miscount)

    def _spelled(self, batch):
        stream = io.BytesIO()
        request = WriterRequest(
            stream=stream, columns=self.columns, options=self._options, include_headers=False
        )
        registry.get(self._format).open_writer(request).write(batch)
        if self._row.cells is Cells.CSV:
            return stream.getvalue().removesuffix(self._row.between.encode())
        return stream.getvalue().removeprefix(layout_of(self.columns, self._options).opening.encode())

    def notices(self):
        return (Notice(code="spelled", count=1, message="by the database"), *self._reader.notices())

    def close(self):
        self.closed = True
        self._reader.close()


class SpellingSource(SqliteSource):
    """A SQLite file that offers its rows as text."""

    miscount = 0
    asked = 0
    format_name = "csv"
    options: dict[str, object] = {}

    def read_text(self, statement, text):
        self.asked += 1
        form = registry.get(self.format_name).form
        reader = self.read(statement, form)
        plain = {**self.options, "compression": "none"} | (
            {"encoding": "utf-8"} if "encoding" in self.options else {}
        )
        return Spelling(reader, text, plain, self.format_name, miscount=self.miscount)


@pytest.fixture
def place(tmp_path):
    path = tmp_path / "t.db"
    connection = apsw.Connection(str(path))
    connection.execute("CREATE TABLE t (n INTEGER, s TEXT)")
    connection.executemany("INSERT INTO t VALUES (?, ?)", ROWS)
    connection.close()
    store = LocalStore(tmp_path / "store", StoreLimits(min_free=0, max_file=None))
    limits = SourceLimits(instance=tmp_path, sqlite_roots=(tmp_path,))
    return SimpleNamespace(path=path, store=store, limits=limits)


def work_of(place, kind, format_name="csv", *, sql="SELECT n, s FROM t", limit=None, **raw):
    entry = registry.get(format_name)
    options = parse_options(entry, raw, defaults={})
    source = kind(place.path, place.limits)
    source.format_name, source.options = format_name, options
    columns = source.relation("t").columns
    keys = iter(range(100))
    return Work(
        source=source,
        compiled=CompiledQuery(
            statement=Statement(sql=sql, columns=columns), limit=limit, limit_source=limit and "request"
        ),
        expected=None,
        entry=entry,
        options=options,
        include_headers=True,
        file_name="t.csv",
        stage=lambda: place.store.stage(f"job-{next(keys)}"),
    )


def run(work, store):
    try:
        written = write_rows(work, CancelToken(), Progress())
    finally:
        work.source.close()
    finished = written.staged.publish()
    with store.open(finished.key, size=finished.size, sha256=finished.sha256) as file:
        data = file.read()
    store.delete(finished.key)
    return written, data


CASES = [
    ("csv", {}),
    ("csv", {"delimiter": ";", "line_terminator": "crlf", "encoding": "utf-8-sig"}),
    ("csv", {"compression": "gzip"}),
    ("json", {"layout": "lines"}),
    ("json", {"indent": 2}),
    ("json", {"layout": "columns"}),
]


@pytest.mark.parametrize("limit", [None, 1, 2, 3, 6, 7, 8])
@pytest.mark.parametrize(("format_name", "raw"), CASES)
def test_rows_that_the_database_spells_end_as_batches_do(place, format_name, raw, limit):
    sql = "SELECT n, s FROM t" + (f" LIMIT {limit + 1}" if limit else "")
    plain = run(work_of(place, SqliteSource, format_name, sql=sql, limit=limit, **raw), place.store)
    work = work_of(place, SpellingSource, format_name, sql=sql, limit=limit, **raw)
    spelled = run(work, place.store)
    assert work.source.asked == 1
    assert spelled[1] == plain[1]
    for fact in ("nulls", "row_count", "rows_in_file", "limit_applied", "columns"):
        assert getattr(spelled[0], fact) == getattr(plain[0], fact)
    assert spelled[0].notices == (
        Notice(code="spelled", count=1, message="by the database"),
        *plain[0].notices,
    )


def test_a_database_is_not_asked_for_what_the_writer_does_not_take(place):
    for format_name, raw in (("csv", {"quoting": "all"}), ("parquet", {}), ("excel", {})):
        work = work_of(place, SpellingSource, format_name, **raw)
        assert run(work, place.store)[0].row_count == len(ROWS)
        assert work.source.asked == 0


def test_a_chunk_with_other_rows_than_the_database_counted_fails_and_leaves_no_file(place):
    work = work_of(place, SpellingSource)
    work.source.miscount = 1
    with pytest.raises(ReceiptMismatch):
        write_rows(work, CancelToken(), Progress())
    work.source.close()
    assert place.store.staged() == set()


def test_text_whose_facts_are_unclear_is_read_again_as_batches_of_the_same_snapshot(place):
    connection = apsw.Connection(str(place.path))
    connection.execute("CREATE TABLE u (n REAL, s TEXT)")
    connection.executemany("INSERT INTO u VALUES (?, ?)", [(1.5, "a"), (9e999, "b"), (None, "Infinity")])
    connection.close()
    work = work_of(place, SpellingSource, "json", sql="SELECT n, s FROM u", layout="lines")
    written, data = run(work, place.store)
    assert work.source.asked == 1
    assert [json.loads(line)["n"] for line in data.splitlines()] == [1.5, "Infinity", None]
    assert written.nulls == {"n": 1, "s": 0}
    assert written.row_count == written.rows_in_file == 3
    assert place.store.staged() == set()


def test_a_value_that_does_not_fit_its_column_is_read_again_with_care(place):
    connection = apsw.Connection(str(place.path))
    connection.execute("UPDATE t SET n = 'seven' WHERE n = 7")
    connection.close()
    written, data = run(work_of(place, SqliteSource, "parquet"), place.store)
    assert written.row_count == len(ROWS)
    assert data.startswith(b"PAR1")
    assert "mixed_as_text" in {notice.code for notice in written.notices}


class CancellingStage:
    """A staged file that cancels its own job at the first write."""

    def __init__(self, staged, token):
        self._staged, self._token = staged, token

    def write(self, data):
        self._token.cancel(Reason.CANCELLED)
        return self._staged.write(data)

    def __getattr__(self, name):
        return getattr(self._staged, name)


def test_a_cancel_while_rows_are_read_ahead_ends_both_sides_and_leaves_no_file(place):
    endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT n, 'x' AS s FROM c"
    for kind in (SqliteSource, SpellingSource):
        work = work_of(place, kind, sql=endless)
        token, stage = CancelToken(), work.stage
        object.__setattr__(work, "stage", lambda stage=stage, token=token: CancellingStage(stage(), token))
        with pytest.raises((Cancelled, ExportFailed)):  # the interrupted query may be noticed first
            write_rows(work, token, Progress())
        work.source.close()
        assert token.reason is Reason.CANCELLED
        assert place.store.staged() == set()
        assert readahead.THREAD not in {thread.name for thread in threading.enumerate()}


def test_gzip_of_spelled_rows_unpacks_to_the_plain_file(place):
    packed = run(work_of(place, SpellingSource, compression="gzip"), place.store)[1]
    assert gzip.decompress(packed) == run(work_of(place, SpellingSource), place.store)[1]
