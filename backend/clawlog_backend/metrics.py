"""What the backend counts about itself, for Prometheus. Names follow https://prometheus.io/docs/practices/naming/."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from clawlog_backend import __version__
from clawlog_backend.domain.views import Counts, Filter
from clawlog_backend.storage.unit_of_work import ChangeSet, EventStatus

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """One backend's metrics, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        build = Gauge("clawlog_backend_build_info", "The version that runs.", ["version"], registry=self.registry)
        build.labels(__version__).set(1)
        self.requests = Counter(
            "clawlog_backend_http_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self.request_seconds = Histogram(
            "clawlog_backend_http_request_duration_seconds",
            "Time to answer a request, streams and long polls aside.",
            ["route"],
            buckets=_BUCKETS_S,
            registry=self.registry,
        )
        self.events = Counter("clawlog_backend_events", "Events received, by result.", ["result"], registry=self.registry)
        self._notifications = Counter(
            "clawlog_backend_notifications",
            "Attempts to deliver a notification, by result.",
            ["result"],
            registry=self.registry,
        )
        self._by_status = {status: self.events.labels(status.value) for status in EventStatus}
        self._tasks = Gauge("clawlog_backend_tasks", "Tasks, by status.", ["status"], registry=self.registry)

    def add_gauge(self, name: str, meaning: str, value: Callable[[], int]) -> None:
        """Add a gauge whose value is read whenever the metrics are."""
        Gauge(name, meaning, registry=self.registry).set_function(value)

    def of_traces(self) -> TraceMetrics:
        """Add those of the export of traces."""
        return TraceMetrics(self.registry)

    def count_events(self, changes: ChangeSet) -> None:
        """Count a group of events by their outcomes."""
        for status, number in Tally(outcome.status for outcome in changes.outcomes).items():
            self._by_status[status].inc(number)

    def count_notification(self, result: str) -> None:
        """Count an attempt to deliver a notification."""
        self._notifications.labels(result).inc()

    def text(self, counts: Counts) -> bytes:
        """All metrics, in Prometheus' text format."""
        for which in Filter:
            if which not in {Filter.ALL, Filter.ACTIVE}:  # sums of the others
                self._tasks.labels(which.value).set(getattr(counts, which.value))
        return generate_latest(self.registry)


class TraceMetrics:
    """What is counted of the export of traces, where there is one.

    Attributes:
        waiting: How many runs wait.
        up: Whether the receiver took what it was sent last.
        failed_requests: Requests that will be repeated.
        rejected_spans: Spans that the receiver did not take although it took their request.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.waiting = Gauge("clawlog_backend_traces_waiting", "Runs of tasks that wait to be exported.", registry=registry)
        self.up = Gauge("clawlog_backend_trace_receiver_up", "1 while the receiver takes what it is sent.", registry=registry)
        self.up.set(1)
        self.failed_requests = Counter(
            "clawlog_backend_trace_failed_requests", "Requests to the receiver that will be repeated.", registry=registry
        )
        self.rejected_spans = Counter(
            "clawlog_backend_trace_rejected_spans", "Spans that the receiver did not take of a request.", registry=registry
        )
        self._runs = Counter(
            "clawlog_backend_traces",
            "Runs of tasks that left the queue, by result.",
            ["result"],
            registry=registry,
        )
        for result in ("exported", "refused", "dropped", "unsampled", "unreadable"):
            self._runs.labels(result)

    def count(self, result: str, number: int) -> None:
        """Count runs that left the queue."""
        self._runs.labels(result).inc(number)
