"""What the server sends to webhooks, for the API's description: OpenAPI's own section `webhooks`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from apispec.ext.marshmallow.openapi import OpenAPIConverter
from marshmallow import Schema

from exporter.blueprints.webhook_answers import JobEvent, TestEvent
from exporter.outbox import Event

DETAILS = (
    "Sent to the webhook's own address, at least once: the same `webhook-id` again is the same event."
    " Signed as Standard Webhooks has it, with the secret that the webhook was created with."
)
SUMMARIES: Mapping[Event, str] = MappingProxyType(
    {
        Event.COMPLETED: "A job has completed",
        Event.FAILED: "A job has failed",
        Event.CANCELLED: "A job was cancelled",
        Event.TEST: "Somebody tries the webhook",
    }
)
HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "webhook-id": "The delivery's id, the same at each try",
        "webhook-timestamp": "When this try was made, in seconds since 1970",
        "webhook-signature": "`v1,` and the base64 of HMAC-SHA256 over id, timestamp and body, joined with dots",
    }
)
ANSWERS = MappingProxyType(
    {
        "2XX": {"description": "It arrived"},
        "default": {"description": "It did not, and is tried again for hours"},
    }
)


def events(converter: OpenAPIConverter, tag: str) -> dict[str, Any]:
    """Describe the request of each event."""
    return {event.value: {"post": _request(event, converter, tag)} for event in Event}


def _request(event: Event, converter: OpenAPIConverter, tag: str) -> dict[str, Any]:
    shape: type[Schema] = TestEvent if event is Event.TEST else JobEvent
    schema = converter.resolve_nested_schema(shape)  # type: ignore[no-untyped-call]
    return {
        "operationId": f"told_{event.value.replace('.', '_')}",
        "summary": SUMMARIES[event],
        "description": DETAILS,
        "tags": [tag],
        "security": [],
        "parameters": [
            {
                "in": "header",
                "name": name,
                "description": says,
                "required": True,
                "schema": {"type": "string"},
            }
            for name, says in HEADERS.items()
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "responses": dict(ANSWERS),
    }
