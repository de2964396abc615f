"""Long polls for interrupts: one request asks about many tasks, and the backend holds it until something changes.

Most tasks are in large requests that are held for nearly a minute and then sent again. New tasks are asked about at once, and
then held in one small request of their own until a large one takes them over: however many tasks there are, a new one costs
little more than itself.

A server that has the route and does not hold requests is asked at intervals.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

import anyio
import msgspec
from anyio.abc import TaskGroup
from anyio.lowlevel import cancel_shielded_checkpoint

from clawlogd.clock import Clock
from clawlogd.interrupts.closing import Closings
from clawlogd.interrupts.pacing import Pauses
from clawlogd.interrupts.state import ControlQuery, Interrupts
from clawlogd.logs import Log
from clawlogd.model import Task
from clawlogd.settings import LiveSettings
from clawlogd.tasks.registry import Registry
from clawlogd.upstream.answers import Answer, Outcome
from clawlogd.upstream.client import Upstream
from clawlogd.upstream.controls import Control, Unreadable

T = TypeVar("T")

_GATHER_S = 0.1  # tasks that come together are asked about together
_HELD_PART = 0.5  # a server that answers "nothing new" before this part of the wait does not hold requests
_TAKEN_IN_AT_ONCE = 500  # tasks of an answer; then all else has its turn
_MOST_IDS = 10_000  # in one request; at 64 characters each that stays well under the usual bound of 1 MiB


@dataclass(eq=False, slots=True)
class _HeldRequest:
    """Tasks that one held request asks about.

    Attributes:
        task_ids: The tasks.
        cursor: Up to where their changes are known.
        scope: Cancels the request that is held now; None before the first.
    """

    task_ids: set[str] = field(default_factory=set)
    cursor: str | None = None
    scope: anyio.CancelScope | None = None

    def restart(self) -> None:
        """Ends the request that is held, if one is, so that another is sent."""
        if self.scope is not None:
            self.scope.cancel()


class LongPolls:
    """Polls one backend by held requests.

    Args:
        upstream: The backend, over connections of the watcher's own.
        registry: The tasks.
        interrupts: Where what is found goes.
        closings: Where it goes that a task is closed.
        settings: How long a request is held; delays after failures.
        clock: Where the time is read.
        most_ids: How many tasks one request may ask about.
    """

    def __init__(
        self,
        *,
        upstream: Upstream,
        registry: Registry,
        interrupts: Interrupts,
        closings: Closings,
        settings: LiveSettings,
        clock: Clock,
        most_ids: int = _MOST_IDS,
    ) -> None:
        self._upstream = upstream
        self._registry = registry
        self._interrupts = interrupts
        self._closings = closings
        self._settings = settings
        self._clock = clock
        self._most_ids = most_ids
        self._log = Log("watcher", backend=upstream.base_url)
        self._pauses = Pauses(settings, upstream.base_url)
        self._remote_ids: dict[str, str] = {}
        self._to_ask: dict[str, None] = {}  # tasks to be asked about at once, in order
        self._small = _HeldRequest()
        self._large: list[_HeldRequest] = []
        self._in_large: set[str] = set()
        self._restart_timer: asyncio.Handle | None = None
        self._restart_at = 0.0  # kept here: of a time that has come uvloop's handle does not say it

    def add(self, task_id: str, remote_id: str) -> None:
        """Polls for a task from now on; not anew where that is done already."""
        if self._remote_ids.get(task_id) == remote_id:
            return
        self._remote_ids[task_id] = remote_id
        self._ask_soon(task_id, _GATHER_S)

    def remove(self, task_id: str) -> None:
        """Polls for a task no more."""
        self._remote_ids.pop(task_id, None)
        self._to_ask.pop(task_id, None)

    async def confirm(self, task_ids: list[str]) -> None:
        """Asks how tasks stand now, beside the requests that are held; not while the backend is polled in another way."""
        asked = [task_id for task_id in task_ids if task_id in self._remote_ids][: self._most_ids]
        if asked and self._large:
            await self._poll(asked, None, 0.0)

    def retry_now(self) -> None:
        """Sends every request anew now: those that are held may hang on dead connections."""
        for held in (self._small, *self._large):
            held.restart()
        self._pauses.end()

    async def run(self) -> None:
        """Polls until the backend turns out not to have the route."""
        self._to_ask, self._small = dict.fromkeys(self._remote_ids), _HeldRequest()
        self._large, self._in_large = [], set()
        async with anyio.create_task_group() as group:
            await self._run_small(group)
            group.cancel_scope.cancel()
        self._large = []

    # ── The requests ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _run_small(self, group: TaskGroup) -> None:
        """Asks for each new task's state, then holds a request for them until a large one takes them over."""
        while True:
            while len(self._large) * self._most_ids < len(self._remote_ids):
                self._large.append(large := _HeldRequest())
                group.start_soon(self._run_large, large)
            if self._to_ask:
                if not await self._ask_now():
                    return
                continue
            await self._hold(self._small)

    async def _run_large(self, large: _HeldRequest) -> None:
        """Holds one large request, again and again."""
        while True:
            gone = {each for each in large.task_ids if each not in self._remote_ids}  # "-" would walk all that are polled for
            self._in_large -= gone
            large.task_ids -= gone
            self._take_over(large)
            await self._hold(large)

    def _take_over(self, large: _HeldRequest) -> None:
        """Moves tasks of the small request to a large one that is about to be sent."""
        moved = set(islice(self._small.task_ids, self._most_ids - len(large.task_ids)))
        if not moved:
            return
        if large.task_ids:
            # Its cursor may be ahead of the small request's: what changed between the two is asked for once more.
            self._to_ask.update(dict.fromkeys(moved))
        else:
            large.cursor = self._small.cursor
        large.task_ids |= moved
        self._in_large |= moved
        self._small.task_ids -= moved
        self._small.restart()

    async def _ask_now(self) -> bool:
        """Asks for the new tasks' states, whenever they came about. Returns False when the backend has no such route."""
        task_ids = list(islice(self._to_ask, self._most_ids))
        for task_id in task_ids:
            del self._to_ask[task_id]
        answer, _ = await self._poll(task_ids, None, 0.0)
        if answer.outcome in {Outcome.NO_ROUTE, Outcome.REFUSED}:
            self._log.info("polled_singly", detail=answer.detail)
            return False
        if answer.outcome is not Outcome.DELIVERED:
            self._to_ask.update(dict.fromkeys(task_id for task_id in task_ids if task_id in self._remote_ids))
            await self._pauses.after_failure(answer)
            return True
        self._pauses.succeeded()
        if not self._small.task_ids:
            self._small.cursor = answer.body
        self._small.task_ids |= (self._remote_ids.keys() & set(task_ids)) - self._in_large
        for large in self._large:
            # The square root keeps both low: how often a large request is sent anew, and how large the small one grows.
            if len(large.task_ids) < self._most_ids and len(self._small.task_ids) ** 2 > len(large.task_ids):
                self._take_over(large)
                large.restart()
                break
        return True

    async def _hold(self, held: _HeldRequest) -> None:
        """Sends one request that is held until it is answered or restarted; if it fails, its tasks are asked about anew."""
        task_ids = [task_id for task_id in held.task_ids if task_id in self._remote_ids]
        with anyio.CancelScope() as held.scope:
            if not task_ids:
                await anyio.sleep_forever()
            started = self._clock.monotonic()
            answer, news = await self._poll(task_ids, held.cursor, self._settings.now.poll.wait_s)
            if answer.outcome is Outcome.DELIVERED:
                held.cursor = answer.body
                held_s = self._clock.monotonic() - started
                if not news and held_s < max(self._settings.now.poll.wait_s * _HELD_PART, self._settings.now.poll.interval_s):
                    await self._pauses.between_polls()
            else:
                self._in_large -= held.task_ids
                self._to_ask.update(dict.fromkeys(held.task_ids & self._remote_ids.keys()))
                held.task_ids = set()
                self._small.restart()

    async def _poll(self, task_ids: list[str], cursor: str | None, wait_s: float) -> tuple[Answer, bool]:
        """Sends one request, and passes on what it finds. Returns the answer, and whether anything in it was news."""
        query = ControlQuery(self._clock.monotonic())
        by_remote = {self._remote_ids[task_id]: task_id for task_id in task_ids if task_id in self._remote_ids}
        answer, controls = await self._upstream.poll_controls(list(by_remote), cursor, wait_s)
        news = False
        if answer.outcome is Outcome.DELIVERED:
            unreadable: dict[str, str] = {}
            told: set[str] = set()
            async for remote_id, control in _in_turns(controls.items()):
                task = self._registry.find(by_remote.get(remote_id, ""))
                if task is None:
                    continue
                told.add(task.task_id)
                if isinstance(control, Unreadable):
                    unreadable[task.task_id] = control.detail
                elif self._observe(task, control, query):
                    news = True
                elif task.interrupt_pending and not control.interrupt_requested:
                    # It was withdrawn, or this answer is older than the interrupt: to be asked for as it stands.
                    self._ask_soon(task.task_id, self._settings.now.poll.interval_s)
            async for task_id in self._going_on(task_ids):
                if task_id in unreadable:
                    self._interrupts.lose(task_id, unreadable[task_id])
                elif self._interrupts.is_readable(task_id) or (cursor is None and task_id not in told):
                    # However long it was held: how much of that the answer was on its way, nobody knows.
                    self._interrupts.confirm(task_id, query.asked_at)
        elif answer.outcome is not Outcome.NO_ROUTE:
            async for task_id in self._going_on(task_ids):
                self._interrupts.lose(task_id, answer.detail)
        return answer, news

    def _observe(self, task: Task, control: Control, query: ControlQuery) -> bool:
        news = self._acknowledge(task, control)
        if task.status.ended:
            return news
        if control.closed:
            self._closings.look_into(task.task_id)
        return self._interrupts.observe(task, control, query) or news

    def _acknowledge(self, task: Task, control: Control) -> bool:
        """Notes whether a person has seen that a task failed or was lost. Returns whether that is news."""
        if task.trouble_ms is None or task.closed or control.acknowledged is task.acknowledged:
            return False
        if self._interrupts.has_undelivered(task.task_id):  # it may be an earlier trouble that was seen
            self._ask_soon(task.task_id, self._settings.now.poll.interval_s)
            return False
        seen_ms = task.trouble_ms if control.acknowledged else None
        self._registry.put(msgspec.structs.replace(task, acknowledged_ms=seen_ms))
        return True

    async def _going_on(self, task_ids: list[str]) -> AsyncIterator[str]:
        """Those of which it matters whether they are to stop: of what has failed, it is polled whether a person has seen it."""
        async for task_id in _in_turns(task_ids):
            if (task := self._registry.find(task_id)) is None or not task.status.ended:
                yield task_id

    # ── Waiting ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _ask_soon(self, task_id: str, delay_s: float) -> None:
        self._to_ask[task_id] = None
        loop = asyncio.get_running_loop()
        at = loop.time() + delay_s
        if self._restart_timer is None or self._restart_at > at:
            if self._restart_timer is not None:
                self._restart_timer.cancel()
            self._restart_timer, self._restart_at = loop.call_at(at, self._restart_small), at

    def _restart_small(self) -> None:
        self._restart_timer = None
        self._small.restart()


async def _in_turns(items: Iterable[T]) -> AsyncIterator[T]:
    """What an answer holds, some of it at a time: between them all else has its turn, and none of it is left out."""
    for number, item in enumerate(items, start=1):
        if number % _TAKEN_IN_AT_ONCE == 0:
            await cancel_shielded_checkpoint()
        yield item
