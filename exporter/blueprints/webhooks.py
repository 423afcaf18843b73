"""Webhooks: whom to tell how exports ended."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, url_for

from exporter.blueprints import answers, examples
from exporter.blueprints import webhook_answers as shapes
from exporter.blueprints.audited import audited, current_deed
from exporter.blueprints.body import json_object, load, query_arguments, read
from exporter.blueprints.context import answer, current_user, services
from exporter.blueprints.described import describes
from exporter.blueprints.paging import pagination
from exporter.blueprints.schemas import (
    DeliveryListSchema,
    PageSchema,
    WebhookChangeSchema,
    WebhookRequestSchema,
)
from exporter.documents import delivery_detail, delivery_document, webhook_document
from exporter.errors import DeliveryNotFound, DeliveryUnderway, NameTaken, WebhookNotFound, WebhooksFull
from exporter.model import Action
from exporter.outbox import Delivery, Webhook
from exporter.webhooks.service import WebhookValues

bp = Blueprint("webhooks", __name__)


@bp.get("/")
@describes(
    "List webhooks",
    details="Your own; an admin sees everybody's.",
    query=PageSchema,
    answer=shapes.Webhooks,
)
def index() -> Response:
    asked = load(PageSchema, query_arguments())
    page = services().webhooks.page(current_user(), number=asked["page"], size=asked["page_size"])
    return answer(
        "Webhooks retrieved successfully",
        {"webhooks": [webhook_document(each) for each in page.items], "pagination": pagination(page)},
    )


@bp.post("/")
@audited(Action.WEBHOOK_CREATE)
@describes(
    "Create a webhook",
    details="It is told of the ends of your own jobs. The secret is in this answer and nowhere else.",
    body=WebhookRequestSchema,
    answer=shapes.NewWebhook,
    statuses=(201,),
    gives=("Location",),
    refuses=(NameTaken, WebhooksFull),
    request_example=examples.WEBHOOK_REQUEST,
)
def create() -> Response:
    values, faults = _asked(json_object())
    webhook = services().webhooks.create(values, current_user(), faults=faults)
    current_deed().about(webhook.id, webhook.name)
    location = url_for(".show", webhook_id=webhook.id)
    told = {**webhook_document(webhook), "secret": webhook.secret}
    return answer("Webhook created successfully", told, status=201, location=location)


@bp.get("/<webhook_id>/")
@describes("Show a webhook", answer=shapes.Webhook, refuses=(WebhookNotFound,))
def show(webhook_id: str) -> Response:
    return answer("Webhook retrieved successfully", webhook_document(_webhook(webhook_id)))


@bp.put("/<webhook_id>/")
@audited(Action.WEBHOOK_UPDATE)
@describes(
    "Replace a webhook",
    details="What is left out takes its default; the secret stays.",
    body=WebhookRequestSchema,
    answer=shapes.Webhook,
    refuses=(WebhookNotFound, NameTaken),
    request_example=examples.WEBHOOK_REQUEST,
)
def replace(webhook_id: str) -> Response:
    return _changed(webhook_id, json_object())


@bp.patch("/<webhook_id>/")
@audited(Action.WEBHOOK_UPDATE)
@describes(
    "Change a webhook",
    details="Only the fields that are given change. While it rests nothing is sent, and nothing new is queued.",
    body=WebhookChangeSchema,
    answer=shapes.Webhook,
    refuses=(WebhookNotFound, NameTaken),
    request_example={"is_active": False},
)
def change(webhook_id: str) -> Response:
    present = webhook_document(_meant(webhook_id))
    kept = {name: present[name] for name in WebhookRequestSchema().fields}
    return _changed(webhook_id, {**kept, **json_object()})


@bp.delete("/<webhook_id>/")
@audited(Action.WEBHOOK_DELETE)
@describes(
    "Delete a webhook",
    details="With its deliveries, also those that wait.",
    answer=answers.Nothing,
    refuses=(WebhookNotFound,),
)
def delete(webhook_id: str) -> Response:
    services().webhooks.delete(_meant(webhook_id))
    return answer("Webhook deleted successfully")


@bp.post("/<webhook_id>/test/")
@audited(Action.WEBHOOK_TEST)
@describes(
    "Test a webhook",
    details="Sends a `webhook.test` now, once, and says what came of it.",
    answer=shapes.DeliveryDetail,
    refuses=(WebhookNotFound,),
)
def test(webhook_id: str) -> Response:
    return _told("Test sent", services().webhooks.test(_meant(webhook_id)))


@bp.get("/<webhook_id>/deliveries/")
@describes(
    "List a webhook's deliveries",
    details="Newest first.",
    query=DeliveryListSchema,
    answer=shapes.Deliveries,
    refuses=(WebhookNotFound,),
)
def deliveries(webhook_id: str) -> Response:
    asked = load(DeliveryListSchema, query_arguments())
    webhook = _webhook(webhook_id)
    page = services().webhooks.deliveries(
        webhook, status=asked["status"], number=asked["page"], size=asked["page_size"]
    )
    told = [delivery_document(each) for each in page.items]
    return answer("Deliveries retrieved successfully", {"deliveries": told, "pagination": pagination(page)})


@bp.get("/<webhook_id>/deliveries/<delivery_id>/")
@describes(
    "Show a delivery",
    details="With what is sent, and what came of each time.",
    answer=shapes.DeliveryDetail,
    refuses=(WebhookNotFound, DeliveryNotFound),
)
def delivery(webhook_id: str, delivery_id: str) -> Response:
    found = services().webhooks.delivery(_webhook(webhook_id), delivery_id)
    return _told("Delivery retrieved successfully", found)


@bp.post("/<webhook_id>/deliveries/<delivery_id>/redeliver/")
@audited(Action.WEBHOOK_REDELIVER)
@describes(
    "Send a delivery again",
    details="With the same `webhook-id`, whether it had arrived or not; a running server sends it.",
    answer=shapes.DeliveryDetail,
    refuses=(WebhookNotFound, DeliveryNotFound, DeliveryUnderway),
)
def redeliver(webhook_id: str, delivery_id: str) -> Response:
    found = services().webhooks.delivery(_meant(webhook_id), delivery_id)
    return _told("Delivery queued successfully", services().webhooks.redeliver(found))


def _webhook(webhook_id: str) -> Webhook:
    return services().webhooks.get(webhook_id, current_user())


def _meant(webhook_id: str) -> Webhook:
    webhook = _webhook(webhook_id)
    current_deed().about(webhook.id, webhook.name)
    return webhook


def _told(message: str, found: Delivery) -> Response:
    return answer(message, delivery_detail(found, services().webhooks.attempts(found)))


def _changed(webhook_id: str, body: Mapping[str, Any]) -> Response:
    webhook = _meant(webhook_id)
    values, faults = _asked(body)
    changed = services().webhooks.change(webhook, values, current_user(), faults=faults)
    return answer("Webhook updated successfully", webhook_document(changed))


def _asked(body: Mapping[str, Any]) -> tuple[WebhookValues, dict[str, Any]]:
    """Read what is valid; the faults of the rest are told with those that the service finds."""
    values, faults = read(WebhookRequestSchema, body)
    return WebhookValues(**{"name": "", "url": "", **values}), faults
