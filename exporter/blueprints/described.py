"""What a view says of itself: `exporter.blueprints.openapi` makes the API's description of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import Response
from marshmallow import Schema

from exporter.errors import ExporterError

View = TypeVar("View", bound=Callable[..., Response])


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One call. Schemas are those that read the request; `answer` is of the envelope's `data`.

    `refuses` are the errors of this call alone: what every call of its kind may meet is added to them. `media`
    takes the envelope's place: the media types of an answer that is no JSON of ours. `conditional` means that
    If-None-Match is obeyed, `ranged` that Range and If-Range are, and that HEAD is worth a line of its own. `sent_on`
    says when a GET may be answered with a 302.
    """

    summary: str
    details: str = ""
    query: type[Schema] | None = None
    body: type[Schema] | None = None
    body_required: bool = True
    answer: type[Schema] | None = None
    statuses: tuple[int, ...] = (200,)
    refuses: tuple[type[ExporterError], ...] = ()
    takes: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()
    media: Callable[[], tuple[str, ...]] | None = None
    conditional: bool = False
    ranged: bool = False
    sent_on: str = ""
    request_example: Mapping[str, Any] | None = None
    answer_example: Mapping[str, Any] | None = None


def describes(summary: str, **told: Any) -> Callable[[View], View]:
    """Attach an Operation to a view."""

    def attach(view: View) -> View:
        view.operation = Operation(summary=summary, **told)  # type: ignore[attr-defined]
        return view

    return attach


def operation_of(view: Callable[..., Any]) -> Operation | None:
    operation: Operation | None = getattr(view, "operation", None)
    return operation
