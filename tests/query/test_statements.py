"""Whole statements on both databases: groups, figures, order, limits, dates, odd names, saved queries."""

from decimal import Decimal

import psycopg
import pytest

from exporter.errors import Invalid
from exporter.query import check, compile_query, parse_filters
from exporter.sources.base import Column, Kind, Relation

ROWS = [
    (1, "Köln", "1.50", 1, "2023-12-31 23:59:59"),
    (2, "Bonn", "2.25", 2, "2024-01-01 00:00:00"),
    (3, "Köln", "3.00", None, "2024-06-01 12:00:00"),
    (4, None, "4.00", 4, "2024-12-31 23:59:59.999999"),
    (5, "bonn", None, 2, "2025-01-01 00:00:00"),
    (6, "Köln", "1.50", 1, None),
]


@pytest.fixture
def orders(database) -> Relation:
    lite = database.dialect == "sqlite"
    columns = [
        Column(name="id", database_type="integer", kind=Kind.INTEGER, bits=32, nullable=False),
        Column(name="city", database_type="TEXT", kind=Kind.TEXT),
        Column(name="amount", database_type="DECIMAL(10,2)" if lite else "numeric(10,2)", kind=Kind.DECIMAL),
        Column(name="grade", database_type="integer", kind=Kind.INTEGER, bits=32),
        Column(
            name="made",
            database_type="DATETIME" if lite else "timestamp",
            kind=[Kind.TIMESTAMP, Kind.TEXT][lite],
        ),
    ]
    amount = (lambda text: text and float(text)) if lite else (lambda text: text and Decimal(text))
    return database.make(columns, [(number, city, amount(text), *rest) for number, city, text, *rest in ROWS])


def ids(database, relation, raw) -> list[int]:
    return [row[0] for row in database.rows({"columns": ["id"], **raw}, relation)]


def test_columns_come_in_the_order_asked_for(database, orders):
    query = database.compile({"columns": ["city", "id"], "order_by": "id", "limit": 1}, orders)
    assert database.run(query)[0] == ("Köln", 1)
    assert [column.name for column in query.statement.columns] == ["city", "id"]


def test_all_columns_come_in_table_order(database, orders):
    query = database.compile({"columns": ["*"]}, orders)
    assert query.statement.columns == orders.columns
    assert len(database.run(query)) == len(ROWS)


def test_conditions_are_joined_with_and_and_groups_as_they_say(database, orders):
    raw = {
        "where_conditions": [
            {"any": [
                {"column": "city", "operator": "=", "value": "Bonn"},
                {"all": [
                    {"column": "city", "operator": "=", "value": "Köln"},
                    {"any": [{"column": "grade", "operator": "is null"}, {"column": "id", "operator": "=", "value": 6}]},
                ]},
            ]},
            {"column": "id", "operator": ">", "value": 2},
        ],
        "order_by": "id",
    }  # fmt: skip
    assert ids(database, orders, raw) == [3, 6]


def test_a_negated_condition_leaves_null_out(database, orders):
    for condition in (
        {"operator": "!=", "value": "Köln"},
        {"operator": "not in", "value": ["Köln"]},
        {"operator": "not like", "value": "K%"},
    ):
        raw = {"where_conditions": [{"column": "city", **condition}], "order_by": "id"}
        assert ids(database, orders, raw) == [2, 5]


@pytest.mark.parametrize(
    ("order", "wanted"),
    [
        ("grade, id", [1, 6, 2, 5, 4, 3]),
        ("grade DESC, id", [3, 4, 2, 5, 1, 6]),
        ("grade NULLS FIRST, id DESC", [3, 6, 1, 5, 2, 4]),
        ("grade DESC NULLS LAST, id", [4, 2, 5, 1, 6, 3]),
        ("grade ASC NULLS LAST, id", [1, 6, 2, 5, 4, 3]),
        (["made desc", "id"], [6, 5, 4, 3, 2, 1]),
    ],
)
def test_nulls_have_one_place_on_both_databases(database, orders, order, wanted):
    assert ids(database, orders, {"order_by": order}) == wanted


def test_a_group_with_no_aggregates_is_counted(database, orders):
    query = database.compile({"group_by": "city", "order_by": "count DESC, city"}, orders)
    assert sorted(database.run(query), key=str) == [("Bonn", 1), ("Köln", 3), ("bonn", 1), (None, 1)]
    assert [(column.name, column.kind, column.bits) for column in query.statement.columns] == [
        ("city", Kind.TEXT, None),
        ("count", Kind.INTEGER, 64),
    ]


def test_every_aggregate_gives_its_figure(database, orders):
    raw = {
        "group_by": ["city"],
        "columns": ["city", "grade", "rows"],
        "aggregates": [
            {"function": "count", "alias": "rows"},
            {"function": "count", "column": "grade"},
            {"function": "count_distinct", "column": "grade"},
            {"function": "sum", "column": "grade"},
            {"function": "min", "column": "grade"},
            {"function": "max", "column": "amount"},
            {"function": "sum", "column": "amount", "alias": "total"},
        ],
        "order_by": "rows DESC, total DESC",
        "limit": 1,
    }
    query = database.compile(raw, orders)
    assert database.run(query)[0] == ("Köln", 3, 2, 1, 2, 1, 3, 6)
    names = [column.name for column in query.statement.columns]
    assert names == [
        "city", "rows", "count_grade", "count_distinct_grade", "sum_grade", "min_grade", "max_amount", "total",
    ]  # fmt: skip


def test_aggregates_with_no_group_give_one_row_even_of_nothing(database, orders):
    raw = {"aggregates": [{"function": "count"}, {"function": "avg", "column": "grade"}]}
    assert database.rows(raw, orders) == [(6, 2)]
    raw["where_conditions"] = [{"column": "id", "operator": "=", "value": 0}]
    assert database.rows(raw, orders) == [(0, None)]


def test_groups_tell_case_apart_whatever_the_collation(lite):
    columns = [Column(name="city", database_type="TEXT COLLATE NOCASE", kind=Kind.TEXT)]
    relation = lite.make(columns, [("A",), ("a",), ("a",)])
    assert sorted(lite.rows({"group_by": "city"}, relation)) == [("A", 1), ("a", 2)]
    raw = {"aggregates": [{"function": "count_distinct", "column": "city"}]}
    assert lite.rows(raw, relation) == [(2,)]


FIGURES = {
    "smallint": {"sum": "bigint", "avg": "numeric", "min": "smallint"},
    "integer": {"sum": "bigint", "avg": "numeric", "max": "integer"},
    "bigint": {"sum": "numeric", "avg": "numeric", "count": "bigint"},
    "numeric(10,2)": {"sum": "numeric", "avg": "numeric", "count_distinct": "bigint"},
    "real": {"sum": "real", "avg": "double precision"},
    "double precision": {"sum": "double precision", "avg": "double precision"},
}
NUMBERS = {
    "smallint": (Kind.INTEGER, 16),
    "integer": (Kind.INTEGER, 32),
    "bigint": (Kind.INTEGER, 64),
    "numeric(10,2)": (Kind.DECIMAL, None),
    "real": (Kind.FLOAT, 32),
    "double precision": (Kind.FLOAT, 64),
}


@pytest.mark.postgres
@pytest.mark.parametrize("declared", FIGURES)
def test_a_figure_has_the_type_that_postgresql_gives_it(postgres, declared):
    kind, bits = NUMBERS[declared]
    relation = postgres.make([Column(name="v", database_type=declared, kind=kind, bits=bits)], [(1,)])
    aggregates = [{"function": function, "column": "v"} for function in FIGURES[declared]]
    query = postgres.compile({"aggregates": aggregates}, relation)
    assert [column.database_type for column in query.statement.columns] == list(FIGURES[declared].values())
    types = ", ".join(f"pg_typeof({name}_v)::text" for name in FIGURES[declared])
    shown = postgres.execute(f"SELECT {types} FROM ({query.statement.sql}) AS figures")
    assert shown == [tuple(each.partition("(")[0] for each in FIGURES[declared].values())]
    for column, function in zip(query.statement.columns, FIGURES[declared], strict=True):
        if column.database_type == "numeric":
            assert (column.kind, column.precision) == (Kind.DECIMAL, None), function


@pytest.mark.parametrize(
    ("kind", "function", "wanted"),
    [
        (Kind.INTEGER, "sum", (Kind.INTEGER, 64)),
        (Kind.INTEGER, "avg", (Kind.FLOAT, 64)),
        (Kind.FLOAT, "sum", (Kind.FLOAT, 64)),
        (Kind.VARIANT, "sum", (Kind.VARIANT, None)),
        (Kind.VARIANT, "max", (Kind.VARIANT, None)),
        (Kind.INTEGER, "count", (Kind.INTEGER, 64)),
    ],
)
def test_a_figure_of_sqlite_has_the_kind_of_its_values(kind, function, wanted):
    relation = Relation(name="t", columns=(Column(name="v", database_type="", kind=kind),))
    spec = parse_filters({"aggregates": [{"function": function, "column": "v"}]})
    (column,) = compile_query(spec, relation, dialect="sqlite").statement.columns
    assert (column.kind, column.bits) == wanted


@pytest.mark.parametrize(
    ("wanted", "cap", "limit", "source"),
    [(None, None, None, None), (2, None, 2, "request"), (None, 3, 3, "setting"), (2, 3, 2, "request"),
     (3, 3, 3, "request"), (4, 3, 3, "setting"), (2**63 - 2, None, 2**63 - 2, "request")],
)  # fmt: skip
def test_a_limit_asks_for_one_row_more_so_that_a_cut_is_seen(database, orders, wanted, cap, limit, source):
    query = database.compile({} if wanted is None else {"limit": wanted}, orders, row_cap=cap)
    assert (query.limit, query.limit_source) == (limit, source)
    assert len(database.run(query)) == (len(ROWS) if limit is None else min(limit + 1, len(ROWS)))


@pytest.mark.parametrize(
    ("span", "wanted"),
    [
        ({"start": "2024-01-01", "end": "2024-12-31"}, [2, 3, 4]),
        ({"start": "2024-01-01"}, [2, 3, 4, 5]),
        ({"end": "2024-12-31"}, [1, 2, 3, 4]),
        ({"start": "2024-12-31", "end": "2024-12-31"}, [4]),
        ({"end": "2024-12-31T23:59:59"}, [1, 2, 3]),
        ({"end": "2024-01-01T00:00:00"}, [1, 2]),
        ({"start": "2024-01-01T01:00:00+01:00", "end": "2024-06-01T12:00:00Z"}, [2, 3]),
        ({"end": "9999-12-31"}, [1, 2, 3, 4, 5]),
        ({"start": "0001-01-01"}, [1, 2, 3, 4, 5]),
    ],
)
def test_both_ends_of_a_date_range_are_inclusive(database, orders, span, wanted):
    assert ids(database, orders, {"date_range": span, "order_by": "id"}) == wanted


@pytest.mark.parametrize(("declared", "kind"), [("integer", Kind.INTEGER), ("double precision", Kind.FLOAT)])
def test_a_date_range_over_numbers_counts_seconds_since_1970(database, declared, kind):
    columns = [Column(name="id", database_type="integer", kind=Kind.INTEGER, bits=32)]
    columns.append(Column(name="at", database_type=declared, kind=kind, bits=64))
    relation = database.make(
        columns, [(1, 1704067199), (2, 1704067200), (3, 1704153599), (4, 1704153600), (5, None)]
    )
    for end in ("2024-01-01", "2024-01-01T23:59:59.5Z"):
        span = {"column": "at", "start": "2024-01-01", "end": end}
        assert ids(database, relation, {"date_range": span, "order_by": "id"}) == [2, 3]
    assert ids(database, relation, {"date_range": {"column": "at", "end": "9999-12-31"}}) == [1, 2, 3, 4]


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("kind", "declared"),
    [(Kind.DATE, "date"), (Kind.TIMESTAMP, "timestamp"), (Kind.TIMESTAMPTZ, "timestamptz")],
)
def test_postgresql_dates_past_the_year_9999_are_not_in_a_range_that_ends_there(postgres, kind, declared):
    columns = [Column(name="at", database_type=declared, kind=kind)]
    relation = postgres.make(columns)
    place = postgres.place("t")
    postgres.execute(
        f"INSERT INTO {place} VALUES ('9999-12-31'), ('10000-01-01'), ('infinity'), ('-infinity'), ('0044-03-15 BC')"
    )
    count = {"aggregates": [{"function": "count"}]}
    assert postgres.rows({**count, "date_range": {"end": "9999-12-31"}}, relation) == [(3,)]
    assert postgres.rows({**count, "date_range": {"start": "9999-12-31"}}, relation) == [(3,)]


STORED = [
    ("2023-12-31T23:59:59.999999Z", False),
    ("2024-01-01", True),
    ("2024-01-01 00:00:00 UTC", True),
    ("2024-01-01 00:00:00+00", True),
    ("2024-01-01T00:30:00+01:00", False),
    ("2023-12-31T23:30:00-01:00", True),
    ("2023-12-31T22:59:59.9999-01:00", False),
    ("2024-01-01T00:59+01:00", False),
    ("2024-01-01T01:00+01:00", True),
    ("2024-12-31", True),
    ("2024-12-31T23:59:59.999999999", True),
    ("2025-01-01", False),
    ("2025-01-01T00:00:00.000000", False),
    ("2025-01-01T00:59:59.9999+01:00", True),
    ("2024-12-31T23:30:00-05:00", False),
    (1704067199, False),
    (1704067200, True),
    (1735689599.5, True),
    (1735689600, False),
    (b"2024-06-01", False),
    ("", False),
    (None, False),
]


@pytest.mark.parametrize("declared", ["DATETIME", "DATE", "TIMESTAMP", ""])
def test_sqlite_dates_are_compared_as_instants_however_they_are_spelled(lite, declared):
    columns = [Column(name="id", database_type="INTEGER", kind=Kind.INTEGER)]
    columns.append(Column(name="at", database_type=declared, kind=Kind.VARIANT))
    relation = lite.make(columns, [(place, value) for place, (value, _) in enumerate(STORED)])
    span = {"start": "2024-01-01", "end": "2024-12-31", "column": "at"}
    found = ids(lite, relation, {"date_range": span, "order_by": "id"})
    assert [STORED[place][0] for place in found] == [value for value, inside in STORED if inside]


def test_sqlite_text_columns_may_hold_the_dates(lite):
    columns = [Column(name="id", database_type="INTEGER", kind=Kind.INTEGER)]
    columns.append(Column(name="at", database_type="TEXT", kind=Kind.TEXT))
    rows = [(place, value) for place, (value, _) in enumerate(STORED) if isinstance(value, str | None)]
    relation = lite.make(columns, rows)
    found = ids(lite, relation, {"date_range": {"start": "2024-01-01", "end": "2024-12-31", "column": "at"}})
    assert sorted(found) == [place for place, value in rows if STORED[place][1]]


ODD_NAMES = [
    'say "hi"', "two words", "100%", "%s", "%(p1)s", ":p1", "a:b", "f(x)", "größe", "select", "it's", "q", "t",
    "new\nline", "a.b", "{c}", "$", "?1", "-- c", "count", "row_limit", "back\\slash", "tab\t", "*", "rowid", "`x`", "[y]",
]  # fmt: skip


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_work_everywhere(database, name):
    quoted = '"' + name.replace('"', '""') + '"'
    made = [
        Column(name="id", database_type="integer", kind=Kind.INTEGER, bits=32),
        Column(name=name, database_type="text", kind=Kind.TEXT),
    ]
    relation = database.make(made, [(1, "a"), (2, "b%"), (3, None)], name=name)
    raw = {
        "columns": [name, "id"] if name != "*" else ["id", name],
        "where_conditions": [
            {"column": name, "operator": "=", "value": "b%"},
            {"column": name, "operator": "ends_with", "value": "%"},
            {"column": name, "operator": "in", "value": ["b%", ":p1", "%(p1)s"]},
            {"column": name, "operator": "is not null"},
        ],
        "order_by": f"{quoted} DESC NULLS LAST",
        "limit": 7,
    }
    if name == "*":
        del raw["columns"]
    assert {frozenset(row) for row in database.rows(raw, relation)} == {frozenset({"b%", 2})}
    grouped = {
        "group_by": quoted,
        "aggregates": [{"function": "max", "column": "id", "alias": f"{name} max"}],
        "order_by": f'"{name.replace(chr(34), chr(34) * 2)} max"',
    }
    assert database.rows(grouped, relation) == [("a", 1), ("b%", 2), (None, 3)]


@pytest.mark.parametrize(
    "ending",
    ["", ";", " ;\n", " -- a comment: 100% :p1 %(p1)s", " /* :x */"],
    ids=lambda ending: ending.strip(),
)
def test_a_saved_query_is_read_as_it_stands(database, orders, ending):
    place = database.place("t")
    text = (
        f"SELECT id, city AS \"the city\", ':p1 100% \\:x %(p1)s' AS mark FROM {place} WHERE id > 1{ending}"
    )
    columns = (
        Column(name="id", database_type="", kind=Kind.INTEGER, bits=32),
        Column(name="the city", database_type="text", kind=Kind.TEXT),
        Column(name="mark", database_type="text", kind=Kind.TEXT),
    )
    relation = Relation(name="query", columns=columns, query=text)
    raw = {
        "where_conditions": [{"column": "the city", "operator": "=", "value": "Köln"}],
        "order_by": "id",
        "limit": 9,
    }
    mark = ":p1 100% \\:x %(p1)s"
    assert database.rows(raw, relation) == [(3, "Köln", mark), (6, "Köln", mark)]


def test_a_column_that_is_gone_is_an_error_and_not_a_text(database, orders):
    spec = parse_filters({"columns": ["gone"]})
    column = Column(name="gone", database_type="text", kind=Kind.TEXT)
    relation = Relation(name="t", schema=database.schema, columns=(column,))
    query = compile_query(spec, relation, dialect=database.dialect)
    with pytest.raises(Exception, match="gone"):
        database.run(query)


@pytest.mark.postgres
def test_a_statement_may_be_copied(postgres):
    columns = [
        Column(name="id%", database_type="integer", kind=Kind.INTEGER, bits=32),
        Column(name="at", database_type="timestamptz", kind=Kind.TIMESTAMPTZ),
        Column(name="tags", database_type="text[]", kind=Kind.ARRAY),
        Column(name="doc", database_type="jsonb", kind=Kind.JSON),
        Column(name="key", database_type="uuid", kind=Kind.UUID),
        Column(name="data", database_type="bytea", kind=Kind.BINARY),
        Column(name="net", database_type="inet", kind=Kind.OTHER),
    ]
    row = (
        7,
        "2024-01-01",
        ['a "b"\\', None],
        '{"a": [1, "x\'"]}',
        "00000000-0000-0000-0000-000000000001",
        b"\0\xff",
    )
    relation = postgres.make(columns)
    postgres.fill(
        "t", [(*row, "10.0.0.1")], casts=["int", "timestamptz", "text[]", "jsonb", "uuid", "bytea", "inet"]
    )
    values = (
        [-1, 7],
        ["2024-01-01"],
        [['a "b"\\', None]],
        [{"a": [1, "x'"]}],
        [row[4]],
        ["\\x00ff"],
        ["10.0.0.1"],
    )
    conditions = [
        {"column": column.name, "operator": "in", "value": operand}
        for column, operand in zip(columns, values, strict=True)
    ]
    query = postgres.compile({"where_conditions": conditions, "columns": ["id%"], "limit": 3}, relation)
    cursor = psycopg.ClientCursor(postgres.connection)
    text = cursor.mogrify(query.statement.sql.encode(), dict(query.statement.parameters))
    with cursor.copy(f"COPY ({text}) TO STDOUT".encode()) as copy:
        assert b"".join(copy) == b"7\n"


@pytest.mark.postgres
def test_types_that_fold_case_or_pad_are_compared_as_plain_text(postgres):
    mood = f"{postgres.schema}.mood"
    postgres.execute(f"CREATE TYPE {mood} AS ENUM ('sad', 'happy')")
    columns = [
        Column(name="id", database_type="integer", kind=Kind.INTEGER, bits=32),
        Column(name="feeling", database_type=mood, kind=Kind.TEXT),
        Column(name="code", database_type="character(5)", kind=Kind.TEXT),
    ]
    relation = postgres.make(columns)
    postgres.fill("t", [(1, "sad", "ab"), (2, "happy", "x"), (3, None, None)], casts=["int", mood, "char(5)"])

    def found(column, operator, value):
        condition = {"column": column, "operator": operator, "value": value}
        return ids(postgres, relation, {"where_conditions": [condition], "order_by": "id"})

    assert found("feeling", "=", "sad") == [1]
    assert found("feeling", "!=", "no such mood") == [1, 2]
    assert found("feeling", "like", "h%") == [2]
    assert found("code", "=", "ab") == [1]
    assert found("code", "ends_with", "b") == [1]
    assert found("code", "like", "_") == [2]


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("declared", "kind", "held", "near"),
    [
        ("name", Kind.TEXT, "a" * 63, "a" * 64),
        ('"char"', Kind.TEXT, "x", "xy"),
        ("character varying(3)[]", Kind.ARRAY, ["abc"], ["abcd"]),
        ("character(3)[]", Kind.ARRAY, ["abc"], ["abcd"]),
        ("numeric(3,1)[]", Kind.ARRAY, [1.5], [1.54]),
        ("bit(3)", Kind.OTHER, "101", "1011"),
        ("bit(3)[]", Kind.ARRAY, ["101"], ["1010"]),
        ("time(0) without time zone", Kind.TIME, "10:00:00", "10:00:00.4"),
        ("time(0) with time zone", Kind.OTHER, "10:00:00+02", "10:00:00.4+02"),
        ("interval(0)", Kind.OTHER, "1 day", "1 day 0.4 seconds"),
        ("interval year to month", Kind.OTHER, "1 year", "1 year 5 days"),
        ("numeric(3,1)", Kind.DECIMAL, "1.5", "1.54"),
        ("timestamp(0) without time zone", Kind.TIMESTAMP, "2024-01-01 10:00:00", "2024-01-01 10:00:00.4"),
        ("oid", Kind.INTEGER, 2**32 - 1, -1),
        ("money", Kind.OTHER, "1.00", "1.01"),
    ],
)
def test_a_value_is_not_cut_to_the_column(postgres, declared, kind, held, near):
    columns = [Column(name="v", database_type=declared, kind=kind)]
    relation = postgres.make(columns)
    postgres.fill("t", [(held,)], casts=[declared])
    for value, found in ((held, 1), (near, 0)):
        for condition in ({"operator": "=", "value": value}, {"operator": "in", "value": [value]}):
            raw = {"where_conditions": [{"column": "v", **condition}]}
            assert len(postgres.rows(raw, relation)) == found, (value, condition)


@pytest.mark.parametrize(
    ("kind", "declared"), [(Kind.JSON, "json"), (Kind.JSON, "a_domain"), (Kind.ARRAY, "json[]")]
)
def test_what_holds_json_has_no_equality(kind, declared):
    element = Column(name="e", database_type="json", kind=Kind.JSON) if kind is Kind.ARRAY else None
    column = Column(name="v", database_type=declared, kind=kind, element=element)
    relation = Relation(name="t", columns=(column,))
    with pytest.raises(Invalid) as caught:
        check(
            parse_filters(
                {"where_conditions": [{"column": "v", "operator": "=", "value": [1]}], "group_by": "v"}
            ),
            relation,
            dialect="postgresql",
        )
    assert set(caught.value.errors) == {"where_conditions", "group_by"}
