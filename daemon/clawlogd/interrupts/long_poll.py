"""Looks for requests to stop where one request asks for many tasks, and the backend holds it until something changes.

Most tasks are in requests that are held for nearly a minute and begun anew. Tasks that come under watch are looked at at once,
and then held in a small request of their own until a large one takes them over: however many there are, a new task costs little
more than itself.

A server that has the route and does not hold requests is asked at intervals.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup

from clawlogd.clock import Clock
from clawlogd.interrupts.pacing import Pauses
from clawlogd.interrupts.state import Asked, Stops
from clawlogd.logs import Log
from clawlogd.settings import LiveSettings
from clawlogd.tasks.registry import Registry
from clawlogd.upstream.answers import Answer, Outcome
from clawlogd.upstream.client import Upstream

_SETTLE_S = 0.1  # tasks that come together are asked about together
_HELD_LONG = 0.5  # a server that answers "nothing new" before this part of the wait does not hold requests
_MOST_IDS = 10_000  # in one request; at 64 characters each that stays well under the usual bound of 1 MiB


@dataclass(eq=False, slots=True)
class _Hand:
    """Tasks that are asked about by one held request, and up to where their changes are known."""

    task_ids: set[str] = field(default_factory=set)
    cursor: str | None = None
    hold: anyio.CancelScope | None = None

    def restart(self) -> None:
        """Ends the request that is held, if one is, so that another begins."""
        if self.hold is not None:
            self.hold.cancel()


class HeldPolls:
    """Watches one backend by held requests.

    Args:
        upstream: The backend, over connections of the watcher's own.
        registry: The tasks.
        stops: Where what is found goes.
        settings: How long a request is held; delays after failures.
        clock: Where the time is read.
        most_ids: How many tasks one request may ask about.
    """

    def __init__(
        self,
        *,
        upstream: Upstream,
        registry: Registry,
        stops: Stops,
        settings: LiveSettings,
        clock: Clock,
        most_ids: int = _MOST_IDS,
    ) -> None:
        self._upstream = upstream
        self._registry = registry
        self._stops = stops
        self._settings = settings
        self._clock = clock
        self._most_ids = most_ids
        self._log = Log("watcher", backend=upstream.base_url)
        self._pauses = Pauses(settings, upstream.base_url)
        self._remote: dict[str, str] = {}
        self._fresh: dict[str, None] = {}
        self._young = _Hand()
        self._old: list[_Hand] = []
        self._in_old: set[str] = set()
        self._interrupting: asyncio.TimerHandle | None = None

    def watch(self, task_id: str, remote_id: str) -> None:
        """Brings a task under watch."""
        self._remote[task_id] = remote_id
        self._look_soon(task_id, _SETTLE_S)

    def unwatch(self, task_id: str) -> None:
        """Watches a task no more."""
        self._remote.pop(task_id, None)
        self._fresh.pop(task_id, None)

    def retry_now(self) -> None:
        """Begins every request anew now: those that are held may hang on dead connections."""
        for hand in (self._young, *self._old):
            hand.restart()
        self._pauses.end()

    async def run(self) -> None:
        """Watches until the backend turns out not to have the route."""
        self._fresh, self._young, self._old, self._in_old = dict.fromkeys(self._remote), _Hand(), [], set()
        async with anyio.create_task_group() as group:
            await self._newcomers(group)
            group.cancel_scope.cancel()

    # ── The requests ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _newcomers(self, group: TaskGroup) -> None:
        """Looks at what stands for each new task, then holds a request for them until a large one takes them over."""
        while True:
            while len(self._old) * self._most_ids < len(self._remote):
                self._old.append(hand := _Hand())
                group.start_soon(self._regulars, hand)
            if self._fresh:
                if not await self._look():
                    return
                continue
            await self._hold(self._young)

    async def _regulars(self, hand: _Hand) -> None:
        """Holds one large request, again and again."""
        while True:
            self._in_old -= hand.task_ids - self._remote.keys()
            hand.task_ids &= self._remote.keys()
            self._take_over(hand)
            await self._hold(hand)

    def _take_over(self, hand: _Hand) -> None:
        """Moves the newcomers to a large request that is about to begin."""
        moved = set(list(self._young.task_ids)[: self._most_ids - len(hand.task_ids)])
        if not moved:
            return
        if hand.task_ids:
            # Its cursor may be ahead of what the newcomers' request had told: what came between is looked at once more.
            self._fresh.update(dict.fromkeys(moved))
        else:
            hand.cursor = self._young.cursor
        hand.task_ids |= moved
        self._in_old |= moved
        self._young.task_ids -= moved
        self._young.restart()

    async def _look(self) -> bool:
        """Asks what stands for the new tasks, whenever it came to be so. False when the backend has no such route."""
        task_ids = list(self._fresh)[: self._most_ids]
        for task_id in task_ids:
            del self._fresh[task_id]
        answer, _ = await self._ask(task_ids, None, 0.0)
        if answer.outcome in {Outcome.NO_ROUTE, Outcome.REFUSED}:
            self._log.info("polled_singly", detail=answer.detail)
            return False
        if answer.outcome is not Outcome.DELIVERED:
            self._fresh.update(dict.fromkeys(task_id for task_id in task_ids if task_id in self._remote))
            await self._pauses.after_failure(answer)
            return True
        self._pauses.succeeded()
        if not self._young.task_ids:
            self._young.cursor = answer.body
        self._young.task_ids |= (self._remote.keys() & set(task_ids)) - self._in_old
        for hand in self._old:
            # The square root keeps both low: how often a large request begins anew, and how large the small one grows.
            if len(hand.task_ids) < self._most_ids and len(self._young.task_ids) ** 2 > len(hand.task_ids):
                self._take_over(hand)
                hand.restart()
                break
        return True

    async def _hold(self, hand: _Hand) -> None:
        """One held request, until it is answered or let go; if it fails, its tasks are looked at anew."""
        task_ids = [task_id for task_id in hand.task_ids if task_id in self._remote]
        with anyio.CancelScope() as hand.hold:
            if not task_ids:
                await anyio.sleep_forever()
            started = self._clock.monotonic()
            answer, news = await self._ask(task_ids, hand.cursor, self._settings.now.poll.wait_s)
            if answer.outcome is Outcome.DELIVERED:
                hand.cursor = answer.body
                held_s = self._clock.monotonic() - started
                if not news and held_s < max(self._settings.now.poll.wait_s * _HELD_LONG, self._settings.now.poll.interval_s):
                    await self._pauses.between_polls()
            else:
                self._in_old -= hand.task_ids
                self._fresh.update(dict.fromkeys(hand.task_ids & self._remote.keys()))
                hand.task_ids = set()
                self._young.restart()

    async def _ask(self, task_ids: list[str], cursor: str | None, wait_s: float) -> tuple[Answer, bool]:
        """Asks, and passes on what is said. Returns the answer, and whether anything in it was news."""
        asked = Asked(self._clock.monotonic())
        by_remote = {self._remote[task_id]: task_id for task_id in task_ids if task_id in self._remote}
        answer, controls = await self._upstream.poll_controls(list(by_remote), cursor, wait_s)
        news = False
        if answer.outcome is Outcome.DELIVERED:
            now = self._clock.monotonic()
            for remote, control in controls.items():
                task = self._registry.find(by_remote.get(remote, ""))
                if task is None:
                    continue
                if self._stops.observe(task, control, asked):
                    news = True
                elif task.stopping and not control.interrupt_requested:
                    # It was withdrawn, or this answer is older than the stop: to be asked for as it stands.
                    self._look_soon(task.task_id, self._settings.now.poll.interval_s)
            for task_id in task_ids:
                self._stops.confirm(task_id, now if wait_s else asked.at)
        return answer, news

    # ── Waiting ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _look_soon(self, task_id: str, delay_s: float) -> None:
        self._fresh[task_id] = None
        loop = asyncio.get_running_loop()
        at = loop.time() + delay_s
        if self._interrupting is None or self._interrupting.when() > at:
            if self._interrupting is not None:
                self._interrupting.cancel()
            self._interrupting = loop.call_at(at, self._interrupt)

    def _interrupt(self) -> None:
        self._interrupting = None
        self._young.restart()
