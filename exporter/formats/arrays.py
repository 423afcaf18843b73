r"""PostgreSQL's text of an array, taken apart: `[0:1]={{1,NULL},{"a \"b","c"}}`."""

import json
import re
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from exporter.sources.base import Column

_BOUNDS = re.compile(r"\A(?:\[-?\d+:-?\d+\])+=")
_PATTERNS = {
    mark: re.compile(rf'"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^{{}}{mark}"]+)|.', re.DOTALL)
    for mark in ",;"
}
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_BRACKETS = {"{": "[", "}": "]"}
_ELEMENT = ""


class Outline(NamedTuple):
    """An array's brackets and commas in JSON's spelling, cut where its elements belong, and the elements."""

    frame: list[str]
    elements: list[str | None]

    def filled(self, spelled: list[str]) -> str:
        return "".join(chain.from_iterable(zip(self.frame, [*spelled, ""], strict=True)))


def delimiter(element: Column | None) -> str:
    """PostgreSQL's only type whose elements are not parted by commas is box."""
    return ";" if element is not None and element.database_type == "box" else ","


def outline(value: str, *, delimiter: str = ",") -> Outline | None:
    """Take an array's text apart; None where it is none. Bounds other than 1 are left out."""
    frame, elements = [""], list[str | None]()
    for mark, element in _tokens(_BOUNDS.sub("", value), delimiter):
        if mark == _ELEMENT:
            elements.append(element)
            frame.append("")
        else:
            frame[-1] += _BRACKETS.get(mark, mark)
    return Outline(frame, elements) if _is_list("0".join(frame)) else None


def _is_list(frame: str) -> bool:
    try:
        return isinstance(json.loads(frame), list)
    except (ValueError, RecursionError):
        return False


def _tokens(value: str, delimiter: str) -> Iterator[tuple[str, str | None]]:
    """Yield marks, and elements with their text (None for NULL)."""
    for found in _PATTERNS[delimiter].finditer(value):
        if found["quoted"] is not None:
            yield _ELEMENT, _ESCAPED.sub(r"\1", found["quoted"])
        elif found["bare"] is not None:
            yield _ELEMENT, None if found["bare"] == "NULL" else found["bare"]
        else:
            yield found[0] if found[0] != delimiter else ",", None
