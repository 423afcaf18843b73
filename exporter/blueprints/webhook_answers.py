"""The shapes of answers about webhooks; `exporter.blueprints.answers` has the others."""

from marshmallow import fields

from exporter.blueprints.envelope import Answer, Pagination, always, many, maybe, word
from exporter.blueprints.schemas import EVENTS
from exporter.outbox import DeliveryStatus, Event


class Webhook(Answer):
    """Whom to tell of the ends of its owner's jobs. The secret is not shown again."""

    id = always(fields.UUID)
    name = always(fields.String)
    url = always(fields.String)
    events = always(fields.List, word(*EVENTS)())
    schedule = maybe(fields.UUID, says="Only jobs of this schedule")
    template = maybe(fields.UUID, says="Only jobs of this template")
    datasource = maybe(fields.UUID, says="Only jobs of this datasource")
    is_active = always(fields.Boolean)
    owner = always(fields.String)
    created_at = always(fields.DateTime)
    updated_at = always(fields.DateTime)


class NewWebhook(Webhook):
    secret = always(
        fields.String, says="What its requests are signed with. It is shown here and nowhere else"
    )


class Webhooks(Answer):
    webhooks = many(Webhook)
    pagination = always(fields.Nested, Pagination)


class Delivery(Answer):
    """One event for one webhook; its id is the `webhook-id` of each request."""

    id = always(fields.UUID)
    event = always(word(*Event))
    job = maybe(fields.UUID, says="Null for a test, and once the job was deleted")
    status = always(word(*DeliveryStatus))
    attempt = always(fields.Integer, says="How often it was sent")
    next_at = maybe(fields.DateTime, says="When it is sent next")
    created_at = always(fields.DateTime)
    ended_at = maybe(fields.DateTime)


class DeliveryAttempt(Answer):
    number = always(fields.Integer)
    started_at = always(fields.DateTime)
    status_code = maybe(fields.Integer, says="What was answered; the answer itself is not kept")
    error = maybe(fields.String, says="Why nothing was answered")
    milliseconds = maybe(fields.Integer)


class DeliveryDetail(Delivery):
    body = always(fields.Dict, says="What is sent")
    attempts = many(DeliveryAttempt)


class Deliveries(Answer):
    deliveries = many(Delivery)
    pagination = always(fields.Nested, Pagination)
