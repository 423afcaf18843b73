"""The server's figures as Prometheus reads them, taken when they are asked for; no names of users or datasources.

Imported on the first scrape: the client library is needed for nothing else.
"""

from collections.abc import Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from exporter.figures import Counts, Figures, Spreads
from exporter.jobs.executors.base import Census
from exporter.model import JobStatus
from exporter.outbox import DeliveryStatus
from exporter.storage.deliveries import DeliveryTally
from exporter.storage.jobs import JobStore, Tally
from exporter.version import __version__


class QueueFigures(Collector):
    """What the job rows say. On a shared database they are those of all its servers."""

    def __init__(self, tallies: dict[JobStatus, Tally], *, now: datetime) -> None:
        self._tallies = tallies
        self._now = now

    def collect(self) -> Iterator[Metric]:
        jobs = GaugeMetricFamily("exporter_jobs", "Export jobs by status", labels=["status"])
        for status in JobStatus:
            tally = self._tallies.get(status)
            jobs.add_metric([status.value], tally.jobs if tally is not None else 0)
        yield jobs
        yield GaugeMetricFamily(
            "exporter_oldest_pending_seconds", "How long the oldest pending job has waited", self._wait()
        )

    def _wait(self) -> float:
        tally = self._tallies.get(JobStatus.PENDING)
        return max(0.0, (self._now - tally.oldest).total_seconds()) if tally is not None else 0.0


class WebhookFigures(Collector):
    """What the deliveries' rows say, for all servers of the database."""

    def __init__(self, tally: DeliveryTally, *, now: datetime) -> None:
        self._tally = tally
        self._now = now

    def collect(self) -> Iterator[Metric]:
        says = "Deliveries of webhooks by status"
        deliveries = GaugeMetricFamily("exporter_webhook_deliveries", says, labels=["status"])
        for status in DeliveryStatus:
            deliveries.add_metric([status.value], self._tally.counts.get(status, 0))
        yield deliveries
        oldest = self._tally.oldest
        waited = max(0.0, (self._now - oldest).total_seconds()) if oldest is not None else 0.0
        yield GaugeMetricFamily(
            "exporter_oldest_delivery_seconds", "How long ago the oldest waiting delivery was made", waited
        )


class ProcessFigures(Collector):
    """What this process has counted since it started, and workers of a cluster told it."""

    def __init__(self, figures: Figures, *, census: Census) -> None:
        self._figures = figures
        self._census = census

    def collect(self) -> Iterator[Metric]:
        version = GaugeMetricFamily(
            "exporter_version", "Always 1; the label says the version", labels=["version"]
        )
        version.add_metric([__version__], 1)
        yield version
        yield from self._places()
        yield from self._exports()
        requests = ("exporter_request_seconds", "Until the answer begins")
        yield _histogram(*requests, self._figures.requests, "method", "route", "status")
        yield _counter(
            "exporter_refusals", "Requests refused, by the error's code", self._figures.refusals, "code"
        )

    def _places(self) -> Iterator[Metric]:
        census = self._census
        yield GaugeMetricFamily("exporter_slots", "Exports that can run at once", census.slots)
        yield GaugeMetricFamily("exporter_slots_busy", "Exports that run now", census.busy)
        workers = GaugeMetricFamily("exporter_cluster_workers", "Workers of the cluster", labels=["state"])
        for state in ("fit", "refused", "unexamined"):
            workers.add_metric([state], getattr(census, state))
        yield workers

    def _exports(self) -> Iterator[Metric]:
        figures = self._figures
        yield _histogram("exporter_queue_seconds", "From being queued to being claimed", figures.waits)
        ran = ("exporter_attempt_seconds", "How long attempts ran")
        yield _histogram(*ran, figures.attempts, "format", "outcome")
        failed = "Attempts that failed, by the error's code"
        yield _counter("exporter_attempt_failures", failed, figures.failures, "code")
        yield _counter("exporter_rows", "Rows in completed files", figures.rows, "format")
        yield _counter("exporter_bytes", "Bytes of completed files", figures.bytes, "format")


def _counter(name: str, says: str, counts: Counts, *labels: str) -> Metric:
    family = CounterMetricFamily(name, says, labels=labels)
    for values, number in counts.items():
        family.add_metric(values, number)
    return family


def _histogram(name: str, says: str, spreads: Spreads, *labels: str) -> Metric:
    family = HistogramMetricFamily(name, says, labels=labels)
    bounds = [*map(str, spreads.bounds), "+Inf"]
    for values, spread in spreads.items():
        family.add_metric(values, list(zip(bounds, spread.counts, strict=True)), spread.sum)
    return family


def exposition(
    store: JobStore, deliveries: DeliveryTally, figures: Figures, *, census: Census, now: datetime
) -> bytes:
    """Give all figures, with those of the process, in the text format."""
    registry = CollectorRegistry()
    registry.register(QueueFigures(store.tallies(), now=now))
    registry.register(WebhookFigures(deliveries, now=now))
    registry.register(ProcessFigures(figures, census=census))
    ProcessCollector(registry=registry)
    return generate_latest(registry)
