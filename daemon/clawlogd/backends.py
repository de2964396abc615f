"""Every backend that a task names: its lane and its watcher, started when they are first needed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from clawlog.protocol.addresses import canonical
from clawlogd.clock import Clock
from clawlogd.delivery.lane import Lane
from clawlogd.errors import TooManyBackends
from clawlogd.faults import Faults
from clawlogd.interrupts.state import Interrupts
from clawlogd.interrupts.watcher import InterruptWatcher
from clawlogd.liveness.evidence import Liveness
from clawlogd.liveness.schedule import HeartbeatSchedule
from clawlogd.outbox.queue import Outbox
from clawlogd.settings import LiveSettings
from clawlogd.tasks.registry import Registry
from clawlogd.upstream.client import Upstream
from clawlogd.upstream.contracts.contract import Contract
from clawlogd.upstream.contracts.interpreter import Interpreter
from clawlogd.upstream.contracts.keeper import Keeper
from clawlogd.upstream.document import Document
from clawlogd.upstream.finder import ContractFinder, ContractReport
from clawlogd.upstream.network import Network
from clawlogd.upstream.tokens import TokenSource

Spawn = Callable[[str, Callable[[], Coroutine[Any, Any, None]]], Callable[[], None]]
"""Runs a long-lived task under a name. Returns what ends it."""

_FRESHEN_S = 1.0


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
        network: The way to them.
        folder: Where contracts that were found are kept.
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
        network: Network,
        folder: Path,
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
        self._network = network
        self._lanes: dict[str, Lane] = {}
        self._end: dict[str, tuple[Callable[[], None], ...]] = {}
        self._idle_since: dict[str, float] = {}
        self._watchers: dict[str, InterruptWatcher] = {}
        self._upstreams: dict[str, list[Upstream]] = {}
        self._contracts: dict[str, ContractFinder] = {}
        self._end_contracts: dict[str, Callable[[], None]] = {}
        self._keeper = Keeper(folder)

    def resume(self) -> None:
        """Starts the lanes of all backends that have undelivered events or live tasks of an earlier run.

        Of the default backend the document is read in any case: callers are told where the page of a task of theirs will be.
        """
        self._contract(canonical(self._settings.now.base_url))
        for base_url in self._needed():
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

    def task_page(self, base_url: str, task_id: str) -> str | None:
        """The address of a task's page; None where the backend has not said, by now, that it has such pages."""
        document, task = self.document(base_url), self._registry.find(task_id)
        path = document.page_of((task.remote_id if task is not None else None) or task_id) if document is not None else None
        return base_url + path if path is not None else None

    def document(self, base_url: str) -> Document | None:
        """What a backend says of itself; None where that is not known."""
        finder = self._contracts.get(base_url)
        return finder.document if finder is not None else None

    def wake(self, base_url: str) -> None:
        """Wakes a backend's lane: heartbeats for it are due."""
        self.lane(base_url).wake()

    def retry_now(self) -> None:
        """Ends all pauses between attempts: backends may be reachable again, or connections may be dead."""
        for lane in self._lanes.values():
            lane.retry_now()
        for watcher in self._watchers.values():
            watcher.retry_now()

    async def freshen(self, base_url: str, task_ids: list[str]) -> set[str]:
        """Has a backend asked about tasks of it, for a second at most, see ``InterruptWatcher.freshen``."""
        return await self.watcher(base_url).freshen(task_ids, _FRESHEN_S)

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._lanes.values())

    async def close(self) -> None:
        """Closes all connections."""
        for base_url in list(self._upstreams):
            await self._close(base_url)

    def check_room(self, base_url: str) -> None:
        """Checks that a task for this backend may be added. One for the default backend always may.

        Raises:
            TooManyBackends: As many others are served as may be.
        """
        bound = self._settings.now.backends.max
        if base_url in self._lanes or len(self._lanes) < bound or base_url == canonical(self._settings.now.base_url):
            return
        raise TooManyBackends(len(self._lanes))

    async def end_idle(self) -> None:
        """Ends the lanes and watchers of backends for which nothing has gone on, and nothing has waited, for a while."""
        now = self._clock.monotonic()
        needed = self._needed()
        for base_url, lane in list(self._lanes.items()):
            if base_url in needed or lane.busy:
                self._idle_since.pop(base_url, None)
            elif now - self._idle_since.setdefault(base_url, now) > self._settings.now.backends.end_idle_after_s:
                await self._stop(base_url)

    def _needed(self) -> set[str]:
        """The backends with a task that has not ended, or an event that waits."""
        return {*self._registry.census.going_on, *self._outbox.waiting_for}

    async def _stop(self, base_url: str) -> None:
        for end in self._end.pop(base_url):
            end()
        self._watchers.pop(base_url).forget()
        self._outbox.listen(self._lanes.pop(base_url).number, None)
        self._idle_since.pop(base_url, None)
        if base_url != canonical(self._settings.now.base_url):
            self._end_contracts.pop(base_url)()
            del self._contracts[base_url]
        await self._close(base_url)

    async def _close(self, base_url: str) -> None:
        for upstream in self._upstreams.pop(base_url, []):
            await upstream.close()

    def _start(self, base_url: str) -> Lane:
        contract = self._contract(base_url)
        contract.retry_now()
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
            hear=self._interrupts.hear,
            contract=contract,
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
        self._end[base_url] = (
            self._spawn(f"lane {base_url}", lane.run),
            self._spawn(f"watcher {base_url}", watcher.run),
        )
        return lane

    def contract(self, base_url: str) -> ContractReport | None:
        """How a backend is spoken to; None for one that is not in use."""
        found = self._contracts.get(base_url)
        return found.report() if found is not None else None

    def configure(self) -> None:
        """Takes what the settings say by now of how each backend is spoken to."""
        for base_url, finder in self._contracts.items():
            finder.configure(self._settings.now.of_backend(base_url).contract)

    async def look_at(self, base_url: str) -> ContractReport:
        """How a backend is spoken to: as it is known of one that is in use, else as it is found now; nothing is started."""
        finder = self._contracts.get(base_url) or self._new_finder(base_url)
        await finder.look()
        return finder.report()

    @asynccontextmanager
    async def connected(self, base_url: str, contract: Contract | None) -> AsyncIterator[Upstream]:
        """Connections of their own to a backend, which neither its lane nor its watcher knows of.

        Args:
            base_url: The backend.
            contract: How it is spoken to; None for the standard contract.
        """
        interpreter = None if contract is None else Interpreter(contract)
        upstream = self._make_upstream(base_url, lambda: interpreter)
        try:
            yield upstream
        finally:
            with anyio.CancelScope(shield=True):
                await upstream.close()

    def _contract(self, base_url: str) -> ContractFinder:
        finder = self._contracts.get(base_url)
        if finder is None:
            finder = self._contracts[base_url] = self._new_finder(base_url)
            self._end_contracts[base_url] = self._spawn(f"contract {base_url}", finder.run)
        return finder

    def _new_finder(self, base_url: str) -> ContractFinder:
        return ContractFinder(
            base_url,
            open_upstream=lambda: self._make_upstream(base_url),
            keeper=self._keeper,
            configured=self._settings.now.of_backend(base_url).contract,
            settings=self._settings,
            delivered_before=any(task.upstream and task.base_url == base_url for task in self._registry),
            changed=lambda: self._contract_changed(base_url),
        )

    def _contract_changed(self, base_url: str) -> None:
        if (lane := self._lanes.get(base_url)) is not None:
            lane.contract_changed()
        if (watcher := self._watchers.get(base_url)) is not None:
            watcher.retry_now()

    def _upstream(self, base_url: str) -> Upstream:
        upstream = self._make_upstream(base_url)
        self._upstreams.setdefault(base_url, []).append(upstream)
        return upstream

    def _make_upstream(self, base_url: str, contract: Callable[[], Interpreter | None] | None = None) -> Upstream:
        return Upstream(
            base_url=base_url,
            tokens=self._tokens,
            settings=self._settings,
            clock=self._clock,
            network=self._network,
            contract=contract or (lambda: self._contracts[base_url].interpreter if base_url in self._contracts else None),
            is_known=lambda: bool(contract) or base_url not in self._contracts or self._contracts[base_url].may_send,
        )
