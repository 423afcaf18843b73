"""Reading what a client sent: strict JSON, then a marshmallow schema."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any, NoReturn

from flask import request
from marshmallow import Schema, ValidationError
from werkzeug.exceptions import RequestEntityTooLarge

from exporter.errors import BadRequest, BodyTooLarge, Invalid, WrongMediaType


def json_object() -> dict[str, Any]:
    """Read the body as one JSON object. Raises BadRequest, BodyTooLarge or WrongMediaType.

    Stricter than Python's parser: no NaN, no key twice, no lone surrogate, nothing nested past its stack.
    """
    if request.mimetype != "application/json":
        raise WrongMediaType
    try:
        value = json.loads(_body(), parse_constant=_refuse_constant, object_pairs_hook=_unique_keys)
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError as exc:
        raise BadRequest("The request body is nested too deeply") from exc
    except ValueError as exc:
        raise BadRequest(f"The request body is not valid JSON: {_reason(exc)}") from exc
    if not isinstance(value, dict):
        raise BadRequest("The request body must be a JSON object")
    return value


def optional_json_object() -> dict[str, Any]:
    return json_object() if request.content_length or request.mimetype == "application/json" else {}


def load(schema: type[Schema], raw: Mapping[str, Any]) -> dict[str, Any]:
    """Raise Invalid with every fault."""
    values, faults = read(schema, raw)
    if faults:
        raise Invalid(faults)
    return values


def read(schema: type[Schema], raw: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give what is valid, and the faults of the rest, for a caller who has more to check."""
    try:
        return dict(_made(schema).load(raw)), {}
    except ValidationError as exc:
        valid = exc.valid_data if isinstance(exc.valid_data, dict) else {}
        return valid, sentences(exc.messages_dict)


def sentences(messages: Mapping[Any, Any]) -> dict[str, Any]:
    """Turn marshmallow's lists of messages into one sentence per field."""
    return {
        str(field): sentences(told) if isinstance(told, dict) else " ".join(str(part) for part in told)
        for field, told in messages.items()
    }


def query_arguments() -> dict[str, str]:
    """Give the query string's arguments. Raises Invalid on one that is given twice."""
    twice = {name: "Give this only once" for name, values in request.args.lists() if len(values) > 1}
    if twice:
        raise Invalid(twice)
    return request.args.to_dict()


@cache
def _made(schema: type[Schema]) -> Schema:
    """Make each schema once: it copies all its fields, which takes longer than to read a request."""
    return schema()


def _body() -> bytes:
    try:
        return request.get_data(cache=False)
    except RequestEntityTooLarge as exc:
        raise BodyTooLarge(limit=request.max_content_length) from exc


def _reason(exc: ValueError) -> str:
    if isinstance(exc, json.JSONDecodeError):
        return f"{exc.msg} at line {exc.lineno}, column {exc.colno}"
    if isinstance(exc, UnicodeError):
        return "it holds text that is not valid UTF-8"
    return str(exc)


def _refuse_constant(word: str) -> NoReturn:
    message = f"{word} is no JSON number"
    raise ValueError(message)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        message = f"the key {next(name for name in names if names.count(name) > 1)!r} is given twice"
        raise ValueError(message)
    return found
