"""Any table of SQLite, in any format and under any options, holds what the database holds: every value is compared."""

import itertools
from collections.abc import Iterator
from contextlib import closing

import apsw
import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from exporter.model import Role
from tests.acceptance import judging
from tests.acceptance.exporting import Desk
from tests.acceptance.judging import EXAMPLES, judge
from tests.acceptance.options import options_of
from tests.acceptance.sqlite_oracle import Declared, SqliteOracle, fetched, narrowest
from tests.conftest import sign_in

HOSTILE = [
    "", " ", "NULL", "\\N", "\\.", '"', '""', "'", "\n", "\r", "\r\n", ",", ";", "\t", "a\0b", "\0", "\ufeff", "\ufeffx", "007", "1e5", "-1",
    "=1+1", "+x", "-x", "@x", "\tx", "\rx", "NaN", "Infinity", "true", "t", "2024-01-31", "_x0041_", "_x000D_", "\x01\x1f\x7f",
    "\ufffe\uffff", "\u2028\x85", "😀𝄞", "é日本", "<&>]]>", "{}", "[1]", "\\x00", "\\", "9223372036854775808", "'=1",
]  # fmt: skip
INTEGERS = [
    0,
    1,
    -1,
    2**31,
    2**53,
    2**53 + 1,
    -(2**53) - 1,
    10**15 - 1,
    10**15,
    -(10**15),
    2**63 - 1,
    -(2**63),
    2**60 + 1,
]
REALS = [0.0, -0.0, 0.1, 1.0, -1.5, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, 1e16, 1e15, 123456789012345680.0, 1e-7,
         0.30000000000000004, float("inf"), float("-inf"), 9007199254740993.0, 1e22, 1e100, 5e-5]  # fmt: skip
DECLARED = [
    "INTEGER",
    "REAL",
    "TEXT",
    "BLOB",
    "",
    "NUMERIC",
    "DECIMAL(10,2)",
    "BOOLEAN",
    "DATE",
    "TIMESTAMP",
    "VARCHAR(5)",
    "BIGINT",
    "JSON",
]
STRICT = {"INTEGER": int, "REAL": float, "TEXT": str, "BLOB": bytes, "ANY": object}

integers = st.sampled_from(INTEGERS) | st.integers(-(2**63), 2**63 - 1)
reals = st.sampled_from(REALS) | st.floats(allow_nan=False)
texts = st.sampled_from(HOSTILE) | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
blobs = st.sampled_from([b"", b"\0", b"\xff\xfe", b"text"]) | st.binary(max_size=8)
values = st.none() | integers | reals | texts | blobs
of_type = {int: integers, float: reals, str: texts, bytes: blobs, object: values}
names = st.sampled_from(["a", "A b", 'quo"te', "süß", "select", "x,y", "=1", "c0", "new\nline", "1"])


@st.composite
def tables(draw):
    """Draw declared columns, rows, and how the table is made."""
    form = draw(st.sampled_from(["plain", "plain", "strict", "without rowid", "view", "generated"]))
    types = list(STRICT) if form == "strict" else DECLARED
    columns = draw(
        st.lists(
            st.tuples(names, st.sampled_from(types)), min_size=1, max_size=5, unique_by=lambda c: c[0].lower()
        )
    )
    wanted = [of_type[STRICT[kind]] if form == "strict" else draw(column_values(kind)) for _, kind in columns]
    cells = [st.none() | strategy for strategy in wanted]
    rows = draw(st.lists(st.tuples(*cells), max_size=25))
    return form, columns, rows, draw(st.sampled_from([0, 0, 0, 0, 300, 2500]))


def column_values(kind):
    """Mostly of one type, as real columns are, and sometimes of any."""
    return st.sampled_from([integers, reals, texts, blobs, values, values])


@pytest.fixture
def file(instance):
    return instance / "any.db"


@pytest.fixture
def desk(app, services, file) -> Iterator[Desk]:
    with closing(apsw.Connection(str(file))) as connection:
        connection.execute("CREATE TABLE first (x)")
    yield Desk(sign_in(app, services, "ada", Role.ADMIN), f"sqlite:///{file}")
    print("compared:", judging.report())  # noqa: T201 - how much was proven, for those who run it with -rA


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def made(file, table, drawn):
    """Make the table, with plain rows before and after the drawn ones, and give its columns."""
    form, columns, rows, plain = drawn
    declared = [
        "n INTEGER" + " PRIMARY KEY" * (form in {"plain", "without rowid"}),
        *(f"{quoted(n)} {t}" for n, t in columns),
    ]
    extra = (
        [f"made GENERATED ALWAYS AS (ifnull({quoted(columns[0][0])}, n)) STORED"]
        if form == "generated"
        else []
    )
    tail = {"strict": " STRICT", "without rowid": " WITHOUT ROWID"}.get(form, "")
    with closing(apsw.Connection(str(file))) as connection, connection:
        target = f"{table}_base" if form == "view" else table
        connection.execute(f"CREATE TABLE {target} ({', '.join([*declared, *extra])}){tail}")
        usual = rows[:1] or [tuple(None for _ in columns)]
        every = itertools.chain(usual * plain, rows, usual * (plain // 4))
        names = ", ".join(["n", *(quoted(n) for n, _ in columns)])
        marks = ", ".join("?" * (len(columns) + 1))
        connection.executemany(
            f"INSERT INTO {target} ({names}) VALUES ({marks})", [(n, *row) for n, row in enumerate(every)]
        )
        if form == "view":
            connection.execute(f"CREATE VIEW {table} AS SELECT * FROM {target}")
    found = [Declared("n", "INTEGER"), *(Declared(n, t) for n, t in columns)]
    return [*found, Declared("made", "")] if extra else found


def dropped(file, table, form):
    with closing(apsw.Connection(str(file))) as connection:
        if form == "view":
            connection.execute(f"DROP VIEW {table}")
            table = f"{table}_base"
        connection.execute(f"DROP TABLE {table}")


PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)
counter = itertools.count()


@pytest.mark.parametrize("format_name", ["csv", "json", "parquet", "excel"])
def test_any_table_comes_out_value_by_value(desk, file, format_name):
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)
    @given(drawn=tables(), options=options_of(format_name), ordered=st.booleans())
    def check(drawn, options, ordered):
        form, table = drawn[0], f"t{next(counter)}"
        event(form)
        columns = made(file, table, drawn)
        try:
            rows = fetched(file, table, "ORDER BY n")
            done = desk.export(table, format_name, {"order_by": "n"} if ordered else {}, **options)
            judge(SqliteOracle(), columns, rows, done, told=f"{form} {drawn[1]}")
            if format_name == "parquet":
                for position, column in enumerate(done.receipt["columns"]):
                    assert column["exported_type"] in narrowest([row[position] for row in rows]), column
        finally:
            dropped(file, table, form)

    check()
