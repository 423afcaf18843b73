"""The audit log: who did what, when, from where, and how it ended. No secret and no filter's value is ever in it."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from exporter.errors import DatabaseAway, ExporterError
from exporter.model import Action, Actor, AuditEntry, AuditOutcome, Page, User
from exporter.storage.audit import AuditQuery, AuditStore

log = logging.getLogger(__name__)

MOMENT_RULE = "Must be a day or a moment, such as 2024-01-31 or 2024-01-31T10:00:00Z"


@dataclass(kw_only=True)
class Deed:
    """What is being done, and to what; whoever does it fills in the object as soon as it is known."""

    action: Action
    actor: Actor
    user: User | None = None
    object_id: str | None = None
    object_name: str | None = None
    unnoted: bool = False  # it turned out to be none, or it was noted together with what it did

    def about(self, object_id: str, name: str) -> None:
        self.object_id, self.object_name = object_id, name

    def line(self, outcome: AuditOutcome, *, at: datetime, reason: str | None = None) -> dict[str, Any]:
        """Give the audit log's row."""
        return {
            "at": at,
            "user_id": self.user.id if self.user else None,
            "username": self.user.username if self.user else None,
            "address": self.actor.address,
            "action": self.action.value,
            "outcome": outcome.value,
            "reason": reason,
            "object_kind": self.action.kind,
            "object_id": self.object_id,
            "object_name": self.object_name,
            "request_id": self.actor.request_id,
        }


class AuditService:
    def __init__(self, store: AuditStore, clock: Callable[[], datetime], *, keep: timedelta | None) -> None:
        """Take how long rows are kept; None keeps them for good."""
        self._store = store
        self._clock = clock
        self._keep = keep

    @contextmanager
    def deed(self, action: Action, actor: Actor) -> Iterator[Deed]:
        """Note what happens inside, however it ends; an error goes on its way."""
        deed = Deed(action=action, actor=actor, user=actor.user)
        try:
            yield deed
        except ExporterError as exc:
            self.note(deed, AuditOutcome.REFUSED, reason=exc.code)
            raise
        except Exception:
            self.note(deed, AuditOutcome.FAILED)
            raise
        self.note(deed, AuditOutcome.DONE)

    def note(self, deed: Deed, outcome: AuditOutcome, *, reason: str | None = None) -> None:
        """Write the row. What was done is not undone because the log cannot be written: then the log file has it.

        A deed that was refused because it could not be written has waited for the database already.
        """
        if deed.unnoted:
            return
        line = deed.line(outcome, at=self._clock(), reason=reason)
        try:
            self._store.add(**line, patiently=reason != DatabaseAway.code)
        except DatabaseAway:
            log.warning("not in the audit log, the app database does not answer: %s", line)

    def page(self, query: AuditQuery) -> Page[AuditEntry]:
        return self._store.page(query)

    def forget_old(self) -> int:
        """Remove the rows that were kept long enough; say how many."""
        return self._store.remove_before(self._clock() - self._keep) if self._keep is not None else 0


def moment(text: str, *, last: bool = False) -> datetime:
    """Read one end of a span of time, in UTC unless it says otherwise; the `last` day is meant whole.

    Raises ValueError.
    """
    try:
        if len(text) == len("2024-01-31"):
            day = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
            return day + timedelta(days=1) if last else day
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except OverflowError as exc:
        raise ValueError(MOMENT_RULE) from exc
