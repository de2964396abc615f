"""Every backend that a task names: its lane and its watcher, started when they are first needed."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from clawlogd.clock import Clock
from clawlogd.delivery.lane import Lane
from clawlogd.faults import Faults
from clawlogd.interrupts.state import Interrupts
from clawlogd.interrupts.watcher import InterruptWatcher
from clawlogd.liveness.evidence import Liveness
from clawlogd.liveness.schedule import HeartbeatSchedule
from clawlogd.outbox.queue import Outbox
from clawlogd.settings import LiveSettings
from clawlogd.tasks.registry import Registry
from clawlogd.upstream.client import Upstream
from clawlogd.upstream.tokens import TokenSource

Spawn = Callable[[str, Callable[[], Coroutine[Any, Any, None]]], None]
"""Runs a long-lived task under a name."""


class Backends:
    """The backends.

    Args:
        outbox: Where events come from.
        registry: The tasks.
        liveness: Which tasks were active last.
        heartbeats: Has the heartbeats that are due.
        interrupts: What is known of people's interrupts.
        settings: Everything that can be set.
        tokens: The token, for the backend it belongs to.
        clock: Where the time is read.
        faults: Where faults of the daemon's own are noted.
        spawn: Runs lanes and watchers.
    """

    def __init__(
        self,
        *,
        outbox: Outbox,
        registry: Registry,
        liveness: Liveness,
        heartbeats: HeartbeatSchedule,
        interrupts: Interrupts,
        settings: LiveSettings,
        tokens: TokenSource,
        clock: Clock,
        faults: Faults,
        spawn: Spawn,
    ) -> None:
        self._outbox = outbox
        self._registry = registry
        self._liveness = liveness
        self._heartbeats = heartbeats
        self._interrupts = interrupts
        self._settings = settings
        self._tokens = tokens
        self._clock = clock
        self._faults = faults
        self._spawn = spawn
        self._lanes: dict[str, Lane] = {}
        self._watchers: dict[str, InterruptWatcher] = {}
        self._upstreams: list[Upstream] = []

    def resume(self) -> None:
        """Starts the lanes of all backends that have undelivered events or live tasks of an earlier run."""
        tasks = {task.base_url for task in self._registry if not task.status.ended or self._outbox.counts.by_task[task.task_id]}
        for base_url in tasks.union(self._outbox.waiting_for):
            self.lane(base_url)

    def lane(self, base_url: str) -> Lane:
        """A backend's lane, started if there is none yet."""
        lane = self._lanes.get(base_url)
        if lane is None:
            lane = self._start(base_url)
        return lane

    def watcher(self, base_url: str) -> InterruptWatcher:
        """A backend's watcher, started if there is none yet."""
        self.lane(base_url)
        return self._watchers[base_url]

    def wake(self, base_url: str) -> None:
        """Wakes a backend's lane: heartbeats for it are due."""
        self.lane(base_url).wake()

    def retry_now(self) -> None:
        """Ends all pauses between attempts: backends may be reachable again, or connections may be dead."""
        for lane in self._lanes.values():
            lane.retry_now()
        for watcher in self._watchers.values():
            watcher.retry_now()

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._lanes.values())

    async def close(self) -> None:
        """Closes all connections."""
        for upstream in self._upstreams:
            await upstream.close()

    def _start(self, base_url: str) -> Lane:
        lane = Lane(
            base_url=base_url,
            outbox=self._outbox,
            registry=self._registry,
            upstream=self._upstream(base_url),
            heartbeats=self._heartbeats,
            settings=self._settings,
            clock=self._clock,
            faults=self._faults,
            hide_control=self._interrupts.hide,
            show_control=self._interrupts.show,
        )
        watcher = InterruptWatcher(
            base_url=base_url,
            registry=self._registry,
            interrupts=self._interrupts,
            liveness=self._liveness,
            next_round=lane.next_round,
            upstream=self._upstream(base_url),
            settings=self._settings,
            clock=self._clock,
        )
        self._lanes[base_url], self._watchers[base_url] = lane, watcher
        self._spawn(f"lane {base_url}", lane.run)
        self._spawn(f"watcher {base_url}", watcher.run)
        return lane

    def _upstream(self, base_url: str) -> Upstream:
        upstream = Upstream(base_url=base_url, tokens=self._tokens, settings=self._settings, clock=self._clock)
        self._upstreams.append(upstream)
        return upstream
