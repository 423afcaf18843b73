"""A condition as one writes it on a command line: `price >= 10`, `"odd name" in ('a', 'it''s')`."""

import re
from decimal import Decimal
from typing import Any

from exporter.query.faults import shown
from exporter.query.spec import LISTS, NULL_TESTS, RANGES, Operator

_NAME = re.compile(r'\s*(?:"((?:[^"]|"")+)"|([^\s"=<>!,()\']+))\s*')
_OPERATORS = (
    r"not\s+between|not\s+like|not\s+in|is\s+not\s+null|is\s+null"
    r"|between|like|ilike|contains|starts_with|ends_with|in"
)
_OPERATOR = re.compile(rf"(?:(<>|!=|>=|<=|=|>|<)|({_OPERATORS})(?![\w]))\s*", re.IGNORECASE)
_VALUE = re.compile(r"(?:'((?:[^']|'')*)'|([^\s'\",()]+))\s*")
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?")
_WORDS = {"true": True, "false": False, "null": None}


def parse_where(text: str) -> dict[str, object]:
    """Read one condition, in the shape that `where_conditions` holds. Raises ValueError with a sentence."""
    return _Reader(text).condition()


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def condition(self) -> dict[str, object]:
        quoted, bare = self._take(_NAME, "a column name; one with spaces or signs stands in double quotes")
        name = bare or quoted.replace('""', '"')
        sign, words = self._take(_OPERATOR, f"an operator: {', '.join(Operator)}")
        operator = Operator(" ".join((sign or words).lower().split()).replace("<>", "!="))
        found: dict[str, object] = {"column": name, "operator": str(operator)}
        if operator not in NULL_TESTS:
            found["value"] = self._value_of(operator)
        if self.position < len(self.text):
            raise self._fault("the end; text with spaces, commas or brackets stands in 'single quotes'")
        return found

    def _value_of(self, operator: Operator) -> object:
        if operator in LISTS:
            return self._list()
        if operator in RANGES:
            low = self._value()
            self._take(_AND, "and")
            return [low, self._value()]
        return self._value()

    def _list(self) -> list[object]:
        self._take(_OPEN, "( and a list of values")
        values = [self._value()]
        while self._ahead(","):
            self._take(_COMMA, ",")
            values.append(self._value())
        self._take(_CLOSE, ", or )")
        return values

    def _value(self) -> object:
        quoted, bare = self._take(_VALUE, "a value: a number, true, false, null or 'text'")
        return _bare_value(bare) if bare else quoted.replace("''", "'")

    def _ahead(self, sign: str) -> bool:
        return self.text.startswith(sign, self.position)

    def _take(self, pattern: re.Pattern[str], expected: str) -> tuple[Any, ...]:
        match = pattern.match(self.text, self.position)
        if match is None:
            raise self._fault(expected)
        self.position = match.end()
        return match.groups()

    def _fault(self, expected: str) -> ValueError:
        rest = self.text[self.position :]
        where = f"at {shown(rest)}" if rest.strip() else "at its end"
        return ValueError(f"{shown(self.text)} cannot be read {where}: expected {expected}")


def _bare_value(text: str) -> object:
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        return number if Decimal(repr(number)) == Decimal(text) else text  # no digit is lost
    return _WORDS.get(text.lower(), text)


_OPEN, _CLOSE, _COMMA = (re.compile(rf"\{sign}\s*") for sign in "(),")
_AND = re.compile(r"and\s+", re.IGNORECASE)
