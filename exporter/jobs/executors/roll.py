"""Which workers of a cluster get this server's jobs."""

import asyncio
import logging
import time
from dataclasses import dataclass

from exporter.errors import ExporterError
from exporter.jobs.examination import Verdict
from exporter.jobs.executors.cluster import Connection, Member

log = logging.getLogger(__name__)

ASK_AGAIN_SECONDS = 30  # a worker that was not fit may have been mended
WAIT_SECONDS = 1.0  # for answers, before those that have come are used


@dataclass(frozen=True, kw_only=True)
class Entry:
    verdict: Verdict
    found: float


class Roll:
    """Examines each worker when it is first seen or in doubt, and one that is not fit now and then."""

    def __init__(self) -> None:
        self._entries: dict[Member, Entry] = {}
        self._asked: dict[Member, asyncio.Task[Verdict]] = {}

    @property
    def verdicts(self) -> dict[Member, Verdict]:
        return {member: entry.verdict for member, entry in self._entries.items()}

    def knows(self, members: frozenset[Member]) -> bool:
        """Tell whether all of them have been examined."""
        return members <= self._entries.keys()

    def doubt(self, addresses: frozenset[str]) -> None:
        """Have the workers at these addresses prove anew that they are there: one may have frozen."""
        self._entries = {
            member: entry for member, entry in self._entries.items() if member.address not in addresses
        }

    async def call(self, connection: Connection, members: frozenset[Member]) -> frozenset[Member]:
        """Give the members that are fit as far as is known; those that do not answer keep nobody waiting."""
        self._entries = {member: entry for member, entry in self._entries.items() if member in members}
        for member in members - self._asked.keys():
            if self._is_due(member):
                self._asked[member] = asyncio.create_task(connection.examine(member))
        if self._asked:
            done, _ = await asyncio.wait(self._asked.values(), timeout=WAIT_SECONDS)
            for member in [member for member, task in self._asked.items() if task in done]:
                self._note(member, self._asked.pop(member))
        return frozenset(member for member, entry in self._entries.items() if not entry.verdict.faults)

    def hang_up(self) -> None:
        """Wait for no more answers: the connection they would come by has gone."""
        for task in self._asked.values():
            task.cancel()
        self._asked.clear()

    def _is_due(self, member: Member) -> bool:
        entry = self._entries.get(member)
        if entry is None:
            return True
        return bool(entry.verdict.faults) and time.monotonic() - entry.found > ASK_AGAIN_SECONDS

    def _note(self, member: Member, task: asyncio.Task[Verdict]) -> None:
        try:
            verdict = task.result()
        except (ExporterError, OSError) as exc:
            log.warning("worker %s cannot be examined at present: %s", member.address, exc)
            return
        before = self._entries.get(member)
        self._entries[member] = Entry(verdict=verdict, found=time.monotonic())
        if before is not None and before.verdict == verdict:
            return
        for line in verdict.faults:
            log.error("worker %s gets no jobs: %s", member.address, line)
        for line in verdict.doubts:
            log.warning("worker %s differs: %s", member.address, line)
