"""The daemon's metrics for Prometheus, over HTTP on this machine alone. Imported only when they are asked for.

Everything is read from the daemon's status and the outbox's counts when it is scraped: the daemon keeps no counters for this.
Names follow https://prometheus.io/docs/practices/naming/. No label bears a task's id: there may be thousands.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from aiohttp import web
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric, StateSetMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from clawlogd.delivery.report import LaneState
from clawlogd.instance import InstanceError, bind_unix
from clawlogd.services import Services
from clawlogd.settings import MetricsAddress
from clawlogd.verbs.daemon import DaemonStatus, current_status

_PREFIX = "clawlogd_"


class MetricsServer:
    """Answers ``GET /metrics``.

    Args:
        services: What is counted.
        connections: How many callers are connected.
    """

    def __init__(self, *, services: Services, connections: Callable[[], int]) -> None:
        registry = CollectorRegistry()
        registry.register(_DaemonCollector(services, connections))
        ProcessCollector(registry=registry)
        self._registry = registry
        application = web.Application()
        application.router.add_get("/metrics", self._answer)
        self._runner = web.AppRunner(application, access_log=None)

    async def start(self, address: MetricsAddress) -> str:
        """Begins to answer. Returns the address, with the port that was given out where 0 was asked for.

        Raises:
            InstanceError: The address cannot be used.
        """
        await self._runner.setup()
        sock = bind_unix(address.path) if address.path else _bind_tcp(address)
        await web.SockSite(self._runner, sock).start()
        if address.path:
            return f"unix:{address.path}"
        host, port = sock.getsockname()[:2]
        return f"http://[{host}]:{port}/metrics" if ":" in host else f"http://{host}:{port}/metrics"

    async def rebind(self, path: Path) -> None:
        """Answers at a Unix socket in place of one that nobody can reach any more.

        Raises:
            InstanceError: It cannot be bound.
        """
        await web.SockSite(self._runner, bind_unix(path)).start()

    async def stop(self) -> None:
        """Stops answering."""
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        encode, media_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._registry), headers={"Content-Type": media_type})


class _DaemonCollector(Collector):
    def __init__(self, services: Services, connections: Callable[[], int]) -> None:
        self._services = services
        self._connections = connections

    def collect(self) -> Iterator[Metric]:
        status = current_status(self._services)
        yield InfoMetricFamily(
            f"{_PREFIX}build", "The version that runs.", {"version": status.version, "protocol": str(status.protocol)}
        )
        yield _gauge("healthy", "1 while nothing needs a person's attention.", status.healthy)
        yield _gauge("connections", "Callers that are connected to the Unix socket.", self._connections())
        yield _gauge("tasks", "Tasks that the daemon knows.", status.tasks.known)
        yield _gauge("tasks_live", "Tasks that go on, so far as is known.", status.tasks.live)
        yield _gauge("tasks_lost", "Tasks whose agent has given no sign of life in time.", status.tasks.lost)
        yield _gauge("tasks_stopping", "Tasks that were asked to stop and have not acknowledged.", status.tasks.stopping)
        yield from self._outbox(status)
        yield from _backends(status)

    def _outbox(self, status: DaemonStatus) -> Iterator[Metric]:
        outbox, report = self._services.outbox, status.outbox
        events = GaugeMetricFamily(
            f"{_PREFIX}outbox_events",
            "Undelivered events: on their way, refused by the backend (dead), or waiting behind such a one (held).",
            labels=["base_url", "state"],
        )
        for base_url in outbox.base_urls:
            lane = outbox.lane(base_url)
            for state, counts in (
                ("pending", outbox.counts.pending),
                ("dead", outbox.counts.dead),
                ("held", outbox.counts.held),
            ):
                events.add_metric([base_url, state], counts[lane])
        yield events
        yield _gauge("outbox_bytes", "Size of the undelivered events.", report.bytes)
        yield _gauge("outbox_max_events", "Undelivered events at which commands are refused.", report.max_events)
        yield _gauge("outbox_max_bytes", "Size of undelivered events at which commands are refused.", report.max_bytes)
        yield _gauge("outbox_storage_failed", "1 while commits fail and nothing is accepted.", report.storage_error is not None)
        yield _counter("outbox_accepted_events", "Events accepted since the outbox was made.", outbox.accepted)
        yield _counter("outbox_lost_events", "Accepted events that were found to be gone from the disk.", report.lost)


def _backends(status: DaemonStatus) -> Iterator[Metric]:
    labels = ["base_url"]
    up = GaugeMetricFamily(f"{_PREFIX}backend_up", "1 while the backend takes what it is sent.", labels=labels)
    age = GaugeMetricFamily(f"{_PREFIX}backend_oldest_event_age_seconds", "Age of the oldest event that waits.", labels=labels)
    sent = CounterMetricFamily(f"{_PREFIX}backend_delivered_events", "Events delivered in this run.", labels=labels)
    failed = CounterMetricFamily(f"{_PREFIX}backend_failed_attempts", "Attempts that will be repeated.", labels=labels)
    states = StateSetMetricFamily(f"{_PREFIX}backend_state", "What the backend's lane is doing.", labels=labels)
    for report in status.backends:
        if report.reachable is not None:
            up.add_metric([report.base_url], report.reachable)
        age.add_metric([report.base_url], report.oldest_age_s or 0.0)
        sent.add_metric([report.base_url], report.delivered)
        failed.add_metric([report.base_url], report.retried)
        states.add_metric([report.base_url], {state.value: state is report.state for state in LaneState})
    yield from (up, age, sent, failed, states)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{_PREFIX}{name}", meaning, value)


def _counter(name: str, meaning: str, value: float) -> Metric:
    return CounterMetricFamily(f"{_PREFIX}{name}", meaning, value)


def _bind_tcp(address: MetricsAddress) -> socket.socket:
    try:
        return socket.create_server(
            (address.host, address.port), family=socket.AF_INET6 if ":" in address.host else socket.AF_INET
        )
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise InstanceError(
            f"metrics: {address.host}:{address.port}: cannot be bound: {reason}; choose another with --metrics"
        ) from None
