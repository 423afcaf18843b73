"""What stands around every answer, and the words in which `exporter.blueprints.answers` describes what is inside."""

from collections.abc import Callable
from functools import cache
from typing import Any

from marshmallow import EXCLUDE, Schema, fields, validate


def always(
    kind: Callable[..., fields.Field[Any]], *inner: Any, says: str | None = None, **settings: Any
) -> fields.Field[Any]:
    """Describe a key that every answer has."""
    return kind(*inner, required=True, metadata={"description": says} if says else {}, **settings)


def maybe(
    kind: Callable[..., fields.Field[Any]], *inner: Any, says: str | None = None, **settings: Any
) -> fields.Field[Any]:
    """Describe a key that every answer has, and that is null where nothing is known."""
    return always(kind, *inner, says=says, allow_none=True, **settings)


def word(*words: str) -> Callable[..., fields.Field[Any]]:
    return lambda **settings: fields.String(validate=validate.OneOf(words), **settings)


def many(schema: type[Schema]) -> fields.Field[Any]:
    return fields.List(fields.Nested(schema), required=True)


class Answer(Schema):
    class Meta:
        unknown = EXCLUDE


class Pagination(Answer):
    total_count = always(fields.Integer)
    page_count = always(fields.Integer)
    current_page = always(fields.Integer)
    has_next = always(fields.Boolean)
    has_previous = always(fields.Boolean)
    page_size = always(fields.Integer)


class Envelope(Answer):
    """The shape of every success."""

    success = always(fields.Boolean, validate=validate.Equal(comparable=True))
    message = always(fields.String)


class Failure(Answer):
    """The shape of every failure."""

    success = always(fields.Boolean, validate=validate.Equal(comparable=False))
    error = always(fields.String, says="A sentence")


class FaultTree(fields.Raw):
    """A sentence, or an object of them, nested like the request; list items are keyed by index."""


class Invalid(Failure):
    """The shape of a 400: a sentence about the whole request, or sentences nested like it."""

    error = always(FaultTree)


@cache
def enveloped(answer: type[Answer]) -> type[Schema]:
    data = fields.Nested(answer, required=True)
    return Envelope.from_dict({"data": data}, name=f"{answer.__name__}Envelope")
