"""Every value of every type that PostgreSQL has comes out as it is."""

from decimal import Decimal

import psycopg
import pyarrow as pa
import pytest

from exporter.sources.base import Form
from tests.postgres_server import execute
from tests.sources.reading import ordered, read, values

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
    source = connected()
    _, got = read(source, ordered(source, table))
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
