"""Rows, blocks and encodings: what is read from PostgreSQL is what is there, whatever its shape."""

from datetime import UTC, date, datetime, time
from decimal import Decimal

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from exporter.failures import QueryFailed, ValueUnwritable
from exporter.sources.base import Form, Kind, SchemaBroken
from exporter.sources.postgresql.copyblocks import BLOCK_BYTES, BLOCK_ROWS, Block, CopyStream
from exporter.sources.postgresql.copytext import TextParser, has_escapes
from tests.postgres_server import fresh_database
from tests.sources.reading import ordered, read, read_table, statement, values, whole


def test_ordinary_values_in_python_terms(connected):
    source = connected(
        "CREATE TABLE plain(d date, t time, ts timestamp, tz timestamptz, n numeric(5, 2), b bytea)",
        "INSERT INTO plain VALUES ('2024-02-29', '10:30', '2024-01-31 10:00:00.5', '2024-01-31 10:00+02', 1.5, '\\x00ff')",
    )
    _, table = read_table(source, "plain", Form.TYPED)
    (row,) = values(table)
    assert row[:3] == (date(2024, 2, 29), time(10, 30), datetime(2024, 1, 31, 10, 0, 0, 500000))
    assert row[3] == datetime(2024, 1, 31, 8, 0, tzinfo=UTC)
    assert row[4:] == (Decimal("1.50"), b"\x00\xff")


def test_a_value_beyond_a_type_changes_nothing_around_it(connected):
    source = connected(
        "CREATE TABLE around(place int, d date, t time, ts timestamptz, n numeric(5, 2), f real, b bytea, x text)",
        "INSERT INTO around VALUES (1, '2024-02-29', '10:30', '2024-01-31 10:00+00', 1.5, 0.5, '\\x5c', E'a\\\\b\\n')",
        "INSERT INTO around VALUES (2, 'infinity', '10:30', '2024-01-31 10:00+00', 1.5, 0.5, '\\x5c', E'a\\\\b\\n')",
        "INSERT INTO around(place) VALUES (3)",
    )
    _, table = read(source, ordered(source, "around"), Form.TYPED)
    first, second, third = values(table)
    assert first[1:5] == (
        date(2024, 2, 29),
        time(10, 30),
        datetime(2024, 1, 31, 10, tzinfo=UTC),
        Decimal("1.50"),
    )
    assert first[5:] == (0.5, b"\\", "a\\b\n")
    assert second == (2, None, *first[2:])
    assert third == (3, *[None] * 7)


def test_rows_that_do_not_arrive_as_sent_fail_the_read(connected, monkeypatch):
    reader = connected().read(statement("SELECT 'x' AS a", ("a", Kind.TEXT)), Form.TEXT)
    put_under(monkeypatch, Block(data=b"x\ny\n", rows=3))
    with pytest.raises(QueryFailed, match="3 rows came but 2 were understood"):
        list(reader.batches())


def put_under(monkeypatch, *blocks):
    monkeypatch.setattr(CopyStream, "blocks", lambda _: iter(blocks))


def test_one_column_of_empty_texts_keeps_its_rows(connected):
    source = connected("CREATE TABLE empties(c text)", "INSERT INTO empties VALUES (''), (NULL), (''), ('')")
    for form in Form:
        assert values(read_table(source, "empties", form)[1]) == [("",), (None,), ("",), ("",)]


def test_byte_order_marks_survive_at_the_start_of_every_block(connected):
    source = connected(
        "CREATE TABLE marks(c text, n int)",
        f"INSERT INTO marks SELECT chr(65279) || i, i FROM generate_series(1, {BLOCK_ROWS * 2 + 5}) i",
    )
    _, table = read_table(source, "marks")
    assert table.column("c").to_pylist() == [f"\ufeff{n}" for n in range(1, BLOCK_ROWS * 2 + 6)]


def test_a_table_of_marks_alone_survives(connected):
    source = connected(
        "CREATE TABLE marks_alone(c text)",
        "INSERT INTO marks_alone VALUES (chr(65279)), (chr(65279) || chr(65279))",
    )
    assert values(read_table(source, "marks_alone")[1]) == [("\ufeff",), ("\ufeff\ufeff",)]


def test_wide_cells_are_read_and_blocks_stay_small(connected):
    source = connected(
        "CREATE TABLE wide(n int, c text)",
        "INSERT INTO wide SELECT i, 'x' FROM generate_series(1, 1000) i",
        "INSERT INTO wide SELECT i, repeat(chr(233), 3000000) FROM generate_series(1001, 1006) i",
    )
    reader = source.read(whole(source.relation("wide")), Form.TEXT)
    batches = list(reader.batches())
    assert max(batch.nbytes for batch in batches) < BLOCK_BYTES + 8_000_000
    assert [len(text) for batch in batches for text in batch.column(1).to_pylist()] == [1] * 1000 + [
        3_000_000
    ] * 6


def test_a_thousand_columns_are_read(connected):
    names = [f"c{n}" for n in range(1000)]
    source = connected(
        f"CREATE TABLE broad({', '.join(f'{name} int' for name in names)})",
        f"INSERT INTO broad SELECT {', '.join(str(n) for n in range(1000))} FROM generate_series(1, 50)",
    )
    for form in Form:
        _, table = read_table(source, "broad", form)
        assert table.column_names == names
        assert values(table)[49] == tuple(str(n) if form is Form.TEXT else n for n in range(1000))


def test_an_empty_table_gives_no_batch(connected):
    source = connected("CREATE TABLE nothing(a int, b text)")
    reader, batches = read_table(source, "nothing", Form.TYPED)
    assert batches == []
    assert [column.name for column in reader.columns] == ["a", "b"]


def test_a_table_without_columns_is_refused(connected):
    source = connected("CREATE TABLE bare()", "INSERT INTO bare DEFAULT VALUES")
    with pytest.raises(QueryFailed, match="no columns"):
        source.read(statement("SELECT FROM bare"), Form.TEXT)


@pytest.mark.parametrize("form", list(Form))
def test_text_that_is_not_utf8_fails_with_its_row_and_column(connected, form, monkeypatch):
    """Servers from 15 on let none out that is known of, so the block is put under the reader."""
    reader = connected().read(
        statement("SELECT 'é' AS a, 'x' AS b", ("a", Kind.TEXT), ("b", Kind.TEXT)), form
    )
    blocks = [Block(data="é\tx\n".encode() * 4, rows=4), Block(data="é\tx\né\t".encode() + b"\xe9\n", rows=2)]
    put_under(monkeypatch, *blocks)
    with pytest.raises(ValueUnwritable) as failed:
        list(reader.batches())
    assert failed.value.facts == {"row": 6, "column": "b", "reason": "the text is not valid UTF-8"}


def test_a_database_without_encoding_is_read_as_far_as_it_is_utf8(connected, postgres_url):
    with fresh_database(
        postgres_url, "ENCODING SQL_ASCII TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
    ) as url:
        source = connected(
            "CREATE TABLE t(a text)",
            "INSERT INTO t VALUES ('é')",
            "CREATE TABLE u(a text)",
            "INSERT INTO u VALUES (convert_from('\\x61ff', 'SQL_ASCII'))",
            url=url,
        )
        assert values(read_table(source, "t")[1]) == [("é",)]
        with pytest.raises(QueryFailed, match="invalid byte sequence"):
            read_table(source, "u")
        source.close()


def test_a_value_of_another_type_than_announced_breaks_the_schema_and_care_mends_it(connected):
    source = connected()
    asked = statement("SELECT 'a' AS c, 1 AS d", ("c", Kind.INTEGER), ("d", Kind.TEXT))
    with pytest.raises(SchemaBroken):
        read(source, asked, Form.TYPED)
    reader, table = read(source, asked, Form.TYPED, careful=True)
    assert [column.kind for column in reader.columns] == [Kind.TEXT, Kind.INTEGER]
    assert values(table) == [("a", 1)]


def test_parameters_are_quoted_by_the_driver(connected):
    source = connected(
        "CREATE TABLE quoted_values(c text, n numeric)",
        "INSERT INTO quoted_values VALUES (E'a''b\\\\c%', -1.5), ('x', 2)",
    )
    asked = statement(
        "SELECT c FROM quoted_values WHERE c = %(c)s AND n = %(n)s AND c LIKE '%%'",
        ("c", Kind.TEXT),
        c="a'b\\c%",
        n=Decimal("-1.5"),
    )
    assert values(read(source, asked)[1]) == [("a'b\\c%",)]


@pytest.mark.parametrize("bad", ["a\x00b", object(), "\ud800"])
def test_a_value_that_postgresql_cannot_take_fails_the_query(connected, bad):
    source = connected()
    with pytest.raises(QueryFailed):
        source.read(statement("SELECT %(v)s AS c", ("c", Kind.TEXT), v=bad), Form.TEXT)
    assert values(read(source, statement("SELECT 1 AS c", ("c", Kind.TEXT)))[1]) == [("1",)]


TEXTS = st.lists(
    st.tuples(st.one_of(st.none(), st.text()), st.one_of(st.none(), st.text(alphabet="\\Nntab\t\n\r\ufeff"))),
    min_size=1,
)


def copied(value):
    """Write a value as COPY does, from the rules of its documentation."""
    if value is None:
        return "\\N"
    escapes = {"\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
    return "".join(escapes.get(character, character) for character in value)


@given(TEXTS.filter(lambda rows: not any("\0" in (text or "") for row in rows for text in row)))
def test_any_texts_survive_copys_escapes(rows):
    data = "".join("\t".join(map(copied, row)) + "\n" for row in rows).encode()
    a, b = TextParser([None, None]).parse(Block(data=data, rows=len(rows)))
    assert list(zip(a.to_pylist(), b.to_pylist(), strict=True)) == rows
    assert has_escapes(data) or not any(
        set(text or "") & set("\\\b\f\n\r\t\v") for row in rows for text in row
    )


NUMBERS = st.tuples(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.floats(width=32),
    st.decimals(min_value=-(10**28), max_value=10**28, places=4, allow_nan=False),
    st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    st.binary(),
    st.dates(),
    st.datetimes().map(lambda moment: moment.replace(fold=0)),
    st.times().map(lambda moment: moment.replace(fold=0)),
)


@settings(
    max_examples=25,
    deadline=None,
    phases=(Phase.reuse, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rows=st.lists(NUMBERS, min_size=1, max_size=30))
def test_any_values_survive_a_round_trip(connected, postgres_module, rows):
    with psycopg.connect(postgres_module) as connection:
        connection.execute("DROP TABLE IF EXISTS trip")
        connection.execute(
            "CREATE TABLE trip(place serial, i bigint, f float8, r real, n numeric(33,4), t text, b bytea, d date, ts timestamp, ti time)"
        )
        with connection.cursor() as cursor:
            cursor.executemany(
                f"INSERT INTO trip(i, f, r, n, t, b, d, ts, ti) VALUES ({', '.join(['%s'] * 9)})", rows
            )
    source = connected()
    _, table = read(source, ordered(source, "trip"), Form.TYPED)
    source.close()
    assert [repr(row[1:]) for row in values(table)] == [repr(row) for row in rows]
