"""What `filters` may look like, and what is said where they do not."""

from datetime import UTC, date, datetime

import pytest
from marshmallow import fields

from exporter.errors import Invalid
from exporter.query import FiltersSchema, QuerySpec, parse_filters
from exporter.query.spec import (
    Aggregate,
    AllOf,
    AnyOf,
    Condition,
    DateRange,
    Function,
    GroupTerm,
    Operator,
    OrderTerm,
)

CONDITION = {"column": "a", "operator": "=", "value": 1}


def faults(raw) -> dict:
    with pytest.raises(Invalid) as caught:
        parse_filters(raw)
    return caught.value.errors


def nested(depth: int) -> dict:
    return {"any": [nested(depth - 1)]} if depth else CONDITION


def test_no_filters_mean_everything():
    assert parse_filters({}) == QuerySpec()
    assert parse_filters(dict.fromkeys(FiltersSchema().fields)) == QuerySpec()
    assert parse_filters({"columns": ["*"]}) == QuerySpec()


def test_the_example_of_the_contract_is_read():
    spec = parse_filters(
        {
            "table": "public.orders",
            "columns": ["id", "city"],
            "where_conditions": [{"column": "age", "operator": ">", "value": 18}],
            "group_by": "category",
            "aggregates": [{"function": "sum", "column": "amount", "alias": "total"}],
            "order_by": "created_at DESC",
            "limit": 1000,
            "date_range": {"start": "2024-01-01", "end": "2024-12-31", "column": "created_at"},
            "include_headers": True,
        }
    )
    assert spec == QuerySpec(
        table="public.orders",
        columns=("id", "city"),
        where=(Condition(column="age", operator=Operator.GREATER, value=18),),
        group_by=(GroupTerm(column="category"),),
        aggregates=(Aggregate(function=Function.SUM, column="amount", alias="total"),),
        order_by=(OrderTerm(column="created_at", descending=True),),
        limit=1000,
        date_range=DateRange(start=date(2024, 1, 1), end=date(2024, 12, 31), column="created_at"),
        include_headers=True,
    )


@pytest.mark.parametrize(
    ("raw", "place", "words"),
    [
        ({"colums": ["a"]}, "colums", "Unknown field 'colums'. Did you mean 'columns'?"),
        ({"q": 1}, "q", "Unknown field 'q'. There are: table, columns"),
        ({"table": 5}, "table", "5 is not a name"),
        ({"table": " "}, "table", "cannot be empty"),
        ({"columns": "a"}, "columns", "'a' is not a list of names"),
        ({"columns": []}, "columns", "at least one column"),
        ({"columns": ["a", 5]}, "columns.1", "5 is not a name"),
        ({"columns": ["a", "b", "a"]}, "columns.2", "'a' is named twice"),
        ({"columns": ["a", "*"]}, "columns.1", "stands alone"),
        ({"columns": ["a"] * 2001}, "columns", "2001 are too many: at most 2000"),
        ({"order_by": "a," * 2001}, "order_by", "too many: at most 2000"),
        ({"where_conditions": [{"any": [CONDITION] * 500}]}, "where_conditions", "too many conditions"),
        ({"limit": 0}, "limit", "0 is not a row limit: give a whole number from 1"),
        ({"limit": True}, "limit", "true is not a row limit"),
        ({"limit": "10"}, "limit", "'10' is not a row limit"),
        ({"limit": 1.5}, "limit", "1.5 is not a row limit"),
        ({"limit": 2**63}, "limit", "is not a row limit"),
        ({"include_headers": "yes"}, "include_headers", "'yes' is not a yes or no"),
        ({"include_headers": 1}, "include_headers", "1 is not a yes or no"),
        ({"group_by": 5}, "group_by", "5 cannot be read"),
        ({"group_by": "a, a"}, "group_by", "'a' is named twice"),
        ({"group_by": ["a", "a"]}, "group_by.1", "'a' is named twice"),
        ({"group_by": ["a", None]}, "group_by.1", "null is not a name"),
        ({"group_by": "a DESC"}, "group_by", "'a DESC' cannot be read"),
        ({"group_by": ""}, "group_by", "lacks a column name"),
        ({"order_by": "a sideways"}, "order_by", "'a sideways' cannot be read"),
        ({"order_by": ["a", "b DESC DESC"]}, "order_by.1", "'b DESC DESC' cannot be read"),
        ({"order_by": "a, A, a"}, "order_by", "'a' is named twice"),
        ({"order_by": {"a": 1}}, "order_by", "cannot be read"),
        ({"order_by": 'a, "b'}, "order_by", "never closed"),
        ({"aggregates": {}}, "aggregates", "{} is not a list of aggregates"),
        ({"aggregates": [5]}, "aggregates.0", "object in braces"),
        ({"aggregates": [{"function": "median", "column": "a"}]}, "aggregates.0.function", "one of: count"),
        ({"aggregates": [{"column": "a"}]}, "aggregates.0.function", "required"),
        ({"aggregates": [{"function": "sum"}]}, "aggregates.0.column", "sum needs a column"),
        ({"aggregates": [{"function": "count", "as": "n"}]}, "aggregates.0.as", "Unknown field 'as'"),
        ({"date_range": "2024"}, "date_range", "object in braces"),
        ({"date_range": {}}, "date_range", "start, end or both"),
        (
            {"date_range": {"start": "2024-02-30"}},
            "date_range.start",
            "'2024-02-30' is not a date: give a date such",
        ),
        ({"date_range": {"end": 20240101}}, "date_range.end", "20240101 is not a date"),
        ({"date_range": {"end": "2024-1-1"}}, "date_range.end", "is not a date"),
        ({"date_range": {"end": "20240101"}}, "date_range.end", "is not a date"),
        ({"date_range": {"end": "2024-01-01T10:00:00.1234567"}}, "date_range.end", "at most 6 digits"),
        ({"date_range": {"end": "0001-01-01T00:00:00+01:00"}}, "date_range.end", "is not a date"),
        ({"date_range": {"start": "2024-01-02", "end": "2024-01-01"}}, "date_range.start", "after the end"),
        (
            {"date_range": {"start": "2024-01-01T10:00:00Z", "end": "2024-01-01T10:00:00+01:00"}},
            "date_range.start",
            "after the end",
        ),
        ({"date_range": {"start": "2024-01-02", "from": "x"}}, "date_range.from", "Unknown field 'from'"),
        ({"where_conditions": CONDITION}, "where_conditions", "is not a list such as"),
        ({"where_conditions": ["a > 5"]}, "where_conditions.0", "'a > 5' is not a condition"),
        ({"where_conditions": [{}]}, "where_conditions.0.operator", "required"),
        (
            {"where_conditions": [{"column": "a", "operator": "=="}]},
            "where_conditions.0.operator",
            "one of: =, !=",
        ),
        (
            {"where_conditions": [{"column": "a", "operator": 5}]},
            "where_conditions.0.operator",
            "5 is not known",
        ),
        (
            {"where_conditions": [{"column": "a", "operator": "="}]},
            "where_conditions.0.value",
            "needs a value",
        ),
        ({"where_conditions": [{**CONDITION, "value": None}]}, "where_conditions.0.value", '"is null"'),
        ({"where_conditions": [{**CONDITION, "or": 1}]}, "where_conditions.0.or", "Unknown field 'or'"),
        (
            {"where_conditions": [{"column": "a", "operator": "is null", "value": 1}]},
            "where_conditions.0.value",
            "takes no value, but 1 is given",
        ),
        (
            {"where_conditions": [{**CONDITION, "operator": "in"}]},
            "where_conditions.0.value",
            "1 is not a list",
        ),
        (
            {"where_conditions": [{**CONDITION, "operator": "in", "value": []}]},
            "where_conditions.0.value",
            "The list of in is empty",
        ),
        (
            {"where_conditions": [{**CONDITION, "operator": "not in", "value": [1, None]}]},
            "where_conditions.0.value",
            '"is null"',
        ),
        (
            {"where_conditions": [{**CONDITION, "operator": "between", "value": [1]}]},
            "where_conditions.0.value",
            "needs [low, high]",
        ),
        (
            {"where_conditions": [{**CONDITION, "operator": "like"}]},
            "where_conditions.0.value",
            "1 is not text",
        ),
        ({"where_conditions": [{"any": []}]}, "where_conditions.0.any", "at least one condition"),
        (
            {"where_conditions": [{"any": [CONDITION], "all": [CONDITION]}]},
            "where_conditions.0.all",
            "'any' alone",
        ),
        (
            {
                "where_conditions": [
                    CONDITION,
                    {"any": [CONDITION, {"all": [{**CONDITION, "operator": "?"}]}]},
                ]
            },
            "where_conditions.1.any.1.all.0.operator",
            "'?' is not known",
        ),
        ({"where_conditions": [nested(6)]}, ".".join(["where_conditions", *["0", "any"] * 6]), "to depth 5"),
        ({"where_conditions": [CONDITION] * 501}, "where_conditions", "too many conditions: at most 500"),
        (
            {"where_conditions": [{**CONDITION, "operator": "in", "value": [1] * 10_001}]},
            "where_conditions",
            "10001 values are too many",
        ),
    ],
)
def test_a_fault_is_told_at_its_place(raw, place, words):
    found = faults(raw)
    for key in place.split("."):
        found = found[key]
    assert words in found


def test_all_faults_are_told_at_once():
    found = faults(
        {
            "limit": -1,
            "columns": ["a", "a"],
            "wat": 1,
            "where_conditions": [
                {"column": "a", "operator": "in", "value": []},
                {"any": 5},
                {"operator": "="},
            ],
            "order_by": ["a", "b c"],
            "date_range": {"start": "x", "end": "y"},
        }
    )
    assert set(found) == {"limit", "columns", "wat", "where_conditions", "order_by", "date_range"}
    assert set(found["where_conditions"]) == {"0", "1", "2"}
    assert set(found["where_conditions"]["2"]) == {"column", "value"}
    assert set(found["date_range"]) == {"start", "end"}


def test_groups_may_be_nested_five_deep():
    (where,) = parse_filters({"where_conditions": [nested(5)]}).where
    for _ in range(5):
        assert isinstance(where, AnyOf)
        (where,) = where.conditions
    assert isinstance(where, Condition)
    assert where.place == ("where_conditions", *("0", "any") * 5, "0")


def test_an_all_group_is_told_from_an_any_group():
    (where,) = parse_filters({"where_conditions": [{"all": [CONDITION, CONDITION]}]}).where
    assert where == AllOf(conditions=(Condition(column="a", operator=Operator.EQUAL, value=1),) * 2)


@pytest.mark.parametrize("spelling", ["not in", "NOT IN", "Not   In", " not in "])
def test_an_operator_may_be_spelled_in_any_case(spelling):
    (where,) = parse_filters(
        {"where_conditions": [{"column": "a", "operator": spelling, "value": [1]}]}
    ).where
    assert where.operator is Operator.NOT_IN


def test_both_spellings_of_unequal_are_one():
    conditions = [{**CONDITION, "operator": operator} for operator in ("!=", "<>")]
    first, second = parse_filters({"where_conditions": conditions}).where
    assert first == second


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("a", [("a", False, None)]),
        ("a DESC, b", [("a", True, None), ("b", False, None)]),
        (" a  asc ,b desc nulls last ", [("a", False, None), ("b", True, "last")]),
        ("a NULLS FIRST", [("a", False, "first")]),
        ('"odd, ""name""" DESC,"desc"', [('odd, "name"', True, None), ("desc", False, None)]),
        (
            "desc DESC, nulls, last NULLS LAST",
            [("desc", True, None), ("nulls", False, None), ("last", False, "last")],
        ),
        ("größe%, x'y", [("größe%", False, None), ("x'y", False, None)]),
    ],
)
def test_an_order_is_read(text, terms):
    wanted = tuple(OrderTerm(column=name, descending=down, nulls=nulls) for name, down, nulls in terms)
    assert parse_filters({"order_by": text}).order_by == wanted
    assert parse_filters({"order_by": [text]}).order_by == wanted


@pytest.mark.parametrize(
    "text", ["", ",", "a,", ",a", "a,,b", '""', 'a "b"', '"a"b', "a NULLS", "a NULLS LAST DESC"]
)
def test_an_order_that_cannot_be_read_is_refused(text):
    assert set(faults({"order_by": text})) == {"order_by"}


def test_a_group_may_be_text_or_a_list():
    assert parse_filters({"group_by": 'a, "b c"'}).group_by == (
        GroupTerm(column="a"),
        GroupTerm(column="b c"),
    )
    assert parse_filters({"group_by": ["a, b"]}).group_by == (GroupTerm(column="a, b"),)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-01-31", date(2024, 1, 31)),
        ("2024-01-31T10:00", datetime(2024, 1, 31, 10, tzinfo=UTC)),
        ("2024-01-31 10:00:00.5", datetime(2024, 1, 31, 10, 0, 0, 500_000, tzinfo=UTC)),
        ("2024-01-31t10:00:00z", datetime(2024, 1, 31, 10, tzinfo=UTC)),
        ("2024-01-31T10:00:00+0530", datetime(2024, 1, 31, 4, 30, tzinfo=UTC)),
        ("2024-01-31T10:00:00-02", datetime(2024, 1, 31, 12, tzinfo=UTC)),
    ],
)
def test_the_ends_of_a_date_range_are_days_or_instants(text, moment):
    span = parse_filters({"date_range": {"start": text, "end": text}}).date_range
    assert span == DateRange(start=moment, end=moment)


def test_the_end_of_a_range_may_lie_within_the_last_day():
    assert parse_filters({"date_range": {"start": "2024-01-01T23:00:00", "end": "2024-01-01"}}).date_range
    assert parse_filters({"date_range": {"start": "9999-12-31T23:00:00", "end": "9999-12-31"}}).date_range


def test_a_count_of_rows_names_no_column():
    raw = {"aggregates": [{"function": "COUNT"}, {"function": "count", "column": "*", "alias": "n"}]}
    first, second = parse_filters(raw).aggregates
    assert (first.column, second.column) == (None, None)


@pytest.mark.parametrize("value", ["\ud800", "x" * 10_000, float("nan"), [[["deep"]]]])
def test_a_fault_is_short_and_can_be_written_as_utf_8(value):
    for raw in ({"columns": value}, {"order_by": [value, value]}, {"limit": value}):
        found = repr(faults(raw))
        assert len(found.encode("utf-8")) < 500


def test_every_field_has_what_a_document_of_the_api_needs():
    for schema in (FiltersSchema(),):
        for name, field in schema.fields.items():
            assert not isinstance(field, fields.Raw), name
            assert field.allow_none, name
