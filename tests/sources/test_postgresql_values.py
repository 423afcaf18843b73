"""Every value of every type that PostgreSQL has comes out as it is."""

from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from types import SimpleNamespace

import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from exporter.errors import QueryFailed, ValueUnwritable
from exporter.sources.base import Form, Kind, SchemaBroken
from exporter.sources.postgresql.copyblocks import BLOCK_BYTES, BLOCK_ROWS, Block
from exporter.sources.postgresql.copytext import TextParser, has_escapes
from tests.postgres_server import execute, fresh_database
from tests.sources.reading import read, read_table, statement, values, whole

BEYOND = 2**63 - 1
TYPES = {
    "smallint": ("-32768", "32767", "0"),
    "integer": ("-2147483648", "2147483647"),
    "bigint": ("-9223372036854775808", "9223372036854775807", "9007199254740993"),
    "oid": ("0", "4294967295"),
    "real": ("0.1", "-0", "NaN", "Infinity", "-Infinity", "1e-45", "3.4028235e38", "16777217"),
    "double precision": ("0.1", "-0", "NaN", "Infinity", "-Infinity", "5e-324", "1.7976931348623157e308", "1e16", "0.30000000000000004"),
    "numeric": ("0", "NaN", "1e-10", "-123456789012345678901234567890123456789012.0001", "0.10"),
    "numeric(10,2)": ("99999999.99", "-0.01", "NaN", "1"),
    "numeric(38,10)": ("1234567890123456789012345678.0123456789",),
    "numeric(60,20)": ("1234567890123456789012345678901234567890.01234567890123456789", "-0.00000000000000000001"),
    "numeric(4,0)": ("9999", "-1"),
    "boolean": ("t", "f"),
    "text": ("", "a", "007", "NULL", "\\N", "\\.", "\\", "\\\\", "\\n", "\\\\n", "a\\", "\t", "\n", "\r\n", "\b\f\v", "\x01\x1f\x7f", "'\"", ",;|", "\ufeff", "\ufeffx", "é日本😀", "\u2028\x85", " x ", "=1+1", "t", "NaN", "infinity"),
    "varchar(5)": ("abcde", ""),
    "char(5)": ("a", ""),
    '"char"': ("x", ""),
    "name": ("a name",),
    "date": ("2024-02-29", "0001-01-01", "9999-12-31", "10000-01-01", "5874897-12-31", "0001-12-31 BC", "4713-01-01 BC", "infinity", "-infinity", "1969-12-31"),
    "time": ("00:00:00", "23:59:59.999999", "24:00:00", "12:30:00.5"),
    "time(0)": ("12:30:01",),
    "timetz": ("00:00:00+00", "24:00:00-15:59", "12:30:00.5+05:30"),
    "timestamp": ("2024-01-31 10:00:00", "2024-01-31 10:00:00.000001", "0001-01-01 00:00:00", "9999-12-31 23:59:59.999999", "10000-01-01 00:00:00", "294247-01-10 04:00:54.775807", "294276-12-31 23:59:59.999999", "4713-01-01 00:00:00 BC", "0044-03-15 12:00:00.25 BC", "infinity", "-infinity", "1969-12-31 23:59:59.999999"),
    "timestamptz": ("2024-01-31 10:00:00+05:30", "0001-01-01 00:00:00+00", "10000-01-01 00:00:00.5+00", "4713-01-01 00:00:00+00 BC", "infinity", "-infinity", "1883-11-18 12:03:58-04:56:02"),
    "interval": ("1 year 2 mons 3 days 04:05:06.789", "-1 day", "0", "178000000 years"),
    "bytea": ("\\x", "\\x00", "\\x5c5c0a09", "\\xdeadbeef"),
    "uuid": ("123e4567-e89b-12d3-a456-426614174000",),
    "json": ('{"a": [1, "b\\n\\\\", null], "a": 1e400}', "null", '"\\u00e9"', '  {"spaces" :1}'),
    "jsonb": ('{"b": 1, "a": "tab\\t"}', "123456789012345678901234567890.10"),
    "money": ("1234.50", "-92233720368547758.08"),
    "inet": ("10.0.0.1/8", "::1"),
    "cidr": ("10.0.0.0/8",),
    "macaddr": ("08:00:2b:01:02:03",),
    "bit(5)": ("10101",),
    "varbit": ("1", ""),
    "xml": ("<a>é &amp; b</a>",),
    "tsvector": ("'a':1 'b\\\\':2",),
    "tsquery": ("'a' & 'b'",),
    "point": ("(1.5,-2)",),
    "polygon": ("((0,0),(1,1),(1,0))",),
    "int4range": ("[1,5)", "empty", "(,)"),
    "tstzrange": ('["2024-01-01 00:00:00+00",infinity)',),
    "integer[]": ("{}", "{1,NULL,-3}", "{{1,2},{3,4}}", "[0:1]={5,6}"),
    "text[]": ('{"a b",NULL,"NULL","","\\\\","\\"",é,"a,b","{}"}',),
    "numeric(5,2)[]": ("{1.50,NaN}",),
    "timestamptz[]": ('{"2024-01-31 10:00:00+00",infinity}',),
    "pg_lsn": ("16/B374D848",),
    "int2vector": ("1 2 3",),
    "xid": ("4294967295",),
    "mood": ("happy", "so so", "\\"),
    "pair": ('(1,"a b")', "(,)"),
    "positive": ("5",),
    "price": ("12.50",),
    "tags": ("{a,b}",),
}  # fmt: skip
OWN_TYPES = (
    "CREATE TYPE mood AS ENUM ('happy', 'so so', '\\')",
    "CREATE TYPE pair AS (a int, b text)",
    "CREATE DOMAIN positive AS integer CHECK (VALUE > 0)",
    "CREATE DOMAIN amount AS numeric(8, 2)",
    "CREATE DOMAIN price AS amount CHECK (VALUE >= 0)",
    "CREATE DOMAIN tags AS text[]",
)
SESSION = (
    "SET TimeZone = 'UTC'",
    "SET IntervalStyle = 'postgres'",
    "SET bytea_output = 'hex'",
    "SET DateStyle = 'ISO'",
)


@pytest.fixture(scope="module")
def typed(postgres_module):
    """A table `v_<n>` for each type, and what PostgreSQL itself says of its values."""
    execute(postgres_module, *OWN_TYPES)
    tables = {}
    with psycopg.connect(postgres_module, autocommit=True) as connection:
        for setting in SESSION:
            connection.execute(setting)
        for number, (name, spellings) in enumerate(TYPES.items()):
            table = f"v_{number}"
            if name == "xml" and not has_xml(connection):
                continue
            connection.execute(f"CREATE TABLE {table}(place serial, c {name})")
            for spelling in (*spellings, None):
                connection.execute(f"INSERT INTO {table}(c) VALUES (%s::text::{name})", [spelling])
            rows = connection.execute(
                f"SELECT CASE WHEN c IS NOT NULL OR c::text IS NOT NULL THEN format('%s', c) END FROM {table} ORDER BY place"
            ).fetchall()
            tables[name] = (table, rows)
    return tables


def has_xml(connection):
    """Tell whether this server was built with XML."""
    try:
        return bool(connection.execute("SELECT '<a/>'::xml").fetchall())
    except psycopg.errors.FeatureNotSupported:
        return False


@pytest.mark.parametrize("name", TYPES)
def test_a_text_read_gives_each_value_as_postgresql_spells_it(typed, connected, name):
    table, spellings = typed.get(name) or pytest.skip("this server was built without XML")
    asked = whole(connected().relation(table))
    source = connected()
    _, got = read(source, replace(asked, sql=asked.sql + " ORDER BY place"))
    assert [value for _, value in values(got)] == [spelling for (spelling,) in spellings]


MOMENT = "((({0}::date - date '1970-01-01') * 86400::numeric + extract(epoch FROM {0}::time)) * 1000000)::numeric(40, 0)"
FINITE = "CASE WHEN isfinite(c) THEN {} END"
ORACLES = {
    "date": "CASE WHEN isfinite(c) THEN c - date '1970-01-01' END",
    "timestamp": FINITE.format(MOMENT.format("c")),
    "timestamptz": FINITE.format(MOMENT.format("(c AT TIME ZONE 'UTC')")),
    "time": "CASE WHEN c < '24:00' THEN (extract(epoch FROM c) * 1000000)::bigint END",
    "time(0)": "(extract(epoch FROM c) * 1000000)::bigint",
    "numeric(10,2)": "nullif(c, 'NaN')",
    "numeric(38,10)": "c",
    "numeric(60,20)": "c",
    "numeric(4,0)": "c",
    "price": "c::numeric",
    "smallint": "c",
    "integer": "c",
    "bigint": "c",
    "oid": "c::bigint",
    "positive": "c::integer",
    "real": "c::float8",
    "double precision": "c",
    "boolean": "c",
    "bytea": "c",
}
ARROW_TYPES = {
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", "UTC"),
    "time": pa.time64("us"),
    "time(0)": pa.time64("us"),
    "numeric(10,2)": pa.decimal128(10, 2),
    "numeric(38,10)": pa.decimal128(38, 10),
    "numeric(60,20)": pa.decimal256(60, 20),
    "numeric(4,0)": pa.decimal128(4, 0),
    "price": pa.decimal128(8, 2),
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "positive": pa.int32(),
    "bigint": pa.int64(),
    "oid": pa.int64(),
    "real": pa.float32(),
    "double precision": pa.float64(),
    "boolean": pa.bool_(),
    "bytea": pa.binary(),
}


def ordered(source, table):
    asked = whole(source.relation(table))
    return replace(asked, sql=asked.sql + " ORDER BY place")


@pytest.mark.parametrize("name", ORACLES)
def test_a_typed_read_gives_each_value_exactly_or_a_counted_null(typed, connected, postgres_module, name):
    table, _ = typed[name]
    with psycopg.connect(postgres_module) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        expected = [
            value for (value,) in connection.execute(f"SELECT {ORACLES[name]} FROM {table} ORDER BY place")
        ]
        (given,) = connection.execute(f"SELECT count(c) FROM {table}").fetchone()
    expected = [
        None if isinstance(value, Decimal) and name.startswith("timestamp") and value > BEYOND else value
        for value in expected
    ]
    source = connected()
    reader, got = read(source, ordered(source, table), Form.TYPED)
    column = got.column("c").combine_chunks()
    assert column.type == ARROW_TYPES[name]
    if pa.types.is_temporal(column.type):
        column = column.view(pa.int32() if name == "date" else pa.int64())
    assert [repr(same(value)) for value in column.to_pylist()] == [repr(same(value)) for value in expected]
    assert sum(notice.count for notice in reader.notices()) == given - sum(
        value is not None for value in expected
    )


def same(value):
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() and value.as_tuple().exponent == 0 else value
    return value


@pytest.mark.parametrize("name", [name for name in TYPES if name not in ORACLES])
def test_a_typed_read_gives_every_other_type_as_text(typed, connected, name):
    table, spellings = typed.get(name) or pytest.skip("this server was built without XML")
    source = connected()
    reader, got = read(source, ordered(source, table), Form.TYPED)
    assert got.schema.field("c").type == pa.string()
    assert got.column("c").to_pylist() == [spelling for (spelling,) in spellings]
    assert reader.notices() == ()


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("date", {"infinity_as_null": 2}),
        ("timestamp", {"infinity_as_null": 2, "out_of_range_as_null": 1}),
        ("timestamptz", {"infinity_as_null": 2}),
        ("time", {"time_24_as_null": 1}),
        ("numeric(10,2)", {"nan_as_null": 1}),
    ],
)
def test_what_a_type_cannot_hold_is_counted_by_its_reason(typed, connected, name, counts):
    table, _ = typed[name]
    source = connected()
    reader, _ = read(source, ordered(source, table), Form.TYPED)
    assert {notice.code: notice.count for notice in reader.notices()} == counts
    assert all("'c'" in notice.message for notice in reader.notices())


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
def test_text_that_is_not_utf8_fails_with_its_row_and_column(connected, form):
    """Servers from 15 on let none out that is known of, so the block is put under the reader."""
    reader = connected().read(
        statement("SELECT 'é' AS a, 'x' AS b", ("a", Kind.TEXT), ("b", Kind.TEXT)), form
    )
    blocks = [Block(data="é\tx\n".encode() * 4, rows=4), Block(data="é\tx\né\t".encode() + b"\xe9\n", rows=2)]
    reader._stream = SimpleNamespace(blocks=lambda: iter(blocks))
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
