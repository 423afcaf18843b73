"""Rows that SQLite spells itself are, byte for byte, what the writers make of the same rows' batches."""

import io
from dataclasses import replace

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.failures import ValueUnwritable
from exporter.formats import registry
from exporter.formats.base import WriterRequest
from exporter.formats.json import layout_of
from exporter.formats.options import parse_options
from exporter.sources.base import Cells, Form, Kind, RowText
from exporter.sources.sqlite import parts
from tests.sources.reading import fill, make_file, open_file, quoted, statement, whole
from tests.sources.test_sqlite_values import ANY_VALUE, DECLARED, HOSTILE

LAYOUTS = (
    ("csv", {}),
    ("csv", {"delimiter": ";", "line_terminator": "\r\n"}),
    ("csv", {"delimiter": "tab"}),
    ("csv", {"delimiter": "["}),
    ("json", {"layout": "array"}),
    ("json", {"layout": "lines"}),
    ("json", {"layout": "columns"}),
    ("json", {"layout": "array", "indent": 2}),
    ("json", {"layout": "columns", "indent": 3}),
)


def options_of(format_name, changes=None):
    return parse_options(registry.get(format_name), changes or {}, defaults={})


def row_text(columns, format_name, options):
    if format_name == "json":
        layout = layout_of(columns, options)
        return RowText(cells=Cells.JSON, before=layout.before, end=layout.end, between=layout.between)
    before = ("", *[options["delimiter"]] * (len(columns) - 1))
    return RowText(cells=Cells.CSV, before=before, end="", between=options["line_terminator"])


def table_statement(source, name="t"):
    relation = source.relation(name)
    return replace(whole(relation), whole=relation)


def by_batches(source, asked, format_name, options):
    """Give the rows as the writer writes them, without what stands before the first and after the last."""
    stream = io.BytesIO()
    entry = registry.get(format_name)
    writer = entry.open_writer(
        WriterRequest(stream=stream, columns=asked.columns, options=options, include_headers=False)
    )
    reader = source.read(replace(asked, whole=None), Form.TEXT)  # value by value
    for batch in reader.batches():
        writer.write(batch)
    reader.close()
    writer.finish()
    if format_name == "csv":
        return stream.getvalue().removesuffix(options["line_terminator"].encode())
    layout = layout_of(asked.columns, options)
    return stream.getvalue().removeprefix(layout.opening.encode()).removesuffix(layout.closing.encode())


def by_text(source, asked, text):
    reader = source.read_text(asked, text)
    try:
        chunks = list(reader.chunks())
    finally:
        reader.close()
    return text.between.encode().join(chunk.data for chunk in chunks), sum(chunk.rows for chunk in chunks)


def compare(source, asked, format_name="csv", changes=None):
    options = options_of(format_name, changes)
    made, rows = by_text(source, asked, row_text(asked.columns, format_name, options))
    assert made == by_batches(source, asked, format_name, options)
    return made, rows


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(parts, "FIRST_ROWS", 3)
    monkeypatch.setattr(parts, "MOST_ROWS", 7)


@pytest.mark.parametrize(("format_name", "changes"), LAYOUTS)
@pytest.mark.parametrize("declared", DECLARED)
def test_every_value_in_every_declared_type_is_spelled_alike(
    tmp_path, opened, declared, format_name, changes
):
    fill(
        tmp_path / "a.db",
        f"c {declared}, d {declared}",
        [(v, w) for v, w in zip(HOSTILE, reversed(HOSTILE), strict=True)],
    )
    source = opened(tmp_path / "a.db")
    asked = table_statement(source)
    _, rows = compare(source, asked, format_name, changes)
    assert rows == len(HOSTILE)
    compare(source, replace(asked, whole=None), format_name, changes)


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_late_among_tame_ones_is_spelled_alike(tmp_path, opened, small_parts, value):
    rows = [(number, number + 0.5, str(number), f"2024-01-{number:02}", None) for number in range(20)]
    fill(
        tmp_path / "a.db",
        "i INTEGER, r REAL, t TEXT, d DATE, n NUMERIC",
        [*rows, (value,) * 5, *rows],
    )
    source = opened(tmp_path / "a.db")
    for format_name, changes in LAYOUTS:
        compare(source, table_statement(source), format_name, changes)


@pytest.mark.parametrize("connections", [1, 2, 3])
@given(
    rows=st.lists(st.tuples(ANY_VALUE, ANY_VALUE, ANY_VALUE, ANY_VALUE), min_size=1, max_size=30),
    layout=st.sampled_from(LAYOUTS),
)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_rows_are_spelled_alike(tmp_path, small_parts, connections, rows, layout):
    path = tmp_path / f"{connections}.db"
    path.unlink(missing_ok=True)
    fill(path, "a INTEGER, b REAL, c TEXT, d", rows)
    source = open_file(path, parallel_reads=connections)
    try:
        compare(source, table_statement(source), *layout)
    finally:
        source.close()


@pytest.mark.parametrize("connections", [1, 2, 3])
def test_rows_come_in_the_order_of_their_ids(tmp_path, opened, connections):
    path = make_file(tmp_path / "a.db", "CREATE TABLE t(id INTEGER PRIMARY KEY, c TEXT)")
    ids = [-(2**63), -(2**62), -5, -1, 0, 7, *range(100, 20_000), 2**40, 2**62, 2**63 - 2, 2**63 - 1]
    connection = apsw.Connection(str(path))
    with connection:
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(n, "x" * (n % 50)) for n in reversed(ids)])
    connection.close()
    source = opened(path, parallel_reads=connections)
    made, rows = compare(source, table_statement(source))
    assert rows == len(ids)
    assert [int(line.split(b",")[0]) for line in made.split(b"\n")] == ids


@pytest.mark.parametrize("declared", ["id INTEGER PRIMARY KEY, c", "id INTEGER, c"])
def test_an_empty_table_gives_no_chunk(tmp_path, opened, declared):
    fill(tmp_path / "a.db", declared, [])
    source = opened(tmp_path / "a.db")
    assert by_text(source, table_statement(source), row_text((None, None), "csv", options_of("csv"))) == (
        b"",
        0,
    )


@pytest.mark.parametrize("names", [("rowid",), ("rowid", "OID"), ("rowid", "oid", "_rowid_")])
def test_columns_that_hide_the_row_id_change_nothing(tmp_path, opened, small_parts, names):
    columns = ", ".join(f"{name} INTEGER" for name in names)
    fill(tmp_path / "a.db", f"{columns}, c TEXT", [(*[7] * len(names), str(n)) for n in range(50)])
    source = opened(tmp_path / "a.db")
    assert compare(source, table_statement(source))[1] == 50


def test_names_with_quotes_are_only_names(tmp_path, opened):
    name = """it's "odd" [t] ` %s ?1 :a"""
    path = make_file(
        tmp_path / "a.db",
        f"CREATE TABLE {quoted(name)}({quoted(name)} TEXT, {quoted('é' + chr(127))} INTEGER)",
        f"INSERT INTO {quoted(name)} VALUES ('a', 1), (NULL, 2)",
    )
    source = opened(path)
    for format_name, changes in LAYOUTS:
        compare(source, table_statement(source, name), format_name, changes)


@pytest.mark.parametrize(
    "made",
    [
        "CREATE TABLE t(a TEXT PRIMARY KEY, b REAL) WITHOUT ROWID",
        "CREATE TABLE t(a TEXT, b REAL) STRICT",
        "CREATE TABLE t(a TEXT, b ANY) STRICT",
        "CREATE TABLE t(a TEXT COLLATE NOCASE, b REAL)",
        "CREATE TABLE u(x TEXT, y); CREATE VIEW t(a, b) AS SELECT x, y FROM u; INSERT INTO u VALUES ('q', 1.0)",
        "CREATE VIRTUAL TABLE t USING fts5(a, b)",
    ],
)
def test_tables_of_all_kinds_are_spelled_alike(tmp_path, opened, made):
    path = make_file(tmp_path / "a.db", made)
    if "VIEW" not in made:
        make_file(path, "INSERT INTO t(a, b) VALUES ('x', 0.5), ('y\"', 1e300)")
    source = opened(path)
    for format_name, changes in LAYOUTS:
        assert compare(source, table_statement(source), format_name, changes)[1] >= 1


def test_generated_columns_and_late_defaults_are_spelled_alike(tmp_path, opened):
    path = make_file(
        tmp_path / "a.db",
        "CREATE TABLE t(a TEXT, j TEXT AS (json(a)), z REAL AS (-0.0), s TEXT AS (json(a)) STORED)",
        "INSERT INTO t(a) VALUES ('[1, 2]')",
        "ALTER TABLE t ADD COLUMN late REAL DEFAULT -0.0",
    )
    source = opened(path)
    for format_name, changes in LAYOUTS:
        compare(source, table_statement(source), format_name, changes)


def test_json_made_by_a_query_is_a_text(tmp_path, opened):
    fill(tmp_path / "a.db", "c TEXT", [("[1, 2]",)])
    source = opened(tmp_path / "a.db")
    asked = statement("SELECT json(c) AS j FROM t", ("j", Kind.TEXT))
    assert compare(source, asked, "json", {"layout": "lines"})[0] == b'{"j":"[1,2]"}'


def test_a_collation_that_is_not_known_here_is_not_needed(tmp_path, opened):
    path = tmp_path / "a.db"
    connection = apsw.Connection(str(path))
    connection.create_collation("own", lambda a, b: (a > b) - (a < b))
    connection.execute("CREATE TABLE t(a TEXT COLLATE own, b INTEGER COLLATE own)")
    connection.execute("INSERT INTO t VALUES ('x', 1), ('y', 2)")
    connection.close()
    source = opened(path)
    text = row_text((None, None), "csv", options_of("csv"))
    assert by_text(source, table_statement(source), text) == (b'"x",1\n"y",2', 2)


def test_parameters_are_bound(tmp_path, opened):
    fill(tmp_path / "a.db", "c INTEGER", [(1,), (2,), (3,)])
    source = opened(tmp_path / "a.db")
    asked = statement("SELECT c FROM t WHERE c > :least ORDER BY c DESC", ("c", Kind.INTEGER), least=1)
    assert compare(source, asked) == (b"3\n2", 2)


@pytest.mark.parametrize("width", [449, 451, 899, 901, 1000, 1999, 2000])
@pytest.mark.parametrize(("format_name", "changes"), [LAYOUTS[0], LAYOUTS[1], LAYOUTS[5], LAYOUTS[8]])
def test_as_many_columns_as_sqlite_allows_are_spelled(tmp_path, opened, width, format_name, changes):
    fill(tmp_path / "a.db", ", ".join(f"c{n}" for n in range(width)), [tuple(range(width))] * 3)
    source = opened(tmp_path / "a.db")
    compare(source, table_statement(source), format_name, changes)


def test_large_cells_come_one_by_one_and_do_not_pile_up(tmp_path, opened):
    rows = [("x",)] * 3000 + [("y" * (10 << 20),)] * 4 + [("z",)] * 3000
    fill(tmp_path / "a.db", "c TEXT", rows)
    source = opened(tmp_path / "a.db")
    asked = table_statement(source)
    reader = source.read_text(asked, row_text(asked.columns, "csv", options_of("csv")))
    sizes, rows_read = [], 0
    for chunk in reader.chunks():
        sizes.append(len(chunk.data))
        rows_read += chunk.rows
    reader.close()
    assert rows_read == len(rows)
    assert max(sizes) < (11 << 20)


@pytest.mark.parametrize("form", ["table", "statement"])
@pytest.mark.parametrize("broken", ["61ff", "eda080", "c080", "f8888080", "c3"])
def test_text_that_is_not_utf8_fails_with_its_row_and_column(tmp_path, opened, form, broken):
    fill(tmp_path / "a.db", "a TEXT, b TEXT", [("fine", "é")] * 700)
    make_file(tmp_path / "a.db", f"UPDATE t SET b = CAST(x'{broken}' AS TEXT) WHERE rowid = 601")
    source = opened(tmp_path / "a.db")
    asked = table_statement(source)
    asked = asked if form == "table" else replace(asked, whole=None)
    with pytest.raises(ValueUnwritable) as failed:
        by_text(source, asked, row_text(asked.columns, "csv", options_of("csv")))
    assert failed.value.facts == {"row": 601, "column": "b", "reason": "the text is not valid UTF-8"}


@pytest.mark.parametrize("encoding", ["UTF-16le", "UTF-16be"])
def test_other_encodings_are_left_to_the_reader_of_batches(tmp_path, opened, encoding):
    path = make_file(tmp_path / "a.db", f"PRAGMA encoding = '{encoding}'", "CREATE TABLE t(c TEXT)")
    source = opened(path)
    asked = table_statement(source)
    assert source.read_text(asked, row_text(asked.columns, "csv", options_of("csv"))) is None
