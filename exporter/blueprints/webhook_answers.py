"""The shapes of answers about webhooks; `exporter.blueprints.answers` has the others."""

from marshmallow import fields, validate

from exporter.blueprints.answers import Checksum, Named
from exporter.blueprints.envelope import Answer, Pagination, always, many, maybe, word
from exporter.blueprints.schemas import EVENTS, FORMAT_NAMES
from exporter.outbox import JOB_EVENTS, DeliveryStatus, Event


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


class EndedJob(Answer):
    """What a webhook is told of a job; no value of a filter is in it."""

    job_id = always(fields.UUID)
    name = maybe(fields.String)
    status = always(word("completed", "failed", "cancelled"))
    attempt = always(fields.Integer)
    format = always(word(*FORMAT_NAMES))
    datasource = always(fields.Nested, Named)
    template = maybe(fields.Nested, Named)
    schedule_id = maybe(fields.UUID)
    row_count = maybe(fields.Integer)
    file_name = maybe(fields.String)
    file_size = maybe(fields.Integer)
    checksum = maybe(fields.Nested, Checksum)
    error_code = maybe(fields.String)
    error_message = maybe(fields.String)
    created_at = always(fields.DateTime)
    started_at = maybe(fields.DateTime)
    completed_at = maybe(fields.DateTime)
    expires_at = maybe(fields.DateTime)
    download_url = maybe(fields.String, says="The path on this server, where there is a file")


class JobEvent(Answer):
    """What a webhook gets when a job ended."""

    type = always(word(*JOB_EVENTS))
    timestamp = always(fields.DateTime, says="When it ended; a later try does not change it")
    data = always(fields.Nested, EndedJob)


class TestedWebhook(Answer):
    webhook_id = always(fields.UUID)
    name = always(fields.String)


class TestEvent(Answer):
    """What a webhook gets when somebody tries it."""

    type = always(fields.String, validate=validate.Equal(Event.TEST.value))
    timestamp = always(fields.DateTime)
    data = always(fields.Nested, TestedWebhook)
