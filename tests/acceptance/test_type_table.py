"""The type tables of docs/formats.md are what the code does: each cell is made by a real export.

`EXPORTER_TEST_WRITE_TABLES=1` writes the tables anew, for somebody to read and commit.
"""

import csv
import io
import json
import os
from pathlib import Path

import apsw
import openpyxl
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from exporter.formats import registry
from exporter.formats.base import WriterRequest
from exporter.formats.options import parse_options
from exporter.query import compile_query, parse_filters
from exporter.sources.base import SchemaBroken
from exporter.sources.registry import SourceLimits, open_source

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
HEAD = ["column", "value", "csv", "json", "parquet", "excel"]

POSTGRESQL = [
    ("smallint", "-32768"), ("integer", "2147483647"), ("bigint", "9223372036854775807"), ("oid", "4294967295"),
    ("numeric(12,2)", "12345.60"), ("numeric(40,10)", "123456789012345678901234567890.0123456789"),
    ("numeric", "0.00000000000000000001"), ("numeric", "NaN"), ("numeric", "-Infinity"), ("numeric(6,2)", "NaN"),
    ("numeric(5,-2)", "1234500"), ("numeric(3,5)", "0.00123"), ("numeric(90,45)", "0.1"),
    ("real", "0.1"), ("real", "16777216"), ("double precision", "0.1"), ("double precision", "-0"), ("double precision", "1e-320"),
    ("double precision", "NaN"), ("double precision", "-Infinity"),
    ("money", "$1,234.50"), ("boolean", "true"),
    ("text", 'say "hi"'), ("text", ""), ("text", "007"), ("varchar(10)", "=1+1"), ("char(5)", "ab"), ('"char"', "x"), ("name", "pg"),
    ("bytea", "\\x00ff"),
    ("date", "2024-02-29"), ("date", "1900-02-28"), ("date", "0044-03-15 BC"), ("date", "5874897-12-31"), ("date", "infinity"),
    ("timestamp", "2024-01-31 10:00:00"), ("timestamp", "2024-01-31 10:00:00.123456"), ("timestamp", "0044-03-15 12:00:00 BC"),
    ("timestamp", "294276-12-31 23:59:59"), ("timestamp", "infinity"),
    ("timestamptz", "2024-01-31 10:00:00+02"), ("timestamptz", "1883-11-18 12:03:58-04:56:02"), ("timestamptz", "-infinity"),
    ("time", "10:00:00"), ("time", "10:00:00.5"), ("time", "24:00:00"), ("timetz", "10:00:00+02"), ("timetz", "24:00:00-15:59"),
    ("interval", "1 year 2 days 03:04:05"), ("interval", "-00:00:00.000001"),
    ("uuid", "123e4567-e89b-12d3-a456-426614174000"), ("json", '{"a": 1.10}'), ("json", '{"a": 1, "a": 1e400}'), ("jsonb", '{"b": [1, null]}'),
    ("jsonpath", '$."a"[*]'),
    ("integer[]", "{1,NULL,3}"), ("integer[]", "[0:1]={1,2}"), ("integer[]", "{}"), ("integer[]", "{{{1},{2}}}"),
    ("boolean[]", "{t,f}"), ("numeric[]", "{1.50,NaN}"), ("date[]", "{2024-02-29,infinity}"),
    ("text[]", '{{a,"b c"},{NULL,"\\""}}'), ("text[]", '{NULL,"NULL",""}'), ("json[]", '{"{\\"a\\": 1}"}'),
    ("mood", "good"), ("pair", "(1,x)"), ("pair[]", '{"(1,x)"}'), ("positive", "7"),
    ("inet", "10.0.0.1/8"), ("inet", "::1"), ("cidr", "10.0.0.0/8"), ("macaddr", "08:00:2b:01:02:03"), ("macaddr8", "08:00:2b:01:02:03:04:05"),
    ("int4range", "[1,5)"), ("int8range", "empty"), ("numrange", "[1.10,)"), ("daterange", "[2024-01-01,2024-02-01)"),
    ("tsrange", '["2024-01-01 00:00:00",infinity]'), ("tstzrange", '["2024-01-01 00:00:00+00",)'),
    ("int4multirange", "{[1,3),[5,7)}"), ("datemultirange", "{}"),
    ("point", "(1,2)"), ("line", "{1,2,3}"), ("lseg", "[(0,0),(1,1)]"), ("box", "((1,1),(0,0))"), ("box[]", "{(1,1),(0,0)}"),
    ("path", "((0,0),(1,1))"), ("polygon", "((0,0),(1,1),(1,0))"), ("circle", "<(0,0),5>"),
    ("bit(3)", "101"), ("varbit", "10"), ("xml", "<a>1</a>"),
    ("tsvector", "'cat':1 'dog':2"), ("tsquery", "'cat' & 'dog'"), ("pg_lsn", "16/B374D848"), ("regclass", "pg_class"),
]  # fmt: skip
EXTENSIONS = {
    "citext": [("citext", "Straße"), ("citext[]", "{a,NULL}")],
    "hstore": [("hstore", '"a"=>"1", "b"=>NULL')],
}
SQLITE = [
    ("INTEGER", "9223372036854775807"), ("INTEGER", "1.5"), ("INTEGER", "'1'"), ("INTEGER", "'one'"),
    ("REAL", "0.1"), ("REAL", "5"), ("REAL", "9007199254740993"), ("REAL", "-0.0"), ("REAL", "5e-324"), ("REAL", "9e999"), ("REAL", "-9e999"),
    ("TEXT", "'007'"), ("TEXT", "''"), ("TEXT", "7"), ("TEXT", "x'41'"), ("TEXT", "'a' || char(0) || 'b'"), ("TEXT", "'=1+1'"),
    ("BLOB", "x'00ff'"), ("BLOB", "'text'"), ("BLOB", "1"),
    ("DECIMAL(10,2)", "12.5"), ("DECIMAL(10,2)", "12"), ("DECIMAL(10,2)", "9007199254740993"), ("DECIMAL(10,2)", "'1.10'"),
    ("BOOLEAN", "1"), ("BOOLEAN", "'true'"), ("DATE", "'2024-02-29'"), ("DATE", "20240229"), ("DATETIME", "2460370.5"),
    ("TIMESTAMP", "'2024-01-31 10:00:00'"), ("JSON", "'{\"a\": 1}'"), ("VARCHAR(2)", "'long'"),
    ("", "'text'"), ("", "x'41'"), ("", "-0.0"), ("", "NULL"),
    ("INTEGER, STRICT", "7"), ("REAL, STRICT", "7"), ("TEXT, STRICT", "7"), ("BLOB, STRICT", "x'37'"), ("ANY, STRICT", "'7'"), ("ANY, STRICT", "7.0"),
    ("TEXT, WITHOUT ROWID", "'key'"), ("INTEGER, generated", "7"), ("TEXT, in a view", "'seen'"), ("no type, an expression in a view", "1 + 1"),
]  # fmt: skip
SQLITE_TABLES = {
    "STRICT": "CREATE TABLE {table} (c {kind}) STRICT; INSERT INTO {table} VALUES ({value})",
    "WITHOUT ROWID": "CREATE TABLE {table} (c {kind} PRIMARY KEY) WITHOUT ROWID; INSERT INTO {table} VALUES ({value})",
    "generated": "CREATE TABLE base_{table} (b); INSERT INTO base_{table} VALUES ({value}); ALTER TABLE base_{table} ADD COLUMN c {kind} AS (b);"
    " CREATE VIEW {table} AS SELECT c FROM base_{table}",
    "in a view": "CREATE TABLE base_{table} (c {kind}); INSERT INTO base_{table} VALUES ({value}); CREATE VIEW {table} AS SELECT * FROM base_{table}",
    "an expression in a view": "CREATE VIEW {table} AS SELECT {value} AS c",
    "": "CREATE TABLE {table} (c {kind}); INSERT INTO {table} VALUES ({value})",
}
MIXED = ["1", "2.5", "'three'", "x'04'", "NULL"]
NULL = "(NULL)"


def write(source, format_name, table, **options):
    entry = registry.get(format_name)
    spec = parse_filters({"table": table})
    compiled = compile_query(spec, source.relation(table), dialect=source.dialect)
    for careful in (False, True):
        stream = io.BytesIO()
        reader = source.read(compiled.statement, entry.form, careful=careful)
        complete = parse_options(entry, options, defaults={})
        writer = entry.open_writer(WriterRequest(stream=stream, columns=reader.columns, options=complete))
        try:
            for batch in reader.batches():
                writer.write(batch)
            writer.finish()
        except SchemaBroken:
            writer.abandon()
            continue
        finally:
            reader.close()
        return stream.getvalue()
    raise AssertionError(table)


def exported(source, table):
    """Give the one row of a table as each format holds it."""
    line = write(source, "csv", table).decode().split("\n", 1)[1].removesuffix("\n")
    document = write(source, "json", table, layout="lines").decode()
    assert list(json.loads(document)) == ["c"]
    content = pq.read_table(io.BytesIO(write(source, "parquet", table)))
    field, value = content.schema.field(0), content.column(0)[0]
    book = openpyxl.load_workbook(io.BytesIO(write(source, "excel", table)))
    cell = book.active["A2"]
    return [
        line or NULL,
        document.removeprefix('{"c":').removesuffix("}\n"),
        f"{field.type}: {parquet_value(value)}",
        NULL if cell.value is None else f"{'text' if cell.data_type in 'st' or 'inline' in cell.data_type else cell.data_type}: {cell.value}",
    ]  # fmt: skip


def parquet_value(value):
    if not value.is_valid:
        return NULL
    if not pa.types.is_temporal(value.type):
        return str(value)
    shown = value.cast(pa.string()).as_py()
    return f"day {value.cast(pa.int32()).as_py()} after 1970-01-01" if "out of range" in shown else shown


def table_of(rows):
    def cell(text):
        shown = text.replace("|", "\\|").replace("\n", "↵").replace("\x00", "␀").replace("_x0000_", "␀")
        return f"`{shown}`" if shown else ""

    lines = ["| " + " | ".join(HEAD) + " |", "| " + " | ".join(["---"] * len(HEAD)) + " |"]
    return "\n".join([*lines, *("| " + " | ".join(cell(text) for text in row) + " |" for row in rows)])


def block(name):
    start, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(start)
    found, _, after = rest.partition(end)
    return before + start, found, end + after


def compare(name, rows):
    before, documented, after = block(name)
    if os.environ.get("EXPORTER_TEST_WRITE_TABLES") == "1":
        PAGE.write_text(before + table_of(rows) + after, encoding="utf-8")
        return
    assert documented.splitlines() == table_of(rows).splitlines()


def limits(folder):
    return SourceLimits(
        instance=folder, sqlite_roots=(folder,), forbidden_files=frozenset(), postgres_hosts=None,
        statement_timeout=60.0, connect_timeout=10.0,
    )  # fmt: skip


@pytest.mark.postgres
def test_the_table_of_postgresql(postgres_database, tmp_path):
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute("SET lc_monetary = 'C'")
        connection.execute("CREATE TYPE mood AS ENUM ('good', 'bad')")
        connection.execute("CREATE TYPE pair AS (a int, b text)")
        connection.execute("CREATE DOMAIN positive AS integer CHECK (VALUE > 0)")
    compare("postgresql", postgresql_rows(postgres_database, POSTGRESQL, tmp_path))


@pytest.mark.postgres
@pytest.mark.parametrize("extension", EXTENSIONS)
def test_the_tables_of_types_that_extensions_bring(postgres_database, tmp_path, extension):
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        known = "SELECT FROM pg_available_extensions WHERE name = %s"
        if connection.execute(known, [extension]).fetchone() is None:
            pytest.skip(f"this PostgreSQL comes without {extension}")
        connection.execute(f"CREATE EXTENSION {extension}")
    compare(extension, postgresql_rows(postgres_database, EXTENSIONS[extension], tmp_path))


def postgresql_rows(url, cells, folder):
    with psycopg.connect(url, autocommit=True) as connection:
        for number, (kind, value) in enumerate(cells):
            connection.execute(f"CREATE TABLE t{number} (c {kind})")
            connection.execute(f"INSERT INTO t{number} VALUES (%s::text::{kind})", [value])
    source = open_source(url, limits(folder))
    try:
        return [[kind, value, *exported(source, f"t{n}")] for n, (kind, value) in enumerate(cells)]
    finally:
        source.close()


def test_the_table_of_sqlite(tmp_path):
    connection = apsw.Connection(str(tmp_path / "types.db"))
    for number, (kind, value) in enumerate(SQLITE):
        declared, _, form = kind.partition(", ")
        declared = declared.removeprefix("no type")
        connection.execute(SQLITE_TABLES[form].format(table=f"t{number}", kind=declared, value=value))
    connection.close()
    source = open_source("sqlite:///types.db", limits(tmp_path))
    try:
        rows = [
            [kind or "no type", value, *exported(source, f"t{n}")] for n, (kind, value) in enumerate(SQLITE)
        ]
    finally:
        source.close()
    compare("sqlite", rows)


def test_the_table_of_one_mixed_sqlite_column(tmp_path):
    connection = apsw.Connection(str(tmp_path / "types.db"))
    connection.execute("CREATE TABLE mixed (c)")
    for value in MIXED:
        connection.execute(f"INSERT INTO mixed VALUES ({value})")
    connection.close()
    source = open_source("sqlite:///types.db", limits(tmp_path))
    try:
        lines = write(source, "csv", "mixed").decode().splitlines()[1:]
        values = [
            json.loads(line)["c"] for line in write(source, "json", "mixed", layout="lines").splitlines()
        ]
        column = pq.read_table(io.BytesIO(write(source, "parquet", "mixed"))).column(0)
        sheet = openpyxl.load_workbook(io.BytesIO(write(source, "excel", "mixed"))).active
        cells = [row[0].value for row in sheet.iter_rows(min_row=2)]
    finally:
        source.close()
    assert next(csv.reader([lines[2]])) == ["three"]
    found = zip(MIXED, lines, values, column.to_pylist(), [*cells, None], strict=False)
    compare(
        "mixed",
        [
            ["no type", value, line or NULL, json.dumps(document), f"{column.type}: {parquet or NULL}", str(cell or NULL)]
            for value, line, document, parquet, cell in found
        ],
    )  # fmt: skip
