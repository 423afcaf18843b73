"""Webhooks: who is told how exports ended, made, tried, rested, deleted; and what was sent."""

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Response, request, url_for

from exporter.blueprints.audited import audited, current_deed
from exporter.blueprints.body import load, read
from exporter.blueprints.context import current_user, services
from exporter.blueprints.pages.base import bp, deed, page, see
from exporter.blueprints.pages.errors import sentences
from exporter.blueprints.pages.offers import template_offers
from exporter.blueprints.schemas import DeliveryListSchema
from exporter.errors import Invalid, NameTaken, WebhooksFull
from exporter.model import Action, Datasource, Schedule, Template
from exporter.outbox import JOB_EVENTS, Webhook
from exporter.webhooks.service import WebhookValues

NARROWING = ("schedule", "template", "datasource")
EVENT_WORDS = {
    "job.completed": "completes",
    "job.failed": "fails",
    "job.cancelled": "is cancelled",
    "webhook.test": "test",
}
MOST = 1000


@bp.get("/webhooks/")
def webhooks() -> Response:
    return _webhooks()


@bp.post("/webhooks/")
def add_webhook() -> Response:
    typed = _typed()
    try:
        with deed(Action.WEBHOOK_CREATE) as done:
            webhook = services().webhooks.create(_values(typed), current_user())
            done.about(webhook.id, webhook.name)
    except Invalid as exc:
        faults = {name: "; ".join(sentences(each)) for name, each in exc.errors.items()}
        return _webhooks(status=422, typed=typed, faults=faults)
    except (NameTaken, WebhooksFull) as exc:
        return _webhooks(status=422, typed=typed, faults={"name": exc.message})
    return _webhooks(status=201, created=webhook)


@bp.get("/webhooks/<webhook_id>/")
def webhook(webhook_id: str) -> Response:
    """Show what was sent and what waits."""
    found = services().webhooks.get(webhook_id, current_user())
    given = {name: request.args[name] for name in ("status", "page") if request.args.get(name)}
    asked, faults = read(DeliveryListSchema, given)
    asked = load(DeliveryListSchema, {}) if faults else asked
    deliveries = services().webhooks.deliveries(
        found, status=asked["status"], number=asked["page"], size=asked["page_size"]
    )
    attempts = {each.id: services().webhooks.attempts(each) for each in deliveries.items}
    return page("webhook.html", each=found, found=deliveries, attempts=attempts, words=EVENT_WORDS)


@bp.post("/webhooks/<webhook_id>/test/")
@audited(Action.WEBHOOK_TEST)
def test_webhook(webhook_id: str) -> Response:
    found = _meant(webhook_id)
    sent = services().webhooks.test(found)
    last = services().webhooks.attempts(sent)[-1]
    told = last.error or f"status {last.status_code}"
    words = f"Answered with {told} after {last.milliseconds} ms" if last.error is None else told
    return _webhooks(tested={found.id: (sent.status.value == "delivered", words)})


@bp.post("/webhooks/<webhook_id>/rest/")
@audited(Action.WEBHOOK_UPDATE)
def rest_webhook(webhook_id: str) -> Response:
    """Let one that is told rest, and one that rests be told again."""
    found = _meant(webhook_id)
    values = WebhookValues(
        name=found.name,
        url=found.url,
        events=found.events,
        schedule=found.schedule_id,
        template=found.template_id,
        datasource=found.datasource_id,
        is_active=not found.is_active,
    )
    services().webhooks.change(found, values, current_user())
    notice = "rests: nothing is sent to it" if found.is_active else "is told again"
    return see(url_for("pages.webhooks"), f"Webhook {found.name} {notice}.")


@bp.post("/webhooks/<webhook_id>/delete/")
@audited(Action.WEBHOOK_DELETE)
def delete_webhook(webhook_id: str) -> Response:
    found = _meant(webhook_id)
    services().webhooks.delete(found)
    return see(url_for("pages.webhooks"), f"Webhook {found.name} deleted, with what waited for it.")


@bp.post("/webhooks/<webhook_id>/<delivery_id>/redeliver/")
@audited(Action.WEBHOOK_REDELIVER)
def redeliver(webhook_id: str, delivery_id: str) -> Response:
    found = _meant(webhook_id)
    services().webhooks.redeliver(services().webhooks.delivery(found, delivery_id))
    return see(url_for("pages.webhook", webhook_id=found.id), "It is sent again in a moment.")


def _meant(webhook_id: str) -> Webhook:
    found = services().webhooks.get(webhook_id, current_user())
    current_deed().about(found.id, found.name)
    return found


def _typed() -> dict[str, Any]:
    typed: dict[str, Any] = {name: request.form.get(name, "").strip() for name in ("name", "url", *NARROWING)}
    return {**typed, "events": request.form.getlist("events")}


def _values(typed: Mapping[str, Any]) -> WebhookValues:
    return WebhookValues(
        name=typed["name"],
        url=typed["url"],
        events=tuple(typed["events"]),
        schedule=typed["schedule"] or None,
        template=typed["template"] or None,
        datasource=typed["datasource"] or None,
    )


def _webhooks(*, status: int = 200, **values: Any) -> Response:
    user = current_user()
    found = services().webhooks.page(user, number=1, size=MOST)
    offers: dict[str, Sequence[Schedule | Template | Datasource]] = {
        "schedule": services().schedules.page(user, number=1, size=MOST).items,
        "template": template_offers(user),
        "datasource": services().datasources.all(user),
    }
    usual = {"name": "", "url": "", "events": list(JOB_EVENTS[:2]), **dict.fromkeys(NARROWING, "")}
    named = {each.id: each.name for kind in offers.values() for each in kind}
    return page(
        "webhooks.html",
        status=status,
        found=found.items,
        offers=offers,
        named=named,
        words=EVENT_WORDS,
        events=JOB_EVENTS,
        **{"typed": usual, "faults": {}, "tested": {}, "created": None, **values},
    )
