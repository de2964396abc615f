"""What the backend counts about itself, for Prometheus. Names follow https://prometheus.io/docs/practices/naming/."""

import time
from collections import Counter as Tally
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clawlog_backend import __version__
from clawlog_backend.domain.views import Counts, Filter
from clawlog_backend.storage.unit_of_work import Applied, Result

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
# Their answers last as long as their callers want.
_HELD_OPEN = frozenset({"/api/stream", "/api/control/poll"})


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
        self.events = Counter(
            "clawlog_backend_events", "Events taken, by what became of them.", ["result"], registry=self.registry
        )
        self._results = {result: self.events.labels(result.value) for result in Result}
        self._tasks = Gauge("clawlog_backend_tasks", "Tasks, by status.", ["status"], registry=self.registry)

    def watch(self, name: str, meaning: str, value: Callable[[], int]) -> None:
        """Show a value that is read whenever the metrics are."""
        Gauge(name, meaning, registry=self.registry).set_function(value)

    def applied(self, applied: Applied) -> None:
        """Count a group of events."""
        for result, number in Tally(outcome.result for outcome in applied.outcomes).items():
            self._results[result].inc(number)

    def text(self, counts: Counts) -> bytes:
        """All of it, in Prometheus' text format."""
        for which in Filter:
            if which not in {Filter.ALL, Filter.ACTIVE}:  # sums of the others
                self._tasks.labels(which.value).set(getattr(counts, which.value))
        return generate_latest(self.registry)


class MetricsMiddleware:
    """Counts and times each request under its route's path, so that no id becomes a label."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            self._metrics.requests.labels(_method(scope["method"]), route, str(status)).inc()
            if route not in _HELD_OPEN:
                self._metrics.request_seconds.labels(route).observe(time.perf_counter() - began)


def _method(name: str) -> str:
    return name if name in {"GET", "HEAD", "POST", "PATCH", "DELETE", "PUT", "OPTIONS"} else "other"
