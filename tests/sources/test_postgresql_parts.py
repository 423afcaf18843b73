"""A whole table read through several sessions at once gives what one stream gives, and leaves nothing behind."""

import csv
import io
import threading
from dataclasses import replace

import psycopg
import pyarrow as pa
import pytest

from exporter.failures import ExportFailed, QueryFailed, SourceUnavailable
from exporter.sources.base import Cells, Form, Kind, RowText
from exporter.sources.postgresql import parts
from exporter.sources.postgresql.copyblocks import CopyStream
from exporter.sources.postgresql.pages import Part
from exporter.sources.postgresql.session import Session
from exporter.sources.registry import open_source
from tests.postgres_server import execute, fresh_role
from tests.sources.reading import limits, values, whole
from tests.sources.test_postgresql_types import OWN_TYPES, TYPES, has_xml

ROWS = 20_000
WAYS = ["text", "typed", "csv"]
FILLED = (
    "CREATE TABLE {name}(i int, b text)",
    f"INSERT INTO {{name}} SELECT i, repeat('x', 40) FROM generate_series(1, {ROWS}) i",
)


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    """Cut tables of a few pages already."""
    monkeypatch.setattr(parts, "SMALLEST", 8192)
    monkeypatch.setattr(parts, "PART", 16384)


@pytest.fixture(autouse=True)
def _no_thread_left():
    yield
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("exporter-read")] == []


@pytest.fixture
def sessions(monkeypatch):
    """The sessions that were opened beside a source's own, which waits with its first row for them."""
    opened = []
    tried = threading.Event()
    share, opening, start = Session.share, Session.beside, CopyStream._start

    def sharing(session):
        tried.clear()
        share(session)

    def beside(session):
        try:
            opened.append(opening(session))
            return opened[-1]
        finally:
            tried.set()

    def starting(stream):
        assert stream._session._shared is None or tried.wait(60)
        start(stream)

    monkeypatch.setattr(Session, "share", sharing)
    monkeypatch.setattr(Session, "beside", beside)
    monkeypatch.setattr(CopyStream, "_start", starting)
    return opened


@pytest.fixture
def filled(connected):
    """Open a source with a table of so many rows that it is cut."""

    def make(name, **changes):
        return connected(*(statement.format(name=name) for statement in FILLED), **changes)

    return make


def asked(source, name):
    relation = source.relation(name)
    statement = whole(relation)
    return replace(statement, sql=statement.sql.replace("%", "%%"), whole=relation)


def csv_text(columns, delimiter=","):
    before = ("", *[delimiter] * (len(columns) - 1))
    return RowText(cells=Cells.CSV, before=before, end="", between="\n")


def reading(source, statement, way):
    """Begin to read; gives the reader and its iterator of batches or chunks."""
    if way == "csv":
        reader = source.read_text(statement, csv_text(statement.columns))
        return reader, reader.chunks()
    reader = source.read(statement, Form(way))
    return reader, reader.batches()


def rows_of(items):
    """Give all rows of batches or chunks, sorted and comparable."""
    rows = []
    for item in items:
        if isinstance(item, pa.RecordBatch):
            rows.extend(map(repr, values([numbered(item)])))
        else:
            lines = item.data.split(b"\n")
            assert len(lines) == item.rows
            rows.extend(lines)
    return sorted(rows)


def numbered(batch):
    """Count days and microseconds, of which Python's own dates have too few."""
    columns = [
        column.view(pa.int32() if column.type == pa.date32() else pa.int64())
        if pa.types.is_temporal(column.type)
        else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def read_whole(source, name, way):
    statement = asked(source, name)
    return rows_of(reading(source, statement, way)[1])


def selects(source, name, relation=None):
    statement = asked(source, name)
    select = source._session.bound(statement.sql, statement.parameters)
    return parts.parts_of(source._session, select, relation or statement.whole)


@pytest.mark.parametrize("way", WAYS)
def test_parts_give_what_one_stream_gives(filled, connected, sessions, way):
    several = read_whole(filled(f"alike_{way}"), f"alike_{way}", way)
    assert len(several) == ROWS
    assert len(sessions) == 1
    assert several == read_whole(connected(parallel_reads=1), f"alike_{way}", way)
    assert len(sessions) == 1


@pytest.fixture(scope="module")
def hostile(postgres_module):
    """A table of all types, each value of each in some row beside a NULL of the next."""
    execute(postgres_module, *OWN_TYPES)
    with psycopg.connect(postgres_module, autocommit=True) as connection:
        types = [name for name in TYPES if name != "xml" or has_xml(connection)]
        columns = ", ".join(f"c{place} {name}" for place, name in enumerate(types))
        connection.execute(f"CREATE TABLE hostile({columns})")
        marks = ", ".join(f"%s::text::{name}" for name in types)
        spellings = [[*TYPES[name], None] for name in types]
        for row in range(max(map(len, spellings)) * 3):
            values_of_row = [each[(row + place) % len(each)] for place, each in enumerate(spellings)]
            connection.execute(f"INSERT INTO hostile VALUES ({marks})", values_of_row)
    return "hostile"


@pytest.mark.parametrize("way", WAYS)
def test_parts_hold_every_value_of_every_type(hostile, connected, sessions, way):
    several = records(connected(), hostile, way)
    assert len(sessions) == 1
    assert several == records(connected(parallel_reads=1), hostile, way)


def records(source, name, way):
    """Give the sorted rows, also of a CSV that holds newlines, and the notices."""
    statement = asked(source, name)
    reader, items = reading(source, statement, way)
    if way == "csv":
        data = b"\n".join(item.data for item in items).decode()
        rows = sorted(csv.reader(io.StringIO(data, newline="")))
    else:
        rows = rows_of(items)
    return rows, reader.notices()


@pytest.mark.parametrize("way", WAYS)
def test_parts_are_one_snapshot_while_a_writer_updates_moves_and_deletes(
    filled, connected, backend, sessions, way
):
    name = f"moving_{way}"
    source = filled(name)
    expected = read_whole(connected(parallel_reads=1), name, way)
    statement = asked(source, name)
    reader, items = reading(source, statement, way)
    first = next(items)
    backend(f"UPDATE {name} SET i = -i, b = 'moved'")
    backend(f"DELETE FROM {name} WHERE i % 2 = 0")
    backend(f"INSERT INTO {name} SELECT i FROM generate_series(1, 1000) i")
    assert rows_of([first, *items]) == expected
    assert len(sessions) == 1
    assert reader.notices() == ()


@pytest.fixture
def backend(postgres_module):
    """Run statements beside the source."""
    with psycopg.connect(postgres_module, autocommit=True) as connection:

        def ask(sql):
            return connection.execute(sql)

        yield ask


def test_a_table_under_reading_cannot_be_truncated(filled, backend):
    source = filled("kept_whole")
    statement = asked(source, "kept_whole")
    reader = source.read(statement, Form.TEXT)
    backend("SET lock_timeout = '50ms'")
    with pytest.raises(psycopg.errors.LockNotAvailable):
        backend("TRUNCATE kept_whole")
    assert sum(batch.num_rows for batch in reader.batches()) == ROWS


def test_rows_that_came_after_the_table_was_measured_are_read(filled, monkeypatch):
    """The last part has no end, so that a table measured too small loses nothing."""
    source = filled("grown")
    monkeypatch.setattr(parts, "MEASURE", "SELECT 4, 32768 WHERE %s <> %s")
    assert len(selects(source, "grown")) == 2
    assert len(read_whole(source, "grown", "text")) == ROWS


def test_long_values_beside_the_pages_make_parts_of_fewer_pages(connected):
    """Else a part of a table with long texts would be many times as large as it is meant to be."""
    source = connected(
        "CREATE TABLE long_texts(i int, b text)",
        "ALTER TABLE long_texts ALTER b SET STORAGE EXTERNAL",
        "INSERT INTO long_texts SELECT i, repeat('x', 16000) FROM generate_series(1, 300) i",
    )
    ((pages, size),) = source._session.rows(parts.MEASURE, ["public", "long_texts"])
    assert size > 300 * 16000 > pages * 8192
    assert len(selects(source, "long_texts")) == pages
    assert len(read_whole(source, "long_texts", "csv")) == 300


@pytest.mark.parametrize("way", WAYS)
def test_an_interrupt_ends_all_parts(filled, sessions, monkeypatch, way):
    source = filled(f"stopped_{way}")
    reader, items = reading(source, asked(source, f"stopped_{way}"), way)
    next(items)
    source.interrupt()
    with pytest.raises(QueryFailed, match="interrupted"):
        list(items)
    reader.close()
    assert all(session.connection.closed for session in sessions)


@pytest.mark.parametrize("way", WAYS)
def test_a_read_that_is_closed_early_leaves_no_thread_and_a_usable_source(filled, sessions, way):
    name = f"early_{way}"
    source = filled(name)
    reader, items = reading(source, asked(source, name), way)
    next(items)
    reader.close()
    reader.close()
    assert all(session.connection.closed for session in sessions)
    assert len(read_whole(source, name, way)) == ROWS


def test_a_read_that_never_begins_is_closed(filled, sessions):
    source = filled("never_begun")
    for way in WAYS:
        reading(source, asked(source, "never_begun"), way)[0].close()
    assert sessions == []


@pytest.mark.parametrize("way", WAYS)
def test_a_part_whose_server_process_dies_fails_the_read(filled, postgres_module, monkeypatch, way):
    name = f"killed_{way}"
    source = filled(name)
    opening = Session.beside
    read = CopyStream._block
    victims = set()

    def beside(session):
        joined = opening(session)
        victims.add(joined)
        return joined

    def killing(stream):
        if stream._session in victims:
            execute(
                postgres_module, f"SELECT pg_terminate_backend({stream._session.connection.info.backend_pid})"
            )
            victims.clear()
        return read(stream)

    monkeypatch.setattr(Session, "beside", beside)
    monkeypatch.setattr(CopyStream, "_block", killing)
    waited = holding_back_the_first_session(monkeypatch, source)
    with pytest.raises(SourceUnavailable):
        list(reading(source, asked(source, name), way)[1])
    assert waited.is_set()
    assert source.relations() is not None


def holding_back_the_first_session(monkeypatch, source):
    """Let the source's own session begin only when the other one has begun, so that both take part."""
    begun = threading.Event()
    start = CopyStream._start

    def starting(stream):
        if stream._session is source._session:
            assert begun.wait(60)
        else:
            begun.set()
        start(stream)

    monkeypatch.setattr(CopyStream, "_start", starting)
    return begun


def test_both_sessions_take_parts(filled, sessions, monkeypatch):
    source = filled("shared_out")
    begun = holding_back_the_first_session(monkeypatch, source)
    assert len(read_whole(source, "shared_out", "text")) == ROWS
    assert begun.is_set()
    assert sessions[0].snapshot_id == source.snapshot.id
    assert sessions[0].connection.closed


@pytest.mark.parametrize("way", WAYS)
def test_where_no_further_connection_is_given_one_reads_all(postgres_module, tmp_path, sessions, way):
    with fresh_role(postgres_module) as (url, role):
        execute(
            postgres_module,
            *(statement.format(name=f"lonely_{way}") for statement in FILLED),
            f"GRANT SELECT ON lonely_{way} TO {role}",
            f"ALTER ROLE {role} CONNECTION LIMIT 1",
        )
        source = open_source(url, limits(tmp_path))
        assert len(selects(source, f"lonely_{way}")) > 1
        assert len(read_whole(source, f"lonely_{way}", way)) == ROWS
        source.close()
    assert sessions == []


def test_a_role_that_may_read_only_some_columns_reads_them_in_one_stream(postgres_module, tmp_path, sessions):
    with fresh_role(postgres_module) as (url, role):
        execute(
            postgres_module,
            *(statement.format(name="partly") for statement in FILLED),
            f"GRANT SELECT (i) ON partly TO {role}",
        )
        source = open_source(url, limits(tmp_path))
        assert [column.name for column in source.relation("partly").columns] == ["i"]
        rows = len(read_whole(source, "partly", "text"))
        source.close()
    assert (rows, len(sessions)) == (ROWS, 0)


def test_another_snapshot_than_the_sources_own_is_not_read(filled, monkeypatch):
    source = filled("strayed")
    monkeypatch.setattr(source._session, "snapshot_id", "1:1:")
    source._session.share()
    with pytest.raises(SourceUnavailable, match="another snapshot"):
        source._session.beside()
    source._session.unshare()


def test_nobody_joins_a_snapshot_that_is_shared_no_more(filled):
    source = filled("unshared")
    source._session.share()
    source._session.unshare()
    with pytest.raises(ExportFailed, match="shared no more"):
        source._session.beside()


def test_a_session_that_still_waits_for_its_server_does_not_hold_up_the_end(filled, monkeypatch):
    """A pool of connections may let a client wait for its turn for as long as the first one reads."""
    source = filled("pooled")
    welcome = Session.welcome
    waiting = threading.Event()

    def hanging(host, guest):
        name = welcome(host, guest)
        waiting.set()
        with guest.failures():
            guest.connection.execute("SELECT pg_sleep(600)")
        return name

    monkeypatch.setattr(Session, "welcome", hanging)
    start = CopyStream._start
    monkeypatch.setattr(CopyStream, "_start", lambda stream: waiting.wait(60) and start(stream))
    assert sum(batch.num_rows for batch in source.read(asked(source, "pooled"), Form.TEXT).batches()) == ROWS


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (("CREATE VIEW a_view AS SELECT 'x'::text AS ctid, i FROM {t}",), "a_view"),
        (
            (
                "CREATE TABLE parted(i int, b text) PARTITION BY RANGE (i)",
                f"CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO ({ROWS + 1})",
                "INSERT INTO parted SELECT * FROM {t}",
            ),
            "parted",
        ),
        (
            (
                "CREATE TABLE parent(i int, b text)",
                "CREATE TABLE child() INHERITS (parent)",
                "INSERT INTO parent SELECT * FROM {t} LIMIT 10000",
                "INSERT INTO child SELECT * FROM {t} OFFSET 10000",
            ),
            "parent",
        ),
    ],
    ids=["view", "partitioned", "inherited"],
)
def test_what_is_no_plain_table_is_read_in_one_stream(filled, connected, sessions, make, name):
    filled(f"under_{name}")
    source = connected(*(statement.format(t=f"under_{name}") for statement in make))
    for way in WAYS:
        assert len(read_whole(source, name, way)) == ROWS
    assert sessions == []


@pytest.mark.parametrize(
    "make",
    [
        ("CREATE MATERIALIZED VIEW plain_0 AS SELECT * FROM {t}",),
        (
            "CREATE TABLE over_1(i int, b text) PARTITION BY RANGE (i)",
            f"CREATE TABLE plain_1 PARTITION OF over_1 FOR VALUES FROM (0) TO ({ROWS + 1})",
            "INSERT INTO over_1 SELECT * FROM {t}",
        ),
        (
            "CREATE TABLE plain_2(gone int, i int, lost text, b text)",
            "INSERT INTO plain_2 SELECT 1, i, 'l', b FROM {t}",
            "ALTER TABLE plain_2 DROP gone, DROP lost, ADD added int DEFAULT 7",
        ),
        ('CREATE TABLE plain_3("a""b%s" int, "%(x)s """ text)', "INSERT INTO plain_3 SELECT * FROM {t}"),
    ],
    ids=["materialized", "one partition", "dropped columns", "names"],
)
def test_what_is_stored_as_a_plain_table_is_read_in_parts(filled, connected, sessions, request, make):
    place = ["materialized", "one partition", "dropped columns", "names"].index(request.node.callspec.id)
    filled(f"below_{place}")
    source = connected(*(statement.replace("{t}", f"below_{place}") for statement in make))
    name = f"plain_{place}"
    for way in WAYS:
        assert read_whole(source, name, way) == read_whole(connected(parallel_reads=1), name, way)
    assert len(sessions) == len(WAYS)


def test_a_table_whose_name_has_quotes_and_percent_signs_is_read_in_parts(filled, connected, sessions):
    filled("plainly_named")
    odd = 'odd "%s" %(x)s'
    quoted = odd.replace('"', '""')
    source = connected(f'ALTER TABLE plainly_named RENAME TO "{quoted}"')
    assert len(read_whole(source, f"public.{odd}", "csv")) == ROWS
    assert len(sessions) == 1


@pytest.mark.parametrize("way", WAYS)
def test_an_empty_table_has_no_rows(connected, sessions, way):
    source = connected(f"CREATE TABLE empty_{way}(a int, b text)")
    assert read_whole(source, f"empty_{way}", way) == []
    assert sessions == []


def test_a_table_whose_rows_are_all_deleted_has_none(filled, backend, sessions):
    source = filled("emptied")
    source.close()
    backend("DELETE FROM emptied")
    source = filled("emptied_beside")
    assert len(selects(source, "emptied")) > 1
    assert read_whole(source, "emptied", "csv") == []


def test_small_tables_conditions_and_old_servers_are_read_in_one_stream(filled, monkeypatch):
    source = filled("judged")
    assert len(selects(source, "judged")) > 1
    statement = whole(source.relation("judged"))
    assert source._parts(statement, b"SELECT 1") == [Part(select=b"SELECT 1")]
    monkeypatch.setattr(parts, "RANGES", 10**6)
    assert len(selects(source, "judged")) == 1
    monkeypatch.setattr(parts, "RANGES", 0)
    monkeypatch.setattr(parts, "SMALLEST", 16 << 20)
    assert len(selects(source, "judged")) == 1


def test_notices_of_all_parts_are_added_up(connected):
    source = connected(
        "CREATE TABLE endless(d date, pad text)",
        f"INSERT INTO endless SELECT 'infinity', 'x' FROM generate_series(1, {ROWS})",
    )
    reader, items = reading(source, asked(source, "endless"), "typed")
    assert len(rows_of(items)) == ROWS
    assert [(notice.code, notice.count) for notice in reader.notices()] == [("infinity_as_null", ROWS)]


def test_the_time_limit_is_one_for_all_parts(filled, monkeypatch):
    started = []
    source = filled("timed")
    start = source._session.watch.start
    monkeypatch.setattr(source._session.watch, "start", lambda: started.append(start()))
    read_whole(source, "timed", "text")
    assert len(started) == 1
    assert Kind.INTEGER in {column.kind for column in source.relation("timed").columns}
