"""Conditions between text in a form and JSON in a request: which operators suit, which widget, which value."""

import json
import re
from types import MappingProxyType
from typing import Any

from exporter.blueprints.pages.choices import Condition
from exporter.query.families import Family, family, operator_fault
from exporter.query.spec import LISTS, NULL_TESTS, RANGES, Operator
from exporter.sources.base import Column, Kind

WORDS = MappingProxyType(
    {
        Operator.EQUAL: "is",
        Operator.NOT_EQUAL: "is not",
        Operator.GREATER: "is more than",
        Operator.GREATER_OR_EQUAL: "is at least",
        Operator.LESS: "is less than",
        Operator.LESS_OR_EQUAL: "is at most",
        Operator.IN: "is one of",
        Operator.NOT_IN: "is none of",
        Operator.BETWEEN: "is between",
        Operator.NOT_BETWEEN: "is not between",
        Operator.CONTAINS: "contains",
        Operator.STARTS_WITH: "starts with",
        Operator.ENDS_WITH: "ends with",
        Operator.LIKE: "matches the pattern",
        Operator.NOT_LIKE: "does not match the pattern",
        Operator.ILIKE: "matches the pattern, in any case",
        Operator.IS_NULL: "is missing",
        Operator.IS_NOT_NULL: "is there",
    }
)
MOMENT_WORDS = MappingProxyType(
    {
        Operator.GREATER: "is after",
        Operator.GREATER_OR_EQUAL: "is at or after",
        Operator.LESS: "is before",
        Operator.LESS_OR_EQUAL: "is at or before",
    }
)
FLAGS = frozenset(
    {Operator.EQUAL, Operator.NOT_EQUAL, *NULL_TESTS}
)  # what is worth asking of a true or false
SPELLED = {"<>": Operator.NOT_EQUAL}
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
SECOND = re.compile(rf"{DAY.pattern}T[0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}(\.[0-9]{{1,3}})?)?")
INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,3})?")
NUMERIC = frozenset({Family.INTEGER, Family.NUMBER, Family.ANY})
NESTED = frozenset({Family.JSON, Family.ARRAY})


def operators(column: Column | None, dialect: str, chosen: str) -> list[tuple[str, str]]:
    """Give the operators that suit a column, with their words; the chosen one is there whatever it is."""
    found = Family.ANY if column is None else family(column, dialect)
    words = {**WORDS, **(MOMENT_WORDS if found is Family.MOMENT else {})}
    fit = [
        (str(operator), word)
        for operator, word in words.items()
        if column is None or operator_fault(column, operator, dialect) is None
        if found is not Family.BOOLEAN or operator in FLAGS
    ]
    return fit if chosen in dict(fit) else [*fit, (chosen, chosen)]


def widget(column: Column | None, dialect: str, condition: Condition) -> str:
    """Name the control that takes the value: none, lines, flag, date, moment, number or text."""
    operator = known(condition.operator)
    found = Family.ANY if column is None else family(column, dialect)
    if operator in NULL_TESTS:
        return "none"
    if operator in LISTS:
        return "lines"
    if found is Family.BOOLEAN and condition.value in {"", "true", "false"}:
        return "flag"
    if found is Family.MOMENT and column is not None:
        return _picker(column, condition)
    return "number" if found in {Family.INTEGER, Family.NUMBER} else "text"


def _picker(column: Column, condition: Condition) -> str:
    """Choose a date picker, unless it could not show what stands there."""
    day = column.kind is Kind.DATE or column.database_type.upper() == "DATE"
    shape, name = (DAY, "date") if day else (SECOND, "moment")
    return (
        name if all(not text or shape.fullmatch(text) for text in (condition.value, condition.to)) else "text"
    )


def known(operator: str) -> Operator | None:
    word = " ".join(operator.lower().split())
    return SPELLED.get(word) or (Operator(word) if word in set(Operator) else None)


def shown(item: dict[str, Any]) -> Condition:
    """Turn a condition of a request into texts, remembering the value that they stand for."""
    operator, value = str(item.get("operator", "=")), item.get("value")
    found = known(operator)
    first, second = texts(found, value)
    was = json.dumps(value, ensure_ascii=False) if "value" in item else ""
    return Condition(
        column=str(item.get("column", "")),
        operator=str(found or operator),
        value=first,
        to=second,
        was=was,
    )


def texts(operator: Operator | None, value: Any) -> tuple[str, str]:
    if operator in RANGES and isinstance(value, list) and len(value) == 2:  # noqa: PLR2004 - both ends
        return _text(value[0]), _text(value[1])
    if operator in LISTS and isinstance(value, list):
        return "\n".join(_text(each) for each in value), ""
    return ("" if value is None else _text(value)), ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def value_of(condition: Condition, column: Column | None, dialect: str) -> Any:
    """Give the JSON value that the texts mean for this column; what they cannot mean stays text, to be refused."""
    operator = known(condition.operator)
    typed = (condition.value.replace("\r\n", "\n"), condition.to)
    if condition.was:
        was = json.loads(condition.was)
        if texts(operator, was) == typed:
            return was
    found = Family.ANY if column is None else family(column, dialect)
    if operator in LISTS:
        return [_typed(line, found) for line in typed[0].split("\n") if line.strip()]
    if operator in RANGES:
        return [_typed(each, found) for each in typed]
    return _typed(typed[0], found)


def _typed(text: str, found: Family) -> Any:
    bare = text.strip()
    if found in NUMERIC and (number := _number(bare)) is not None:
        return number
    if found is Family.BOOLEAN and bare.lower() in {"true", "false"}:
        return bare.lower() == "true"
    if found in NESTED:
        try:
            return json.loads(bare)
        except ValueError:
            return text
    return bare if found in {Family.MOMENT, Family.TIME, Family.UUID} else text


def _number(text: str) -> int | float | str | None:
    """Read a number; one that a double would change stays its digits, which the request takes as well."""
    if INTEGER.fullmatch(text):
        return int(text)
    if not NUMBER.fullmatch(text):
        return None
    return float(text) if repr(float(text)) == text else text
