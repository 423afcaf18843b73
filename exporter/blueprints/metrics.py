"""The server's figures as Prometheus reads them, taken when they are asked for; no names of users or datasources.

Imported on the first scrape: the client library is needed for nothing else.
"""

from collections.abc import Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from exporter.model import JobStatus
from exporter.storage.jobs import JobStore, Tally


class Figures(Collector):
    """What the job rows say. On a shared database they are those of all its servers."""

    def __init__(self, tallies: dict[JobStatus, Tally], *, slots: int, now: datetime) -> None:
        self._tallies = tallies
        self._slots = slots
        self._now = now

    def collect(self) -> Iterator[Metric]:
        jobs = GaugeMetricFamily("exporter_jobs", "Export jobs by status", labels=["status"])
        for status in JobStatus:
            jobs.add_metric([status.value], self._count(status))
        yield jobs
        yield GaugeMetricFamily("exporter_slots", "Exports that this server runs at once", self._slots)
        busy = self._count(JobStatus.PROCESSING)
        yield GaugeMetricFamily("exporter_slots_busy", "Exports that run now", busy)
        yield GaugeMetricFamily(
            "exporter_oldest_pending_seconds", "How long the oldest pending job has waited", self._wait()
        )

    def _count(self, status: JobStatus) -> int:
        tally = self._tallies.get(status)
        return tally.jobs if tally is not None else 0

    def _wait(self) -> float:
        tally = self._tallies.get(JobStatus.PENDING)
        return max(0.0, (self._now - tally.oldest).total_seconds()) if tally is not None else 0.0


def exposition(store: JobStore, *, slots: int, now: datetime) -> bytes:
    """Give all figures, with those of the process, in the text format."""
    registry = CollectorRegistry()
    registry.register(Figures(store.tallies(), slots=slots, now=now))
    ProcessCollector(registry=registry)
    return generate_latest(registry)
