"""Which workers of a cluster get this server's jobs."""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass

from exporter.errors import ExporterError
from exporter.jobs.examination import Verdict
from exporter.jobs.executors.cluster import Connection, Member

log = logging.getLogger(__name__)

ASK_AGAIN_SECONDS = 30  # a worker that was not fit may have been mended


@dataclass(frozen=True, kw_only=True)
class Entry:
    verdict: Verdict
    found: float


class Roll:
    """Examines each worker when it is first seen or in doubt, and one that is not fit now and then."""

    def __init__(self) -> None:
        self._entries: dict[Member, Entry] = {}

    @property
    def verdicts(self) -> dict[Member, Verdict]:
        return {member: entry.verdict for member, entry in self._entries.items()}

    def doubt(self, addresses: frozenset[str]) -> None:
        """Have the workers at these addresses prove anew that they are there: one may have frozen."""
        self._entries = {
            member: entry for member, entry in self._entries.items() if member.address not in addresses
        }

    async def call(self, connection: Connection, members: frozenset[Member]) -> frozenset[Member]:
        """Give the members that are fit."""
        known = {member: entry for member, entry in self._entries.items() if member in members}
        now = time.monotonic()
        asked = [member for member in members if member not in known or _is_due(known[member], now)]
        try:
            found = await connection.examine(asked)
        except ExporterError as exc:
            log.warning("the workers cannot be examined at present: %s", exc.line)
            found = {}
        _tell((member, verdict) for member, verdict in found.items() if self.verdicts.get(member) != verdict)
        self._entries = known | {
            member: Entry(verdict=verdict, found=now) for member, verdict in found.items()
        }
        return frozenset(member for member, entry in self._entries.items() if not entry.verdict.faults)


def _is_due(entry: Entry, now: float) -> bool:
    return bool(entry.verdict.faults) and now - entry.found > ASK_AGAIN_SECONDS


def _tell(found: Iterable[tuple[Member, Verdict]]) -> None:
    for member, verdict in found:
        for line in verdict.faults:
            log.error("worker %s gets no jobs: %s", member.address, line)
        for line in verdict.doubts:
            log.warning("worker %s differs: %s", member.address, line)
