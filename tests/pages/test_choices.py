"""Between form and request: what goes in comes out again."""

import pytest
from werkzeug.datastructures import MultiDict

from exporter.blueprints.pages import commands
from exporter.blueprints.pages.choices import Choices, Condition, edited, from_form
from exporter.blueprints.pages.compose import compose, placed
from exporter.blueprints.pages.conditions import value_of
from exporter.blueprints.pages.decompose import given_options, of_configuration
from exporter.blueprints.pages.words import size, span
from exporter.formats import registry
from exporter.formats.options import parse_options
from exporter.query import parse_filters, parse_where
from exporter.sources.base import Column, Kind, Relation

COLUMNS = (
    Column(name="id", database_type="INTEGER", kind=Kind.INTEGER),
    Column(name="city", database_type="TEXT", kind=Kind.TEXT),
    Column(name="amount", database_type="DECIMAL(10, 2)", kind=Kind.DECIMAL),
    Column(name="odd, name", database_type="TEXT", kind=Kind.TEXT),
    Column(name="on", database_type="BOOLEAN", kind=Kind.INTEGER),
)
ORDERS = Relation(name="orders", columns=COLUMNS)
BY_NAME = {column.name: column for column in COLUMNS}
FILTERS = [
    {},
    {"columns": ["city", "id"], "limit": 5},
    {"columns": ["id", "city", "amount", "odd, name", "on"]},
    {"where_conditions": [{"column": "id", "operator": "in", "value": [1, 2]}]},
    {"where_conditions": [{"column": "city", "operator": "=", "value": ""}]},
    {"where_conditions": [{"column": "city", "operator": "between", "value": ["a", "b"]}]},
    {"where_conditions": [{"column": "on", "operator": "=", "value": True}]},
    {"where_conditions": [{"column": "amount", "operator": ">", "value": "0.1000"}]},
    {
        "where_conditions": [
            {"any": [{"column": "id", "operator": "is null"}, {"column": "id", "operator": "=", "value": 1}]}
        ]
    },
    {"where_conditions": [{"any": [{"all": [{"column": "id", "operator": "=", "value": 1}]}]}]},
    {"where_conditions": [{"all": [{"column": "id", "operator": "=", "value": 1}]}]},
    {"order_by": ['"odd, name" DESC NULLS LAST', "id"]},
    {
        "group_by": ["city"],
        "aggregates": [{"function": "sum", "column": "amount", "alias": "total"}, {"function": "count"}],
    },
    {"date_range": {"start": "2024-01-01", "end": "2024-01-31T10:00:00Z", "column": "city"}},
    {"include_headers": False},
]


@pytest.mark.parametrize("filters", FILTERS)
def test_filters_outlive_the_form(filters):
    given = {"table": "orders", **filters}
    choices = of_configuration({"format": "csv", "filters": given}, Choices())
    again = compose(choices, ORDERS, "sqlite", pinned=False).filters
    assert again == given
    assert parse_filters(again) == parse_filters(given)


@pytest.mark.parametrize("name", list(registry.FORMATS))
def test_a_jobs_complete_options_shrink_to_what_was_said(name):
    entry = registry.get(name)
    complete = parse_options(entry, {"file_name": "x"}, defaults={})
    assert given_options(name, complete, {}) == {"file_name": "x"}


def test_a_preset_shrinks_to_its_name_and_what_stands_beside_it():
    said = {"preset": "spreadsheet-eu", "null_value": "NA"}
    complete = parse_options(registry.get("csv"), said, defaults={"escape_formulas": True})
    assert given_options("csv", complete, {"escape_formulas": True}) == said


@pytest.mark.parametrize(
    ("column", "text", "value"),
    [
        ("id", "7", 7),
        ("id", " 7 ", 7),
        ("id", "007", "007"),
        ("id", "seven", "seven"),
        ("amount", "10.5", 10.5),
        ("amount", "0.10", "0.10"),
        ("amount", "12345678901234567890.123", "12345678901234567890.123"),
        ("city", "007", "007"),
        ("city", " x", " x"),
        ("on", "true", True),
    ],
)
def test_a_text_becomes_what_its_column_holds(column, text, value):
    condition = Condition(column=column, operator="=", value=text)
    got = value_of(condition, BY_NAME[column], "sqlite")
    assert (type(got), got) == (type(value), value)


def test_all_columns_ticked_is_no_choice_and_some_are():
    form = MultiDict([("columns", "id"), ("columns", "city"), ("columns.shown", "2")])
    assert from_form(form).columns is None
    form.setlist("columns", ["city"])
    assert from_form(form).columns == ("city",)
    form.poplist("columns")
    assert from_form(form).columns == ()


def test_another_table_has_its_own_columns_and_keeps_the_rest():
    form = MultiDict(
        {
            "datasource": "d",
            "table": "new",
            "of": "d old",
            "columns": "id",
            "columns.shown": "2",
            "limit": "3",
        }
    )
    choices = from_form(form)
    assert (choices.columns, choices.limit) == (None, "3")


def test_the_last_condition_takes_its_group_along():
    choices = edited(edited(Choices(), "add-condition:"), "add-group")
    assert [len(group.conditions) for group in choices.groups] == [1, 1]
    assert [group.kind for group in edited(choices, "drop-condition:0.0").groups] == ["any"]


def test_faults_come_to_their_fields():
    choices = edited(Choices(table="orders"), "add-group")
    group = choices.groups[0]
    row = Condition(column="id", operator="=", value="x")
    choices = Choices(table="orders", groups=(type(group)(kind="any", conditions=(Condition(), row)),))
    places = compose(choices, ORDERS, "sqlite", pinned=False).places
    faults = {
        "filters": {"where_conditions": {"0": {"any": {"0": {"value": "no"}}}}, "limit": "bad"},
        "odd": "?",
    }
    assert placed(faults, places) == {"where.0.1.value": "no", "limit": "bad", "": "?"}


@pytest.mark.parametrize(
    "condition",
    [
        {"column": "odd, name", "operator": "=", "value": 'it\'s "so"'},
        {"column": "id", "operator": "in", "value": [1, 2]},
        {"column": "id", "operator": "between", "value": [1, 2.5]},
        {"column": "city", "operator": "is not null"},
    ],
)
def test_a_condition_is_spelled_as_the_command_line_reads_it(condition):
    assert parse_where(commands.where(condition)) == condition


def test_python_to_copy_carries_any_text():
    body = {"filters": {}, "name": 'quote """ and \\ and Zürich\n'}
    text = commands.python(body, "http://x/")
    read = text.replace("from urllib.request import Request, urlopen", "").partition("request =")[0]
    scope = {}
    exec(read, scope)
    assert scope["body"] == body


def test_sizes_and_spans_read_well():
    assert [size(each) for each in (0, 999, 1000, 8_123_456, 33_000_000)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "8.1 MB",
        "33 MB",
    ]
    assert [span(each) for each in (0.2, 59, 60, 125, 7260, 86400)] == [
        "less than a second",
        "59 s",
        "1 min",
        "2 min 5 s",
        "2 h 1 min",
        "1 day",
    ]
