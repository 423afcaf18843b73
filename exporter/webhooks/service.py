"""What people do with webhooks: make, change, look, try, send again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from exporter.datasources import DatasourceService
from exporter.errors import (
    AddressRefused,
    DeliveryNotFound,
    DeliveryUnderway,
    Invalid,
    NotFound,
    WebhookNotFound,
    WebhooksFull,
)
from exporter.model import Page, User
from exporter.naming import NAME_RULE, is_name
from exporter.outbox import JOB_EVENTS, Delivery, DeliveryAttempt, Webhook
from exporter.schedules.service import ScheduleService
from exporter.storage.deliveries import DeliveryStore, DeliveryTally
from exporter.storage.secrets import Vault
from exporter.storage.webhooks import WebhookStore
from exporter.templates import TemplateService
from exporter.webhooks.addresses import HostRules
from exporter.webhooks.sender import Sender
from exporter.webhooks.signing import new_secret

MOST = 20  # of one user: each costs every job of theirs a row and a request
EVENT_RULE = f"Must be one or more of: {', '.join(JOB_EVENTS)}"


@dataclass(frozen=True, kw_only=True)
class WebhookValues:
    """What its owner says of a webhook; `schedule`, `template` and `datasource` are ids that narrow it."""

    name: str
    url: str
    events: tuple[str, ...] = tuple(JOB_EVENTS[:2])
    schedule: str | None = None
    template: str | None = None
    datasource: str | None = None
    is_active: bool = True


class WebhookService:
    def __init__(
        self,
        *,
        store: WebhookStore,
        deliveries: DeliveryStore,
        sender: Sender,
        rules: HostRules,
        schedules: ScheduleService,
        templates: TemplateService,
        datasources: DatasourceService,
        clock: Callable[[], datetime],
        keep: timedelta | None,
    ) -> None:
        """Take how long ended deliveries are kept; None keeps them for good."""
        self._store = store
        self._deliveries = deliveries
        self._sender = sender
        self._rules = rules
        self._schedules = schedules
        self._templates = templates
        self._datasources = datasources
        self._clock = clock
        self._keep = keep

    def create(
        self, values: WebhookValues, user: User, *, faults: Mapping[str, Any] | None = None
    ) -> Webhook:
        """Give it with its new secret, which is told this once. Raises Invalid, NameTaken or WebhooksFull.

        `faults` are those of the request's shape: all are raised at once.
        """
        checked = self._checked(values, user, faults, known=None)
        if self._store.count(user.id) >= MOST:
            raise WebhooksFull(limit=MOST)
        row = {**checked, "owner_id": user.id, "secret": new_secret()}
        return self._store.create(row, now=self._clock())

    def change(
        self, webhook: Webhook, values: WebhookValues, user: User, *, faults: Mapping[str, Any] | None = None
    ) -> Webhook:
        """Replace everything but the secret. Raises Invalid or NameTaken."""
        checked = self._checked(values, user, faults, known=webhook)
        return self._store.update(webhook.id, checked, now=self._clock())

    def get(self, webhook_id: str, user: User) -> Webhook:
        """Raise WebhookNotFound, also for somebody else's."""
        found = self._store.get(webhook_id)
        if found is None or not (user.is_admin or found.owner_id == user.id):
            raise WebhookNotFound
        return found

    def named(self, name: str, user: User) -> Webhook:
        """Find one of the user's own by name, or by id. Raises WebhookNotFound."""
        found = self._store.named(name, user.id)
        return found if found is not None else self.get(name, user)

    def page(self, user: User, *, number: int, size: int) -> Page[Webhook]:
        return self._store.page(None if user.is_admin else user.id, number=number, size=size)

    def delete(self, webhook: Webhook) -> None:
        """Delete it with its deliveries, also those that wait."""
        self._store.delete(webhook.id)

    def deliveries(
        self, webhook: Webhook, *, status: str | None = None, number: int, size: int
    ) -> Page[Delivery]:
        return self._deliveries.page(webhook.id, status=status, number=number, size=size)

    def delivery(self, webhook: Webhook, delivery_id: str) -> Delivery:
        """Raise DeliveryNotFound."""
        found = self._deliveries.get(delivery_id)
        if found is None or found.webhook_id != webhook.id:
            raise DeliveryNotFound
        return found

    def attempts(self, delivery: Delivery) -> tuple[DeliveryAttempt, ...]:
        return self._deliveries.attempts(delivery.id)

    def test(self, webhook: Webhook) -> Delivery:
        """Send a made-up event now, and wait for what comes of it."""
        return self._sender.test(webhook)

    def redeliver(self, delivery: Delivery) -> Delivery:
        """Let it be sent again, by the server that runs. Raises DeliveryUnderway or DeliveryNotFound."""
        queued = self._deliveries.queue_again(delivery.id, now=self._clock())
        found = self._deliveries.get(delivery.id)
        if found is None:
            raise DeliveryNotFound
        if not queued:
            raise DeliveryUnderway
        return found

    def tally(self) -> DeliveryTally:
        return self._deliveries.tally()

    def forget_old(self) -> int:
        """Remove the deliveries that were kept long enough; say how many."""
        return self._deliveries.remove_before(self._clock() - self._keep) if self._keep is not None else 0

    def reseal(self, secret_key: str) -> int:
        """Encrypt every address and secret with this key; give the number of webhooks."""
        return self._store.reseal(Vault(secret_key))

    def _checked(
        self, values: WebhookValues, user: User, faults: Mapping[str, Any] | None, *, known: Webhook | None
    ) -> dict[str, Any]:
        """Check everything that is not `known` already: an address is judged again whenever it is used."""
        found = dict(faults or {})
        if not is_name(values.name):
            found.setdefault("name", NAME_RULE)
        if not values.events or not set(values.events) <= set(JOB_EVENTS):
            found.setdefault("events", EVENT_RULE)
        if known is None or values.url != known.url:
            self._check_url(values.url, found)
        self._check_narrowing(values, user, found, known)
        if found:
            raise Invalid(found)
        return {
            "name": values.name,
            "url": values.url,
            "events": sorted(set(values.events)),
            "schedule_id": values.schedule,
            "template_id": values.template,
            "datasource_id": values.datasource,
            "is_active": values.is_active,
        }

    def _check_url(self, url: str, faults: dict[str, Any]) -> None:
        try:
            if "url" not in faults:
                self._rules.check(url)
        except AddressRefused as exc:
            faults["url"] = exc.message

    def _check_narrowing(
        self, values: WebhookValues, user: User, faults: dict[str, Any], known: Webhook | None
    ) -> None:
        doors: dict[str, Callable[[str, User], object]] = {
            "schedule": self._schedules.get,
            "template": self._templates.get,
            "datasource": self._datasources.get,
        }
        for name, get in doors.items():
            wanted = getattr(values, name)
            fresh = known is None or wanted != getattr(known, f"{name}_id")
            try:
                if wanted is not None and fresh and name not in faults:
                    get(wanted, user)
            except NotFound as exc:
                faults[name] = exc.message
