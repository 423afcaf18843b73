"""Whatever stands in a request, it is a fault or a bound value: no SQL of its own ever runs."""

import math
import string
from collections.abc import Callable

import apsw
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from exporter.errors import Invalid
from exporter.query import compile_query, parse_filters
from exporter.sources.base import Column, Kind, Relation
from exporter.sources.sqlite import functions

MANY = settings(
    max_examples=1000,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
FEWER = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
HOSTILE = [
    "' OR 1=1 --", "'; DROP TABLE t; --", '" OR ""="', "x' UNION SELECT sql FROM sqlite_schema --", ":p1", "%(p1)s",
    "%s", "%", "%%", "\\", "\\'", "1); SELECT pg_sleep(9); --", "/*", "*/", "--", "$$", "?", "?1", "NULL", "(SELECT 1)",
    "E'\\047'", "\x00", "'||(SELECT 1)||'", "{0}", "${x}", "名'; --", "é", "\ud800", "a" * 70,
]  # fmt: skip
words = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=8), st.sampled_from(["id", "name", "n", "when"]))
scalars = st.one_of(
    words,
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.sampled_from(["2024-01-01", "2024-01-01T10:00:00Z"]),
)
values = st.one_of(scalars, st.lists(scalars, max_size=3), st.dictionaries(words, scalars, max_size=2))
operators = st.one_of(
    words,
    st.sampled_from(
        ["=", "!=", ">", "<=", "in", "not in", "between", "like", "not like", "ilike", "contains", "starts_with",
         "ends_with", "is null", "is not null"]
    ),
)  # fmt: skip
conditions = st.recursive(
    st.one_of(
        st.fixed_dictionaries({"column": words, "operator": operators}, optional={"value": values}),
        st.dictionaries(words, values, max_size=2),
        scalars,
    ),
    lambda inner: st.dictionaries(st.sampled_from(["any", "all"]), st.lists(inner, max_size=3), max_size=1),
    max_leaves=4,
)
terms = st.one_of(words, words.map(lambda name: f"{name} DESC NULLS LAST"), values)
requests = st.fixed_dictionaries(
    {},
    optional={
        "table": values,
        "columns": st.one_of(st.lists(words, max_size=3), values),
        "where_conditions": st.one_of(st.lists(conditions, max_size=3), values),
        "group_by": terms,
        "aggregates": st.lists(
            st.fixed_dictionaries(
                {"function": st.one_of(words, st.sampled_from(["count", "sum", "min", "count_distinct"]))},
                optional={"column": words, "alias": words},
            ),
            max_size=2,
        ),
        "order_by": st.one_of(terms, st.lists(terms, max_size=2)),
        "limit": scalars,
        "date_range": st.one_of(
            st.dictionaries(st.sampled_from(["start", "end", "column"]), scalars), values
        ),
        "include_headers": scalars,
    },
)
NAMES = [
    "plain",
    "o'dd",
    'qu"oted',
    "50%",
    ":p1",
    "%(p1)s",
    "ünï",
    "",
    None,
    "it''s",
    "A",
    "a",
    "[x]",
    "a*b",
    "_",
]
ROWS = [
    (place, name, place * 1.5 if place % 3 else None, f"2024-01-{place + 1:02}")
    for place, name in enumerate(NAMES)
]


@pytest.fixture
def relation(database) -> Relation:
    lite = database.dialect == "sqlite"
    columns = [
        Column(name="id", database_type="integer", kind=Kind.INTEGER, bits=32),
        Column(name="name", database_type="TEXT", kind=Kind.TEXT),
        Column(name="n", database_type="double precision", kind=Kind.FLOAT, bits=64),
        Column(name="when", database_type="date", kind=Kind.TEXT if lite else Kind.DATE),
    ]
    return database.make(columns, ROWS)


@MANY
@given(raw=requests)
@example(raw={"aggregates": [{"function": "count", "alias": '"; DROP TABLE t; --'}]})
def test_a_request_is_a_fault_or_a_statement_that_runs(database, relation, raw):
    try:
        query = compile_query(parse_filters(raw), relation, dialect=database.dialect)
    except Invalid as exc:
        assert_sentences(exc.errors)
        return
    found = database.run(query)
    assert all(len(row) == len(query.statement.columns) for row in found)
    assert database.execute(f"SELECT count(*) FROM {database.place('t')}") == [(len(ROWS),)]


def assert_sentences(errors: dict) -> None:
    assert errors
    for key, value in errors.items():
        assert isinstance(key, str)
        if isinstance(value, dict):
            assert_sentences(value)
        else:
            assert isinstance(value, str)
            assert value.encode()


@MANY
@given(
    value=st.one_of(st.sampled_from(HOSTILE), st.text()), place=st.sampled_from(["value", "list", "range"])
)
def test_a_value_never_stands_in_the_text_of_the_statement(value, place):
    operator, operand = {
        "value": ("=", value),
        "list": ("in", [value, "x"]),
        "range": ("between", [value, value]),
    }[place]
    columns = (Column(name="c", database_type="text", kind=Kind.TEXT),)
    for dialect in ("sqlite", "postgresql"):

        def text(given_value: object, dialect: str = dialect) -> str:
            raw = {"where_conditions": [{"column": "c", "operator": operator, "value": given_value}]}
            return compile_query(
                parse_filters(raw), Relation(name="t", columns=columns), dialect=dialect
            ).statement.sql

        harmless = "harmless" if place == "value" else ["harmless", "harmless"]
        try:
            assert text(operand) == text(harmless)
        except Invalid:
            assert "\0" in value or any("\ud800" <= character <= "\udfff" for character in value)


@MANY
@given(name=st.one_of(st.sampled_from(HOSTILE), st.text(min_size=1)), where=st.integers(0, 5))
def test_an_unknown_name_is_always_a_fault(name, where):
    columns = (Column(name="c", database_type="text", kind=Kind.TEXT),)
    quoted = '"' + name.replace('"', '""') + '"'
    raw = [
        {"columns": [name, "c"]},
        {"where_conditions": [{"column": name, "operator": "is null"}]},
        {"group_by": [name]},
        {"order_by": quoted},
        {"aggregates": [{"function": "count", "column": name}, {"function": "sum", "column": name}]},
        {"date_range": {"start": "2024-01-01", "column": name}},
    ][where]
    if name not in {"c", "*"}:
        with pytest.raises(Invalid):
            compile_query(parse_filters(raw), Relation(name="t", columns=columns), dialect="sqlite")


NUMBERS = st.one_of(st.integers(-5, 30), st.floats(-5, 30).filter(math.isfinite))
KEEP: dict[str, Callable] = {
    "=": lambda held, wanted: held == wanted,
    "!=": lambda held, wanted: held != wanted,
    "<": lambda held, wanted: held < wanted,
    ">=": lambda held, wanted: held >= wanted,
    "contains": lambda held, wanted: wanted in held,
    "starts_with": lambda held, wanted: held.startswith(wanted),
    "ends_with": lambda held, wanted: held.endswith(wanted),
}
TEXTS = st.one_of(
    st.sampled_from([name for name in NAMES if name]), st.text(string.printable + "üİß[]*?", max_size=4)
)
tests = st.one_of(
    st.tuples(st.just("name"), st.sampled_from(["=", "!=", "contains", "starts_with", "ends_with"]), TEXTS),
    st.tuples(st.just("n"), st.sampled_from(["=", "!=", "<", ">="]), NUMBERS),
    st.tuples(st.just("id"), st.sampled_from(["=", "!=", "<", ">="]), st.integers(-5, 30)),
)
trees = st.recursive(
    tests,
    lambda inner: st.tuples(st.sampled_from(["any", "all"]), st.lists(inner, min_size=1, max_size=3)),
    max_leaves=6,
)


def spelled(tree: tuple) -> dict:
    if len(tree) == 2:
        return {tree[0]: [spelled(part) for part in tree[1]]}
    return {"column": tree[0], "operator": tree[1], "value": tree[2]}


def keeps(tree: tuple, row: dict) -> bool:
    """Say what Python would keep. With no negation above a test, NULL may count as false."""
    if len(tree) == 2:
        return (any if tree[0] == "any" else all)(keeps(part, row) for part in tree[1])
    column, operator, wanted = tree
    return row[column] is not None and KEEP[operator](row[column], wanted)


def depth(tree: tuple) -> int:
    return 1 + max(map(depth, tree[1])) if len(tree) == 2 else 0


@FEWER
@given(tree=trees.filter(lambda tree: depth(tree) <= 5))
def test_a_tree_of_conditions_keeps_the_rows_that_python_keeps(database, relation, tree):
    raw = {"columns": ["id"], "where_conditions": [spelled(tree)], "order_by": "id"}
    rows = [dict(zip(("id", "name", "n", "when"), row, strict=True)) for row in ROWS]
    assert database.rows(raw, relation) == [(row["id"],) for row in rows if keeps(tree, row)]


def letters_of(encoding: str, length: int) -> st.SearchStrategy[str]:
    """Draw texts near every border; in UTF-16, SQLite itself turns noncharacters into U+FFFD."""
    noncharacters = "\ufffe\uffff" if encoding == "UTF-8" else ""
    return st.text("aAzÿĀ\ufffd\U0010ffff\0%_*?[]\\" + noncharacters, max_size=length)


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le", "UTF-16be"])
@FEWER
@given(data=st.data())
def test_text_is_found_in_a_sqlite_file_of_any_encoding(encoding, data):
    held = data.draw(st.lists(letters_of(encoding, 5), min_size=1, max_size=6))
    wanted = data.draw(st.one_of(st.sampled_from(held), letters_of(encoding, 2)))
    connection = apsw.Connection(":memory:")
    functions.install(connection)
    connection.execute(f"PRAGMA encoding = '{encoding}'")
    connection.execute("CREATE TABLE t (s TEXT)")
    connection.execute("CREATE INDEX ix ON t (s)")
    connection.executemany("INSERT INTO t VALUES (?)", [(text,) for text in held])
    relation = Relation(name="t", columns=(Column(name="s", database_type="TEXT", kind=Kind.TEXT),))
    for operator in ("=", "contains", "starts_with", "ends_with"):
        raw = {"where_conditions": [{"column": "s", "operator": operator, "value": wanted}]}
        statement = compile_query(parse_filters(raw), relation, dialect="sqlite").statement
        found = [row[0] for row in connection.execute(statement.sql, dict(statement.parameters))]
        assert sorted(found) == sorted(text for text in held if KEEP[operator](text, wanted)), operator
    connection.close()
