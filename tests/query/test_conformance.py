"""Every operator on every kind of column, on both databases, against plain Python."""

import json
import operator as operators
import re
import uuid
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import pytest

from exporter.sources.base import Column, Kind, Relation

UUIDS = ["00000000-0000-0000-0000-000000000001", "7fffffff-0000-4000-8000-000000000000"]
DAYS = ["2023-12-31", "2024-01-01", "2024-10-10", "2024-12-31", "2025-01-01", "9999-12-31", "0001-01-01"]
STAMPS = [
    "2024-12-31",
    "2024-12-31T00:00:00",
    "2024-12-31 00:00:00.000001",
    "2024-12-30T23:59:59.999999Z",
    "2024-12-31 10:00:00.500000",
    "2024-12-31T10:00:00.5Z",
    "2024-12-31 10:00",
    "2024-12-31T12:00:00+02:00",
    "2024-12-31T23:30:00-05:00",
    "2025-01-01 00:30:00+14:00",
    "2025-01-01 00:00:00",
    "2025-01-01T04:30:00.000000Z",
]


def moment(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def clock(text: str) -> str:
    return text + "00:00:00.000000"[len(text) :]


@dataclass(frozen=True, kw_only=True)
class Case:
    """`values` are as JSON gives them; `key` is what they mean; `store` makes what each database is handed."""

    name: str
    kind: Kind
    types: tuple[str, str]
    values: list
    key: Callable = copy
    sqlite: Callable = copy
    postgres: Callable = copy
    others: tuple = ()  # operands that no row holds
    bits: int | None = None
    only: str | None = None
    ordered: bool = True
    element: Column | None = None

    def keyed(self) -> list[tuple[int, object]]:
        return [(place, self.key(value)) for place, value in enumerate(self.values)]


CASES = [
    Case(
        name="integer",
        kind=Kind.INTEGER,
        bits=64,
        types=("INTEGER", "bigint"),
        values=[-(2**63), -1, 0, 7, 2**53 + 1, 2**63 - 1],
        others=(8,),
    ),
    Case(
        name="smallint",
        kind=Kind.INTEGER,
        bits=16,
        types=("SMALLINT", "smallint"),
        values=[-32768, 0, 32767],
        others=(40000, 2**40),
    ),
    Case(
        name="float",
        kind=Kind.FLOAT,
        bits=64,
        types=("REAL", "double precision"),
        values=[-1.5, 0, 0.1, 0.30000000000000004, 1e300, 7],
        others=(0.2,),
    ),
    Case(
        name="real",
        kind=Kind.FLOAT,
        bits=32,
        types=("FLOAT", "real"),
        values=[-1.5, 0.1, 0.25],
        others=(1e300, 1e-300),
    ),
    Case(
        name="decimal",
        kind=Kind.DECIMAL,
        types=("DECIMAL(20, 2)", "numeric(20, 2)"),
        values=["-1.50", "0", 10.1, "10.10", 12, "123456789012.34"],
        key=lambda value: Decimal(str(value)),
        sqlite=float,
        postgres=lambda value: Decimal(str(value)),
        others=("10.11",),
    ),
    Case(
        name="wide decimal",
        kind=Kind.DECIMAL,
        types=("", "numeric"),
        values=["12345678901234567890.123456789012345678", "12345678901234567890.123456789012345679"],
        key=Decimal,
        postgres=Decimal,
        others=(2**70,),
        only="postgresql",
    ),
    Case(
        name="text",
        kind=Kind.TEXT,
        types=("TEXT", 'text COLLATE "C"'),
        values=[
            "",
            "a",
            "A",
            "ab",
            "z",
            "Zürich",
            "007",
            "7",
            "東京",
            "it's",
            'a "b"',
            "a\\b",
            "%_",
            "𝄞",
            "x; DROP",
        ],
        others=("nothing",),
    ),
    Case(
        name="text that ignores case",
        kind=Kind.TEXT,
        types=("TEXT COLLATE NOCASE", 'varchar(20) COLLATE "C"'),
        values=["a", "A", "b", "B"],
    ),
    Case(
        name="boolean",
        kind=Kind.BOOLEAN,
        types=("BOOLEAN", "boolean"),
        values=[True, False],
        sqlite=int,
    ),
    Case(
        name="date",
        kind=Kind.DATE,
        types=("DATE", "date"),
        values=DAYS,
        key=moment,
        others=("2024-06-01", "2024-12-31T10:00:00"),
    ),
    Case(
        name="timestamp",
        kind=Kind.TIMESTAMP,
        types=("DATETIME", "timestamp"),
        values=STAMPS,
        key=moment,
        postgres=lambda value: moment(value).astimezone(UTC).replace(tzinfo=None),
        others=("2024-12-31T11:00:00",),
    ),
    Case(
        name="timestamptz",
        kind=Kind.TIMESTAMPTZ,
        types=("TIMESTAMP WITH TIME ZONE", "timestamptz"),
        values=STAMPS,
        key=moment,
        postgres=moment,
        others=("2024-12-31T11:00:00+01:00",),
    ),
    Case(
        name="time",
        kind=Kind.TIME,
        types=("TIME", "time"),
        values=["00:00", "00:00:00.000001", "09:30", "09:30:00.5", "10:00:00", "10:00:59", "23:59:59.999999"],
        key=clock,
        others=("10:00",),
    ),
    Case(
        name="bytes",
        kind=Kind.BINARY,
        types=("BLOB", "bytea"),
        values=["\\x", "\\x00", "\\x00ff", "\\xFF"],
        key=lambda value: bytes.fromhex(value[2:]),
        sqlite=lambda value: bytes.fromhex(value[2:]),
        postgres=lambda value: bytes.fromhex(value[2:]),
        others=("\\x01",),
    ),
    Case(
        name="uuid",
        kind=Kind.UUID,
        types=("", "uuid"),
        values=UUIDS,
        key=uuid.UUID,
        others=("{7FFFFFFF-0000-4000-8000-000000000001}",),
        only="postgresql",
    ),
    Case(
        name="jsonb",
        kind=Kind.JSON,
        types=("", "jsonb"),
        values=[{"a": 1}, [1, "x"], "text", 5, False, {"b": "\\u0000 'q'"}],
        postgres=json.dumps,
        ordered=False,
        only="postgresql",
    ),
    Case(
        name="array",
        kind=Kind.ARRAY,
        types=("", "integer[]"),
        values=[[], [1], [1, 2], [3]],
        others=([2],),
        only="postgresql",
    ),
    Case(
        name="array of timestamps",
        kind=Kind.ARRAY,
        types=("", "timestamp[]"),
        values=[["2024-01-01T10:00:00+02:00", None], ["2024-01-01"]],
        element=Column(name="e", database_type="timestamp", kind=Kind.TIMESTAMP),
        key=lambda value: [item and moment(item) for item in value],
        postgres=lambda value: [item and moment(item).astimezone(UTC).replace(tzinfo=None) for item in value],
        others=(["2024-01-01T08:00:00"],),
        ordered=False,
        only="postgresql",
    ),
    Case(
        name="array of texts",
        kind=Kind.ARRAY,
        types=("", 'text[] COLLATE "C"'),
        values=[["a", 'b "c"\\', "NULL", None, ""], ["{x}"], []],
        element=Column(name="e", database_type="text", kind=Kind.TEXT),
        others=(["a,b"], [["a"], ["b"]]),
        ordered=False,
        only="postgresql",
    ),
    Case(
        name="array of bytes",
        kind=Kind.ARRAY,
        types=("", "bytea[]"),
        values=[["\\x00ff"], ["\\x"]],
        element=Column(name="e", database_type="bytea", kind=Kind.BINARY),
        postgres=lambda value: [bytes.fromhex(item[2:]) for item in value],
        only="postgresql",
    ),
    Case(
        name="inet",
        kind=Kind.OTHER,
        types=("", "inet"),
        values=["10.0.0.1", "10.0.0.2", "192.168.0.0/16"],
        others=("10.0.0.9",),
        only="postgresql",
    ),
    Case(
        name="any",
        kind=Kind.VARIANT,
        types=("", ""),
        values=["a", "B", "7"],
        others=("x",),
        only="sqlite",
    ),
]
CHECKS = {
    "=": operators.eq,
    "!=": operators.ne,
    "<>": operators.ne,
    "<": operators.lt,
    "<=": operators.le,
    ">": operators.gt,
    ">=": operators.ge,
}


EQUALITIES = ("=", "!=", "<>")
PAIRS = [
    pytest.param((case, dialect), id=f"{case.name} on {dialect}", marks=marks)
    for case in CASES
    for dialect, marks in (("sqlite", ()), ("postgresql", pytest.mark.postgres))
    if case.only in {None, dialect}
]


@pytest.fixture(params=PAIRS)
def pair(request) -> tuple:
    case, dialect = request.param
    return case, request.getfixturevalue({"sqlite": "lite", "postgresql": "postgres"}[dialect])


@pytest.fixture
def case(pair) -> Case:
    return pair[0]


@pytest.fixture
def found(pair) -> Callable:
    """Run one condition; give the places of the rows found. The last row holds NULL."""
    case, database = pair
    on_sqlite = database.dialect == "sqlite"
    declared = case.types[not on_sqlite]
    bare = declared.partition(" COLLATE ")[0]
    store = case.sqlite if on_sqlite else case.postgres
    rows = [(index, store(value)) for index, value in enumerate(case.values)] + [(len(case.values), None)]
    number = Column(name="id", database_type="integer", kind=Kind.INTEGER, bits=32)
    column = Column(name="v", database_type=bare, kind=case.kind, bits=case.bits, element=case.element)
    database.make([number, replace(column, database_type=declared)])
    database.fill("t", rows, casts=None if on_sqlite else ["integer", bare])
    relation = Relation(name="t", schema=database.schema, columns=(number, column))

    def run(operator: str, *value: object) -> list[int]:
        condition = {"column": "v", "operator": operator, **({"value": value[0]} if value else {})}
        raw = {"columns": ["id"], "where_conditions": [condition]}
        return sorted(row[0] for row in database.rows(raw, relation))

    return run


def test_a_comparison_finds_what_python_finds(case, found):
    for operator in CHECKS if case.ordered else EQUALITIES:
        for operand in [*case.values, *case.others]:
            wanted = case.key(operand)
            rows = [place for place, key in case.keyed() if CHECKS[operator](key, wanted)]
            assert found(operator, operand) == rows, (operator, operand)


@pytest.mark.parametrize("operator", ["in", "not in"])
def test_membership_finds_what_python_finds(case, found, operator):
    for operand in ([*case.values[:2], *case.others], case.values, case.values[-1:]):
        wanted = [case.key(value) for value in operand]
        rows = [place for place, key in case.keyed() if (key in wanted) == (operator == "in")]
        assert found(operator, operand) == rows, operand


@pytest.mark.parametrize("operator", ["between", "not between"])
def test_a_range_finds_what_python_finds(case, found, operator):
    operands = sorted([*case.values, *case.others], key=case.key) if case.ordered else []
    for low, high in pairwise(operands):
        ends = case.key(low), case.key(high)
        rows = [
            place for place, key in case.keyed() if (ends[0] <= key <= ends[1]) == (operator == "between")
        ]
        assert found(operator, [low, high]) == rows, (low, high)


def test_null_is_found_by_null_tests_alone(case, found):
    places = list(range(len(case.values)))
    assert found("is null") == [len(places)]
    assert found("IS  NOT Null") == places


TEXTS = [
    "", "a", "A", "ab", "aXb", "a%b", "a_b", "a\\b", "a*b", "a?b", "a[b", "a]b", "[ab]", "Ab", "Zürich", "ZÜRICH",
    "two\nlines", "𝄞x", "%", "_", "\\", "*", "it's", "b", "xab", "abx",
]  # fmt: skip
PATTERNS = [
    "", "a", "a%", "%b", "%", "_", "__", "a_b", r"a\%b", r"a\_b", r"a\\b", r"\a", "a*b", "a?b", "a[b", "[ab]", "a]b",
    "[%]", "%ü%", "A%", "𝄞_", "%\n%", r"\%", r"\_", r"\\", "%a%b%", "Z_rich",
]  # fmt: skip


def like(pattern: str, *, flags: int = 0) -> re.Pattern:
    tokens = re.findall(r"\\.|.", pattern, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    return re.compile("".join(wild.get(token) or re.escape(token[-1]) for token in tokens), flags | re.DOTALL)


@pytest.fixture
def texts(database) -> Callable:
    collation = "TEXT COLLATE NOCASE" if database.dialect == "sqlite" else "text"
    number = Column(name="id", database_type="integer", kind=Kind.INTEGER, bits=32)
    column = Column(name="v", database_type=collation, kind=Kind.TEXT)
    rows = [*enumerate(TEXTS), (len(TEXTS), None)]
    relation = database.make([number, column], rows)

    def run(operator: str, value: str) -> list[str]:
        condition = {"column": "v", "operator": operator, "value": value}
        raw = {"columns": ["v"], "where_conditions": [condition], "order_by": "id"}
        return [row[0] for row in database.rows(raw, relation)]

    return run


@pytest.mark.parametrize("pattern", PATTERNS)
def test_like_tells_case_apart_and_not_like_is_its_opposite(texts, pattern):
    matching = [text for text in TEXTS if like(pattern).fullmatch(text)]
    assert texts("like", pattern) == matching
    assert texts("not like", pattern) == [text for text in TEXTS if text not in matching]


def test_ilike_folds_letters_beyond_ascii_on_sqlite_too(lite):
    lite.connection.execute("CREATE TABLE t (s TEXT)")
    lite.connection.execute("INSERT INTO t VALUES ('Köln'), ('KÖLN'), ('Koln'), ('ŁÓDŹ')")
    relation = Relation(name="t", columns=(Column(name="s", database_type="TEXT", kind=Kind.TEXT),))
    for pattern, found in (("kÖln", ["Köln", "KÖLN"]), ("łódź", ["ŁÓDŹ"]), ("%ÖL%", ["Köln", "KÖLN"])):
        condition = {"column": "s", "operator": "ilike", "value": pattern}
        assert [row[0] for row in lite.rows({"where_conditions": [condition]}, relation)] == found


@pytest.mark.parametrize("pattern", [pattern for pattern in PATTERNS if pattern.isascii()])
def test_ilike_does_not_tell_the_case_of_ascii_letters_apart(texts, pattern):
    assert texts("ilike", pattern) == [
        text for text in TEXTS if like(pattern, flags=re.IGNORECASE).fullmatch(text)
    ]


@pytest.mark.parametrize("value", [*TEXTS, "nothing", "x" * 60_000])
def test_text_is_looked_for_literally(texts, value):
    assert texts("contains", value) == [text for text in TEXTS if value in text]
    assert texts("ends_with", value) == [text for text in TEXTS if text.endswith(value)]
    assert texts("starts_with", value) == [text for text in TEXTS if text.startswith(value)]
