"""Sends what waits, a few at once, each by one sender: at least once, and again after a while if it did not arrive."""

import http.client
import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from exporter.errors import AddressRefused, DatabaseAway
from exporter.failpoints import reach
from exporter.outbox import Delivery, DeliveryStatus, Event, Webhook, body_of_test
from exporter.storage.deliveries import DeliveryStore, Sent
from exporter.storage.webhooks import WebhookStore
from exporter.version import __version__
from exporter.webhooks.addresses import HostRules
from exporter.webhooks.post import post, reason
from exporter.webhooks.signing import signed_headers

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0
AT_ONCE = 4
LEASE = timedelta(seconds=120)  # far longer than a sending may take: after it the sender is taken for dead
AGAIN_AFTER = (30, 120, 600, 3600, 4 * 3600)  # seconds before the second try, the third, …
JITTER = 0.2  # of each of these, so that what failed together does not come back together
REST_SECONDS = 20.0  # a receiver that failed leaves the senders to the others for so long
SUCCESS = range(200, 300)


def again_after(tries: int, chance: float) -> timedelta | None:
    """Say how long to wait after so many tries; None after the last. `chance` is 0 to 1."""
    if tries > len(AGAIN_AFTER):
        return None
    return timedelta(seconds=AGAIN_AFTER[tries - 1] * (1 + JITTER * (2 * chance - 1)))


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What one request came to: a status, or why there is none."""

    status_code: int | None
    error: str | None
    milliseconds: int

    @property
    def good(self) -> bool:
        return self.status_code in SUCCESS


class Sender:
    def __init__(
        self,
        deliveries: DeliveryStore,
        webhooks: WebhookStore,
        rules: HostRules,
        clock: Callable[[], datetime],
    ) -> None:
        self._deliveries = deliveries
        self._webhooks = webhooks
        self._rules = rules
        self._clock = clock
        self._closing = False
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._busy: dict[str, threading.Thread] = {}  # by webhook: its deliveries go one after the other
        self._resting: dict[str, float] = {}  # webhooks that failed, and until when they rest
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._closing = False
        self._thread = threading.Thread(target=self._loop, name="exporter-sender", daemon=True)
        self._thread.start()

    def stop(self, *, wait: float) -> None:
        """Begin nothing new, and wait so many seconds for what is under way; the lease finds what is left."""
        deadline = time.monotonic() + wait
        self._closing = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(wait)
            self._thread = None
        with self._lock:
            under_way = list(self._busy.values())
        for thread in under_way:
            thread.join(max(0.0, deadline - time.monotonic()))

    def send(self, seen: Delivery) -> bool:
        """Claim a delivery, send it and write down what came of it; False if it was another's."""
        now = self._clock()
        taken = self._deliveries.claim(seen, now=now, until=now + LEASE)
        return taken is not None and self._carry_out(taken)

    def test(self, webhook: Webhook) -> Delivery:
        """Send a made-up event at once and once only; give what came of it."""
        now = self._clock()
        body = body_of_test(webhook, now=now)
        taken = self._deliveries.begin(webhook.id, Event.TEST, body, now=now, until=now + LEASE)
        self._carry_out(taken)
        return self._deliveries.get(taken.id) or taken

    def _carry_out(self, taken: Delivery) -> bool:
        webhook = self._webhooks.get(taken.webhook_id)
        if webhook is None:
            return False
        answer = self._answer(webhook, taken)
        sent = self._judge(taken, answer)
        if not answer.good:
            with self._lock:
                self._resting[webhook.id] = time.monotonic() + REST_SECONDS
        log.info(
            "webhook %s %s try %d: %s", webhook.id, taken.event, taken.tries, answer.status_code or answer.error,
            extra={"webhook": webhook.id, "delivery": taken.id, "job": taken.job_id},
        )  # fmt: skip
        return self._deliveries.record(taken, sent, now=self._clock())

    def _answer(self, webhook: Webhook, taken: Delivery) -> Answer:
        """Ask the receiver; a fault of our own is a try that did not succeed."""
        try:
            reach("webhook_claimed")
            answer = self._ask(webhook, taken)
            reach("webhook_answered")
        except Exception:
            log.exception("delivery %s met an unexpected fault", taken.id)
            return Answer(status_code=None, error="The server met a fault", milliseconds=0)
        return answer

    def _ask(self, webhook: Webhook, taken: Delivery) -> Answer:
        started = time.monotonic()
        body = taken.body.encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"exporter/{__version__}",
            **signed_headers(webhook.secret, taken.id, body, now=self._clock()),
        }
        status, error = None, None
        try:
            status = post(self._rules.check(webhook.url), body, headers)
        except AddressRefused as exc:
            error = exc.message
        except (OSError, http.client.HTTPException) as exc:
            error = reason(exc)
        return Answer(
            status_code=status, error=error, milliseconds=round((time.monotonic() - started) * 1000)
        )

    def _judge(self, taken: Delivery, answer: Answer) -> Sent:
        now = self._clock()
        wait = None if taken.event == Event.TEST else again_after(taken.tries, random.random())  # noqa: S311 - jitter
        if answer.good:
            status, next_at = DeliveryStatus.DELIVERED, None
        elif wait is None:
            status, next_at = DeliveryStatus.FAILED, None
        else:
            status, next_at = DeliveryStatus.PENDING, now + wait
        return Sent(
            status=status,
            status_code=answer.status_code,
            error=answer.error,
            milliseconds=answer.milliseconds,
            next_at=next_at,
        )

    def _loop(self) -> None:
        while not self._closing:
            try:
                self._begin_what_is_due()
            except DatabaseAway:
                log.warning("webhooks wait: the app database does not answer")
            except Exception:
                log.exception("sending webhooks met an unexpected fault; trying again")
            self._wake.wait(POLL_SECONDS)
            self._wake.clear()

    def _begin_what_is_due(self) -> None:
        """Begin as many sendings as may go on at once, each in a thread of its own, one for each webhook."""
        while not self._closing:
            with self._lock:
                moment = time.monotonic()
                self._resting = {key: until for key, until in self._resting.items() if until > moment}
                taken = {*self._busy, *self._resting}
                full = len(self._busy) >= AT_ONCE
            seen = None if full else self._deliveries.due(self._clock(), leaving_out=taken)
            if seen is None:
                return
            thread = threading.Thread(
                target=self._send_one, args=(seen,), name="exporter-webhook", daemon=True
            )
            with self._lock:  # which the thread takes at its end: until then it is known here
                thread.start()
                self._busy[seen.webhook_id] = thread

    def _send_one(self, seen: Delivery) -> None:
        try:
            self.send(seen)
        except Exception:
            log.exception("delivery %s is left to its lease", seen.id)
        finally:
            with self._lock:
                del self._busy[seen.webhook_id]
            self._wake.set()
