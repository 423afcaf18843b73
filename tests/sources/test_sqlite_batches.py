"""Batches that Arrow parses from what SQLite spells hold what the reader of single values gives, to the last bit."""

from dataclasses import replace

import apsw
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from exporter.failures import ValueUnwritable
from exporter.sources.base import Form, SchemaBroken
from exporter.sources.sqlite import parts
from exporter.sources.sqlite.tablebatches import KINDS, TableBatches
from tests.sources.reading import fill, make_file, open_file, spelled, told_apart, values
from tests.sources.test_sqlite_text import table_statement
from tests.sources.test_sqlite_values import ANY_VALUE, DECLARED, HOSTILE

INTEGERS = st.integers(-(2**63), 2**63 - 1)
REALS = st.floats(allow_nan=False)
SMALL = st.floats(-1e9, 1e9)
TEXTS = st.one_of(st.text(), st.sampled_from([value for value in HOSTILE if isinstance(value, str)]))
LIKE_NUMBERS = st.sampled_from(["5", "0x10", "nan", "inf", "null", " 7 ", "1e5", "", "true"])


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(parts, "FIRST_ROWS", 3)
    monkeypatch.setattr(parts, "MOST_ROWS", 7)


@pytest.fixture(params=[Form.TYPED, Form.TEXT], ids=["typed", "text"])
def form(request):
    return request.param


def read_both(source, name="t", form=Form.TYPED):
    """Give the rows of both readers; None for one whose schema broke.

    In a TEXT read the type of a column may change from batch to batch, and what a value is may not.
    """
    asked = table_statement(source, name)
    outcomes = []
    for statement in (asked, replace(asked, whole=None)):
        reader = source.read(statement, form)
        in_parts = statement.whole is not None and all(column.kind in KINDS[form] for column in asked.columns)
        assert isinstance(reader, TableBatches) == in_parts
        try:
            batches = [told_apart(batch, reader.columns) for batch in reader.batches()]
            schemas = {batch.schema for batch in batches if form is Form.TYPED}
            outcomes.append((spelled(values(batches)), schemas))
        except SchemaBroken:
            outcomes.append(None)
        finally:
            reader.close()
    parsed, taken = outcomes
    if form is Form.TEXT and parsed is None:
        blobs = ("b'", 'b"')  # nothing else breaks it
        assert any(value.startswith(blobs) for row in taken[0] for value in row)
        return taken, taken
    return parsed, taken


@pytest.mark.parametrize("connections", [1, 2, 3])
@given(
    rows=st.lists(
        st.tuples(
            st.one_of(st.none(), INTEGERS),
            st.one_of(st.none(), REALS),
            st.one_of(st.none(), SMALL, st.integers(-(2**53), 2**53)),
            st.one_of(st.none(), TEXTS),
            st.one_of(st.none(), TEXTS),
            st.one_of(st.none(), st.binary()),
            st.one_of(st.none(), SMALL),
        ),
        min_size=1,
        max_size=30,
    )
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_tame_columns_are_alike(tmp_path, small_parts, form, connections, rows):
    path = tmp_path / f"{connections}.db"
    path.unlink(missing_ok=True)
    variant = "x" if form is Form.TYPED else "x REAL"
    fill(path, f"i INTEGER, r REAL, n DECIMAL(9, 2), t TEXT, d DATE, b BLOB, {variant}", rows)
    source = open_file(path, parallel_reads=connections)
    try:
        parsed, taken = read_both(source, form=form)
    finally:
        source.close()
    assert parsed == taken


@pytest.mark.parametrize("connections", [1, 3])
@given(
    tame=st.integers(0, 20),
    rows=st.lists(st.tuples(*[st.one_of(ANY_VALUE, LIKE_NUMBERS)] * 6), min_size=1, max_size=12),
)
@example(tame=3, rows=[("0x10", "nan", "null", 5, 7, 0), (1, 2, 3, 4, 5, b"")])
@example(tame=3, rows=[(1, 0.5, 0.5, "x", 5, b"y"), ("0x10", 0.5, 0.5, "x", "y", b"y")])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_values_are_alike_or_break_both_schemas(tmp_path, small_parts, form, connections, tame, rows):
    path = tmp_path / f"{connections}.db"
    path.unlink(missing_ok=True)
    tame_rows = [(n, n + 0.25, n, str(n), f"2024-{n}", bytes([n])) for n in range(tame)]
    blob = "b" if form is Form.TYPED else "b BLOB"
    fill(path, f"i INTEGER, r REAL, n NUMERIC, t TEXT, d DATE, {blob}", [*tame_rows, *rows])
    source = open_file(path, parallel_reads=connections)
    try:
        parsed, taken = read_both(source, form=form)
    finally:
        source.close()
    assert parsed == taken


def test_a_blob_that_passes_for_json_is_no_text_that_is_not_valid(tmp_path, opened, form):
    """SQLite spells the blob's two bytes as if they were a number's digits."""
    fill(tmp_path / "a.db", "r REAL, t TEXT", [(b"#\x96\xd7", "x")])
    parsed, taken = read_both(opened(tmp_path / "a.db"), form=form)
    assert parsed == taken
    assert (parsed is None) == (form is Form.TYPED)


@pytest.mark.parametrize("declared", DECLARED)
@pytest.mark.parametrize("others", [[None], ["1"] * 9])
def test_a_value_among_others_is_alike(tmp_path, opened, small_parts, form, declared, others):
    connection = apsw.Connection(str(tmp_path / "a.db"))
    with connection:
        for number, value in enumerate(HOSTILE):
            connection.execute(f"CREATE TABLE t{number}(c {declared})")
            rows = [(other,) for other in (*others, value, *others)]
            connection.executemany(f"INSERT INTO t{number} VALUES (?)", rows)
    connection.close()
    source = opened(tmp_path / "a.db")
    for number in range(len(HOSTILE)):
        parsed, taken = read_both(source, f"t{number}", form)
        assert parsed == taken


@pytest.mark.parametrize(
    "made", ["z REAL AS (-0.0)", "j TEXT AS (json(a))", "n TEXT AS (7)", "b BLOB AS (jsonb(a))"]
)
def test_generated_columns_are_alike(tmp_path, opened, form, made):
    path = make_file(
        tmp_path / "a.db", f"CREATE TABLE t(a TEXT, {made})", "INSERT INTO t(a) VALUES ('[1, 2]')"
    )
    parsed, taken = read_both(opened(path), form=form)
    assert parsed == taken


@pytest.mark.parametrize("width", [899, 1000, 2000])
def test_as_many_columns_as_sqlite_allows_are_alike(tmp_path, opened, width):
    fill(
        tmp_path / "a.db",
        ", ".join(f"c{n}" for n in range(width)),
        [tuple(n if n % 2 else str(n) for n in range(width))] * 3,
    )
    parsed, taken = read_both(opened(tmp_path / "a.db"))
    assert parsed == taken
    assert parsed is not None


def test_large_cells_are_alike_and_come_one_by_one(tmp_path, opened):
    fill(
        tmp_path / "a.db", "c TEXT, b BLOB", [("x", b"y")] * 3000 + [("é" * (5 << 20), b"z" * (4 << 20))] * 3
    )
    source = opened(tmp_path / "a.db")
    reader = source.read(table_statement(source), Form.TYPED)
    sizes = [batch.nbytes for batch in reader.batches()]
    reader.close()
    assert max(sizes) < (15 << 20)
    parsed, taken = read_both(source)
    assert parsed == taken


def test_an_empty_table_gives_no_batch(tmp_path, opened):
    fill(tmp_path / "a.db", "a INTEGER, b", [])
    source = opened(tmp_path / "a.db")
    reader = source.read(table_statement(source), Form.TYPED)
    assert list(reader.batches()) == []
    reader.close()


def test_text_that_is_not_utf8_fails_with_its_row_and_column(tmp_path, opened):
    fill(tmp_path / "a.db", "a TEXT, b TEXT", [("fine", "é")] * 700)
    make_file(tmp_path / "a.db", "UPDATE t SET b = CAST(x'61ff' AS TEXT) WHERE rowid = 601")
    source = opened(tmp_path / "a.db")
    reader = source.read(table_statement(source), Form.TYPED)
    with pytest.raises(ValueUnwritable) as failed:
        list(reader.batches())
    reader.close()
    assert failed.value.facts == {"row": 601, "column": "b", "reason": "the text is not valid UTF-8"}


def test_other_tables_and_encodings_are_read_value_by_value(tmp_path, opened):
    make_file(tmp_path / "a.db", "CREATE TABLE t(a PRIMARY KEY) WITHOUT ROWID", "INSERT INTO t VALUES ('x')")
    make_file(
        tmp_path / "b.db", "PRAGMA encoding = 'UTF-16le'", "CREATE TABLE t(a)", "INSERT INTO t VALUES ('x')"
    )
    for name in ("a.db", "b.db"):
        source = opened(tmp_path / name)
        reader = source.read(table_statement(source), Form.TYPED)
        assert not isinstance(reader, TableBatches)
        assert pa.Table.from_batches(reader.batches()).to_pylist() == [{"a": "x"}]
        reader.close()
