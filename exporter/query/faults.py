"""Faults of one request, gathered at their places and worded."""

import json
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from exporter.errors import Invalid
from exporter.query.spec import Place

SHOWN_CHARACTERS = 60
SHOWN_NAMES = 12
SHOWN_MATCHES = 3
COMPARED_NAMES, COMPARED_FAULTS = 500, 50  # looking for near names takes time, and a request may hold many


class Faults:
    """Sentences under the keys of the request that they are about."""

    def __init__(self) -> None:
        self.errors: dict[str, Any] = {}
        self._unknown = 0

    def add(self, place: Place, sentence: str) -> None:
        *folders, last = place
        level = self.errors
        for key in folders:
            inner = level.setdefault(key, {})
            if not isinstance(inner, dict):  # the whole is faulty: a part of it cannot be said beside that
                return
            level = inner
        said = level.get(last)
        level[last] = _joined((said, sentence)) if isinstance(said, str) else sentence

    def include(self, errors: Mapping[str, Any], place: Place = ()) -> None:
        for key, value in errors.items():
            if isinstance(value, Mapping):
                self.include(value, (*place, key))
            else:
                self.add((*place, key), value)

    def add_unknown(self, place: Place, name: str, known: Iterable[str]) -> None:
        """Say that a column is unknown, with the names near it or, where none is, those there are."""
        names = list(known)
        self._unknown += 1
        near = near_names(name, names) if self._unknown <= COMPARED_FAULTS else []
        if near:
            matches = " or ".join(shown(each) for each in near)
            self.add(place, f"Unknown column {shown(name)}. Did you mean {matches}?")
        else:
            self.add(place, f"Unknown column {shown(name)}. There are: {listed(names)}.")

    def raise_any(self) -> None:
        if self.errors:
            raise Invalid(self.errors)


def worded(messages: Mapping[Any, Any]) -> dict[str, Any]:
    """Turn marshmallow's messages into the API's: keys are text, a list of sentences is one text."""
    return {str(key): _sentence(value) for key, value in messages.items()}


def _sentence(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _sentence(value["_schema"]) if list(value) == ["_schema"] else worded(value)
    return value if isinstance(value, str) else _joined([str(part) for part in value])


def _joined(sentences: Sequence[str]) -> str:
    """Put sentences behind each other; the last one's end stays as it is."""
    *before, last = sentences
    return " ".join([*(each if each.endswith((".", "?")) else f"{each}." for each in before), last])


def shown(value: object) -> str:
    """Show a value of a request in a sentence: short, and safe in any encoding."""
    if isinstance(value, str):
        text = ascii(value) if _unprintable(value) else repr(value)
    else:
        text = json.dumps(value, default=str)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


def listed(names: Iterable[str]) -> str:
    names = list(names)
    more = len(names) - SHOWN_NAMES
    tail = f" and {more} more" if more > 0 else ""
    return ", ".join(names[:SHOWN_NAMES]) + tail


def near_names(name: str, names: list[str]) -> list[str]:
    folded: dict[str, str] = {}
    for each in names[:COMPARED_NAMES]:
        folded.setdefault(each.casefold(), each)
    matches = get_close_matches(name.casefold()[:SHOWN_CHARACTERS], folded, n=SHOWN_MATCHES)
    return [folded[match] for match in matches]


def _unprintable(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
