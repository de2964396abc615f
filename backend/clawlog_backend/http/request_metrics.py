"""Counts and times the requests, for the backend's metrics."""

from __future__ import annotations

import time

from prometheus_client import Counter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clawlog_backend.http.whole_answers import offered
from clawlog_backend.metrics import Metrics

# The callers of these decide how long their answers last.
_HELD_OPEN = frozenset({"/api/stream", "/api/control/poll"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "DELETE", "PUT", "OPTIONS"})


class MetricsMiddleware:
    """Records each request under its route's path, so that no id becomes a label."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics
        self._counters: dict[tuple[str, str, int], Counter] = {}

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
            whole = offered(scope)
            if whole is not None and whole.status:
                status = whole.status
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._count(method, route, status)
            if route not in _HELD_OPEN:
                self._metrics.request_seconds.labels(route).observe(time.perf_counter() - began)

    def _count(self, method: str, route: str, status: int) -> None:
        # Few differ, and to have one found by its labels each time costs more than to count.
        counter = self._counters.get((method, route, status))
        if counter is None:
            counter = self._counters[method, route, status] = self._metrics.requests.labels(method, route, str(status))
        counter.inc()
