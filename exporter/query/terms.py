"""Lists of names in text: `a DESC, "odd, name" NULLS LAST`."""

import re
from typing import Literal

from exporter.query.faults import shown
from exporter.query.spec import OrderTerm, Place

_TOKEN = re.compile(r'\s*(?:"([^"]*(?:""[^"]*)*)"|([^\s",]+)|(,))')
_COMMA = (",", False)
Token = tuple[str, bool]  # text, and whether it stood in double quotes
Term = tuple[Token, ...]


def parse_names(text: str) -> list[str]:
    """Read `a, b` or `"odd name"`. Raises ValueError with a sentence."""
    names = []
    for term in _terms(text):
        if len(term) > 1:
            raise ValueError(f"{shown(text)} cannot be read: {_ADVICE}")
        names.append(term[0][0])
    return names


def parse_order(text: str, place: Place) -> list[OrderTerm]:
    """Read `a DESC, b NULLS LAST`. Raises ValueError with a sentence."""
    return [_order_term(term, text, place) for term in _terms(text)]


def _order_term(term: Term, text: str, place: Place) -> OrderTerm:
    (name, _), *rest = term
    words = [word.upper() for word, quoted in rest if not quoted]
    descending = words[:1] == ["DESC"]
    if words[:1] in (["ASC"], ["DESC"]):
        del words[0]
    if tuple(words) not in _NULLS or any(quoted for _, quoted in rest):
        raise ValueError(
            f"{shown(text)} cannot be read: give column [ASC|DESC] [NULLS FIRST|LAST]; {_ADVICE}"
        )
    return OrderTerm(column=name, descending=descending, nulls=_NULLS[tuple(words)], place=place)


def _terms(text: str) -> list[Term]:
    terms: list[list[Token]] = [[]]
    for token in _tokens(text):
        if token == _COMMA:
            terms.append([])
        else:
            terms[-1].append(token)
    if not all(term and term[0][0] for term in terms):
        raise ValueError(f"{shown(text)} lacks a column name")
    return [tuple(term) for term in terms]


def _tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise ValueError(f"{shown(text)} has a double quote that is never closed")
        quoted, bare, comma = match.groups()
        tokens.append((bare or comma, False) if quoted is None else (quoted.replace('""', '"'), True))
        position = match.end()
    return tokens


Nulls = Literal["first", "last"] | None
_NULLS: dict[tuple[str, ...], Nulls] = {(): None, ("NULLS", "FIRST"): "first", ("NULLS", "LAST"): "last"}
_ADVICE = "commas separate names, and a name with spaces or commas stands in double quotes"
