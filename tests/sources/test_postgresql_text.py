"""CSV that PostgreSQL writes is, byte for byte, what the writer of CSV would have made of the same rows."""

import io

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from exporter.failures import QueryFailed, ValueUnwritable
from exporter.formats import registry
from exporter.formats.base import WriterRequest
from exporter.formats.options import parse_options
from exporter.sources.base import Cells, Form, Kind, RowText
from exporter.sources.postgresql.copyblocks import BLOCK_ROWS, Block, CopyStream
from exporter.sources.postgresql.textreader import copy_options
from tests.postgres_server import execute
from tests.sources.reading import ordered, statement, whole
from tests.sources.test_postgresql_types import OWN_TYPES, TYPES, has_xml

DELIMITERS = [",", ";", "|", "\t", ":", "-", ".", " ", "'", "\\", "~"]
TEXT = ("a", Kind.TEXT)
NUMBER = ("b", Kind.INTEGER)


def row_text(width, delimiter=",", *, end="", between="\n"):
    return RowText(cells=Cells.CSV, before=("", *[delimiter] * (width - 1)), end=end, between=between)


def by_server(source, asked, delimiter=","):
    reader = source.read_text(asked, row_text(len(asked.columns), delimiter))
    chunks = list(reader.chunks())
    assert reader.notices() == ()
    assert all(chunk.rows for chunk in chunks)
    return "".join(chunk.data.decode() + "\n" for chunk in chunks), sum(chunk.rows for chunk in chunks)


def by_writer(source, asked, delimiter=","):
    entry = registry.get("csv")
    options = {**parse_options(entry, {}, defaults={}), "delimiter": delimiter}
    stream = io.BytesIO()
    writer = entry.open_writer(
        WriterRequest(stream=stream, columns=asked.columns, options=options, include_headers=False)
    )
    for batch in source.read(asked, Form.TEXT).batches():
        writer.write(batch)
    writer.finish()
    return stream.getvalue().decode(), writer.rows_in_file


@pytest.fixture(scope="module")
def hostile(postgres_module):
    """Tables of one column and of two for each type."""
    execute(postgres_module, *OWN_TYPES)
    with psycopg.connect(postgres_module, autocommit=True) as connection:
        types = [name for name in TYPES if name != "xml" or has_xml(connection)]
        columns = ", ".join(f"c{place} {name}" for place, name in enumerate(types))
        connection.execute(f"CREATE TABLE hostile(place serial, {columns})")
        names = ", ".join(f"c{place}" for place in range(len(types)))
        marks = ", ".join(f"%s::text::{name}" for name in types)
        for row in range(max(map(len, TYPES.values())) + 1):
            each = [([*TYPES[name], None] * 40)[row] for name in types]
            connection.execute(f"INSERT INTO hostile({names}) VALUES ({marks})", each)
    return types


@pytest.mark.parametrize("delimiter", DELIMITERS)
def test_every_value_of_every_type_is_spelled_as_the_writer_spells_it(hostile, connected, delimiter):
    source = connected()
    asked = ordered(source, "hostile")
    assert len(asked.columns) == len(hostile) + 1
    assert by_server(source, asked, delimiter) == by_writer(source, asked, delimiter)


def test_a_column_alone_is_spelled_as_the_writer_spells_it(hostile, connected):
    """Alone, an empty row is a NULL and some values mean something else to COPY."""
    source = connected()
    compared = 0
    for column in source.relation("hostile").columns:
        asked = statement(f'SELECT "{column.name}" FROM hostile ORDER BY place', (column.name, column.kind))
        if source.read_text(asked, row_text(1)) is not None:
            assert by_server(source, asked) == by_writer(source, asked)
            compared += 1
    assert compared > len(hostile) // 2


ANY_TEXT = st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
NASTY = st.text(alphabet='",;\r\n\\.N\t \ufeff=x')
CELLS = st.one_of(st.none(), ANY_TEXT, NASTY)


@settings(
    max_examples=25,
    deadline=None,
    phases=(Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    rows=st.lists(st.tuples(CELLS, CELLS, st.one_of(st.none(), st.floats())), min_size=1, max_size=30),
    delimiter=st.sampled_from(DELIMITERS),
)
def test_any_texts_and_numbers_are_spelled_as_the_writer_spells_them(
    connected, postgres_module, rows, delimiter
):
    with psycopg.connect(postgres_module, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS anything(place serial, a text, b varchar, f float8)")
        connection.execute("TRUNCATE anything")
        connection.cursor().executemany("INSERT INTO anything(a, b, f) VALUES (%s, %s, %s)", rows)
    source = connected()
    asked = ordered(source, "anything")
    try:
        assert by_server(source, asked, delimiter) == by_writer(source, asked, delimiter)
    finally:
        source.close()


def test_rows_that_are_ended_instead_of_joined_keep_their_last_newline(connected):
    source = connected()
    asked = statement("SELECT i, 'x' AS a FROM generate_series(1, 3) i", ("i", Kind.INTEGER), TEXT)
    (chunk,) = source.read_text(asked, row_text(2, end="\n", between="")).chunks()
    assert (chunk.data, chunk.rows) == (b'1,"x"\n2,"x"\n3,"x"\n', 3)


def test_many_rows_come_in_chunks(connected):
    source = connected()
    count = BLOCK_ROWS * 2 + 5
    asked = statement(f"SELECT i AS b, 'x' AS a FROM generate_series(1, {count}) i", NUMBER, TEXT)
    chunks = list(source.read_text(asked, row_text(2)).chunks())
    assert [chunk.rows for chunk in chunks] == [BLOCK_ROWS, BLOCK_ROWS, 5]
    lines = b"\n".join(chunk.data for chunk in chunks).split(b"\n")
    assert lines == [f'{i},"x"'.encode() for i in range(1, count + 1)]


def test_no_rows_are_no_chunk(connected):
    asked = statement("SELECT 1 AS b, 'x' AS a WHERE false", NUMBER, TEXT)
    assert list(connected().read_text(asked, row_text(2)).chunks()) == []


def test_names_are_quoted_and_parameters_bound(connected):
    odd = 'a "b" %(x)s, (c)'
    doubled = odd.replace('"', '""').replace("%", "%%")
    asked = statement(
        f'SELECT %(v)s::text AS "{doubled}", 1 AS b', (odd, Kind.TEXT), NUMBER, v='it\'s "so" 100%'
    )
    assert by_server(connected(), asked) == ('"it\'s ""so"" 100%",1\n', 1)


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ((), row_text(1)),
        ((NUMBER,), row_text(1)),
        ((TEXT, NUMBER), row_text(2, between="\r\n")),
        ((TEXT, NUMBER), row_text(2, end="\n", between="\n")),
        ((TEXT, NUMBER), row_text(2, "\n")),
        ((TEXT, NUMBER), row_text(2, '"')),
        ((TEXT, NUMBER), row_text(2, "§")),
        ((TEXT, NUMBER), row_text(2, "::")),
        ((TEXT, NUMBER), row_text(3)),
        ((TEXT, NUMBER), RowText(cells=Cells.JSON, before=('{"a":', ',"b":'), end="}", between="\n")),
        ((TEXT, NUMBER), RowText(cells=Cells.CSV, before=("-", ","), end="", between="\n")),
        ((TEXT, TEXT), row_text(2)),
        ((("é" * 32, Kind.TEXT), NUMBER), row_text(2)),
    ],
    ids=["none", "number alone", "crlf", "blank lines", "newline", "quote", "two bytes", "two characters", "width",
         "json", "lead", "same names", "long name"],
)  # fmt: skip
def test_what_copy_cannot_write_is_left_to_the_writer(connected, columns, text):
    asked = statement("SELECT 1", *columns)
    assert copy_options(asked.columns, text) is None
    assert connected().read_text(asked, text) is None


def test_text_that_is_not_utf8_fails_with_its_row_and_column(connected, monkeypatch):
    asked = statement("SELECT 'x' AS a, 1 AS b", TEXT, NUMBER)
    reader = connected().read_text(asked, row_text(2))
    good, bad = b'"\xc3\xa9\n",1\n', b'"\xc3\xa9""",1\n"\xe9",\n'
    blocks = [Block(data=good * 4, rows=4), Block(data=bad, rows=2)]
    monkeypatch.setattr(CopyStream, "blocks", lambda _: iter(blocks))
    with pytest.raises(ValueUnwritable) as failed:
        list(reader.chunks())
    assert failed.value.facts == {"row": 6, "column": "a", "reason": "the text is not valid UTF-8"}


def test_a_query_that_fails_says_why_and_leaves_the_source(connected):
    source = connected("CREATE TABLE after_failure(i int, a text)")
    asked = statement("SELECT 1 / (i - i) AS b, 'x' AS a FROM generate_series(1, 9) i", NUMBER, TEXT)
    with pytest.raises(QueryFailed, match="division by zero"):
        by_server(source, asked)
    assert by_server(source, whole(source.relation("after_failure"))) == ("", 0)


def test_chunks_left_early_end_the_query(connected):
    source = connected()
    asked = statement("SELECT i AS b, 'x' AS a FROM generate_series(1, 100000000) i", NUMBER, TEXT)
    reader = source.read_text(asked, row_text(2))
    next(reader.chunks())
    reader.close()
    assert by_server(source, statement("SELECT 1 AS b, 'x' AS a", NUMBER, TEXT)) == ('1,"x"\n', 1)
