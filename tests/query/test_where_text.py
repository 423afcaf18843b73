"""Conditions as one writes them on a command line."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.query import parse_filters, parse_where


@pytest.mark.parametrize(
    ("text", "column", "operator", "value"),
    [
        ("price >= 10", "price", ">=", 10),
        ("price>=10", "price", ">=", 10),
        ("  price   <>   -1.50 ", "price", "!=", -1.5),
        ("price = 1e3", "price", "=", 1000.0),
        ("price = 0.12345678901234567890", "price", "=", "0.12345678901234567890"),
        ("id = 123456789012345678901234567890", "id", "=", 123456789012345678901234567890),
        ("zip = 01234", "zip", "=", "01234"),
        ("city = Berlin", "city", "=", "Berlin"),
        ("city = 'New York'", "city", "=", "New York"),
        ("city = 'it''s'", "city", "=", "it's"),
        ("city = ''", "city", "=", ""),
        ("city = '10'", "city", "=", "10"),
        ("paid = true", "paid", "=", True),
        ("paid != FALSE", "paid", "!=", False),
        ("paid = null", "paid", "=", None),
        ("day >= 2024-01-31", "day", ">=", "2024-01-31"),
        ("day >= 2024-01-31T10:00:00Z", "day", ">=", "2024-01-31T10:00:00Z"),
        ('"odd ""name"" >" = 1', 'odd "name" >', "=", 1),
        ("id in (1, 2,3)", "id", "in", [1, 2, 3]),
        ("city NOT  IN ('a, b', c)", "city", "not in", ["a, b", "c"]),
        ("id between 1 and 5", "id", "between", [1, 5]),
        ("day not between '2024-01-01' AND 2024-12-31", "day", "not between", ["2024-01-01", "2024-12-31"]),
        ("name like 'a%'", "name", "like", "a%"),
        ("name not like a_b", "name", "not like", "a_b"),
        ("name ILIKE 'a%'", "name", "ilike", "a%"),
        ("name contains '50% (net)'", "name", "contains", "50% (net)"),
        ("name starts_with x", "name", "starts_with", "x"),
        ("name ends_with 'x y'", "name", "ends_with", "x y"),
        ("in in (1)", "in", "in", [1]),
        ("größe = \\x00ff", "größe", "=", "\\x00ff"),
    ],
)
def test_a_condition_is_read(text, column, operator, value):
    found = parse_where(text)
    assert found == {"column": column, "operator": operator, "value": value}
    assert type(found["value"]) is type(value)


@pytest.mark.parametrize("text", ["note is null", '"note" IS NULL', "note  Is\tNull "])
def test_a_null_test_has_no_value(text):
    assert parse_where(text) == {"column": "note", "operator": "is null"}


def test_is_not_null_is_read():
    assert parse_where("note is not null") == {"column": "note", "operator": "is not null"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected a column name"),
        ("   ", "expected a column name"),
        ("price", "expected an operator"),
        ("price ~ 5", "expected an operator"),
        ("price isnull", "expected an operator"),
        ("price inn (1)", "expected an operator"),
        ("price >=", "expected a value"),
        ("city = New York", "expected the end"),
        ("city = 'New York", "expected a value"),
        ("city = 'a' or 1=1", "expected the end"),
        ('"city = 1', "expected a column name"),
        ("id in 1, 2", "expected ( and a list"),
        ("id in ()", "expected a value"),
        ("id in (1, 2", "expected , or )"),
        ("id in (1 2)", "expected , or )"),
        ("id between 1", "expected and"),
        ("id between 1, 5", "expected and"),
        ("id is null 5", "expected the end"),
        ("= 5", "expected a column name"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_was_expected(text, words):
    with pytest.raises(ValueError, match="cannot be read") as caught:
        parse_where(text)
    assert words in str(caught.value)


@given(st.text())
@example("a = '" + "'" * 1001)
def test_any_text_is_a_condition_or_a_fault(text):
    try:
        found = parse_where(text)
    except ValueError as exc:
        found = {"value": str(exc)}
    assert set(found) <= {"column", "operator", "value"}


@given(st.text(min_size=1), st.text())
def test_quoted_names_and_texts_come_back_as_they_are(name, value):
    double, single = name.replace('"', '""'), value.replace("'", "''")
    found = parse_where(f"\"{double}\" = '{single}'")
    assert found == {"column": name, "operator": "=", "value": value}
    if name.strip():
        (condition,) = parse_filters({"where_conditions": [found]}).where
        assert (condition.column, condition.value) == (name, value)
