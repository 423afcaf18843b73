"""The audit log: who did what, when, from where, and how it ended. No secret and no filter's value is ever in it."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from exporter.errors import DatabaseAway, ExporterError
from exporter.model import Action, Actor, AuditEntry, AuditOutcome, Page
from exporter.storage.audit import AuditQuery, AuditStore

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Deed:
    """What is being done, and to what; whoever does it fills in the object as soon as it is known."""

    action: Action
    object_id: str | None = None
    object_name: str | None = None
    unnoted: bool = False  # it turned out to be none

    def about(self, object_id: str | None, name: str | None) -> None:
        self.object_id, self.object_name = object_id, name


class AuditService:
    def __init__(self, store: AuditStore, clock: Callable[[], datetime], *, keep: timedelta | None) -> None:
        """Take how long rows are kept; None keeps them for good."""
        self._store = store
        self._clock = clock
        self._keep = keep

    @contextmanager
    def deed(self, action: Action, actor: Actor) -> Iterator[Deed]:
        """Note what happens inside, however it ends; an error goes on its way."""
        deed = Deed(action=action)
        try:
            yield deed
        except ExporterError as exc:
            self.note(deed, actor, AuditOutcome.REFUSED, reason=exc.code)
            raise
        except Exception:
            self.note(deed, actor, AuditOutcome.FAILED)
            raise
        self.note(deed, actor, AuditOutcome.DONE)

    def note(self, deed: Deed, actor: Actor, outcome: AuditOutcome, *, reason: str | None = None) -> None:
        """Write the row. What was done is not undone because the log cannot be written: then the log file has it."""
        if deed.unnoted:
            return
        facts = {
            "user_id": actor.user.id if actor.user else None,
            "username": actor.user.username if actor.user else None,
            "address": actor.address,
            "action": deed.action.value,
            "outcome": outcome.value,
            "reason": reason,
            "object_kind": deed.action.kind,
            "object_id": deed.object_id,
            "object_name": deed.object_name,
            "request_id": actor.request_id,
        }
        try:
            self._store.add(at=self._clock(), **facts)
        except DatabaseAway:
            log.warning("not in the audit log, the app database does not answer: %s", facts)

    def page(self, query: AuditQuery) -> Page[AuditEntry]:
        return self._store.page(query)

    def forget_old(self) -> int:
        """Remove the rows that were kept long enough; say how many."""
        return self._store.remove_before(self._clock() - self._keep) if self._keep is not None else 0
