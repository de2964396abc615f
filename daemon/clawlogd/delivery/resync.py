"""Tells a backend anew of tasks that it does not know any more: it was put back to an older copy, or wiped.

One answer that says so is not believed: behind a balancer another replica may not have the task yet. A task is forgotten when
it cannot be read twice, some time apart, while the backend can read other tasks or list them. Then its creation and its present
state are sent, and what waits for it follows. Meanwhile its events are passed over, and its control state is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import anyio
import msgspec
from anyio.abc import TaskGroup

from clawlog.protocol import vocabulary
from clawlog.protocol.ids import new_uuid
from clawlogd.clock import Clock, rfc3339
from clawlogd.delivery.naming import mark
from clawlogd.delivery.profiles import Profile, Result
from clawlogd.delivery.settlement import put_remote_ids
from clawlogd.errors import OutboxError
from clawlogd.logs import Log
from clawlogd.model import UNMAPPED, Event, EventKind, NewStep, Task, TaskStatus
from clawlogd.outbox.queue import Outbox
from clawlogd.outbox.records import StoredEvent
from clawlogd.tasks.registry import Registry
from clawlogd.upstream.answers import Answer, Outcome
from clawlogd.upstream.client import Upstream

_NO_SUCH_ID = frozenset({400, 422})  # to a question that says nothing but an id
_APART_S = 2.0  # between the two reads
_AGAIN_AFTER_MS = 3_600_000  # a task is told anew at most this often, also across restarts: it is kept with the task
_BELIEVED_S = 60.0  # for how long it is believed that a task is there after all, or that nothing can be done
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0
_AT_ONCE = 4
_PRUNE_FROM = 1000
_MAX_BYTES = 1 << 22
_ENDS_TASK = frozenset({EventKind.TASK_STATUS, EventKind.INTERRUPT_ACK, EventKind.AGENT_LOST})

_decode = msgspec.json.Decoder(Event).decode


class Resync:
    """One lane's forgotten tasks.

    Args:
        lane: The lane's number.
        upstream: The backend.
        profile: How events are sent now.
        registry: The tasks.
        outbox: What waits for them.
        clock: Where the time is read.
        log: The lane's.
        hide_control: Called with a task whose control state is not known, and why.
        show_control: Called once the backend knows it again.
        wake: Called when the events of a task may be sent again.
    """

    def __init__(
        self,
        *,
        lane: int,
        upstream: Upstream,
        profile: Callable[[], Profile],
        registry: Registry,
        outbox: Outbox,
        clock: Clock,
        log: Log,
        hide_control: Callable[[str, str], None],
        show_control: Callable[[str], None],
        wake: Callable[[], None],
    ) -> None:
        self._lane = lane
        self._upstream = upstream
        self._profile = profile
        self._registry = registry
        self._outbox = outbox
        self._clock = clock
        self._log = log
        self._hide_control = hide_control
        self._show_control = show_control
        self._wake = wake
        self._group: TaskGroup | None = None
        self._limit = anyio.CapacityLimiter(_AT_ONCE)
        self._not_before: dict[str, float] = {}
        self._prune_at = _PRUNE_FROM
        self.tasks: set[str] = set()

    def start(self, group: TaskGroup) -> None:
        """Says where the work runs. Suspects of an interrupted run are given up."""
        self._group = group
        self.tasks.clear()

    def sift(self, results: list[Result]) -> list[Result]:
        """Takes out the events of tasks that the backend does not know, though it did: they wait.

        One whose follower was taken does not: sent again it would come too late, and undo what came after it. What is reported
        of a step that is said not to be there, though its task was found to be there just now, is said of its task from now on.

        Returns:
            The other results.
        """
        unknown: dict[str, bool] = {}  # whether nothing of the task was taken afterwards
        for each in results:
            if each.unknown_task:
                unknown.setdefault(each.stored.task_id, True)
            elif each.accepted and each.stored.task_id in unknown:
                unknown[each.stored.task_id] = False
        self.suspect(task_id for task_id, waits in unknown.items() if waits)
        if not unknown:
            return results
        first = {each.stored.task_id: each.stored for each in reversed(results) if each.unknown_task}
        stepless = {task_id for task_id, stored in first.items() if self._lacks_step(stored)}
        waiting = self.tasks | stepless
        return [each for each in results if not unknown.get(each.stored.task_id) or each.stored.task_id not in waiting]

    def _lacks_step(self, stored: StoredEvent) -> bool:
        """Whether it must be a step that the backend does not know, and not its task. That is noted."""
        task = self._registry.find(stored.task_id)
        if task is None or not task.upstream or stored.task_id in self.tasks:
            return False
        event = _decode(stored.body)
        step = next((each for each in task.steps if each.step_id == event.step_id), None)
        if event.kind is not EventKind.STEP_STATUS or step is None or step.remote_id == UNMAPPED:
            return False
        mark(self._registry, task.task_id, {step.step_id: UNMAPPED})
        self._log.info("step_unknown", task_id=task.task_id, step=step.position)
        return True

    def suspect_all(self, base_url: str) -> None:
        """Looks into all tasks of a backend that are still spoken of: it may be another one by now."""
        waiting = self._outbox.counts.by_task
        tasks = [task for task in self._registry if task.base_url == base_url]
        self.suspect(task.task_id for task in tasks if not task.status.ended or waiting[task.task_id])

    def suspect(self, task_ids: Iterable[str]) -> None:
        """Looks into tasks that the backend is said not to know."""
        now = self._clock.monotonic()
        for task_id in task_ids:
            task = self._registry.find(task_id)
            if task is None or not task.upstream or task_id in self.tasks or self._group is None:
                continue
            if self._not_before.get(task_id, now) > now or self._was_told_lately(task):
                continue
            self.tasks.add(task_id)
            self._group.start_soon(self._look_into, task_id, name=f"resync {task_id}")

    # ── One task ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _look_into(self, task_id: str) -> None:
        self._hide_control(task_id, "the backend does not know this task any more")
        try:
            if await self._is_forgotten(task_id):
                await self._tell_anew(task_id)
        except OutboxError as error:
            self._log.warning("resync_failed", task_id=task_id, error=str(error))
        except Exception as error:  # noqa: BLE001 - it concerns this task alone; its events go their usual way
            self._log.error("resync_failed", task_id=task_id, error=repr(error))
        finally:
            self._not_before[task_id] = self._clock.monotonic() + _BELIEVED_S
            self._prune()
            self.tasks.discard(task_id)
            self._show_control(task_id)
            self._wake()

    def _was_told_lately(self, task: Task) -> bool:
        """A clock that was put back makes no difference: what was told in the future was not told lately."""
        return task.told_anew_ms is not None and 0 <= self._clock.wall_ms() - task.told_anew_ms < _AGAIN_AFTER_MS

    def _prune(self) -> None:
        """Drops what has run out, whenever there is twice as much as after the last time."""
        if len(self._not_before) < self._prune_at:
            return
        now = self._clock.monotonic()
        self._not_before = {task_id: until for task_id, until in self._not_before.items() if until > now}
        self._prune_at = 2 * len(self._not_before) + _PRUNE_FROM

    async def _is_forgotten(self, task_id: str) -> bool:
        for number in range(2):
            if number:
                await anyio.sleep(_APART_S)
            task = self._registry.find(task_id)
            if task is None:
                return False
            answer = await self._certainly(lambda task=task: self._upstream.get_task(task.remote_id or task.task_id))  # type: ignore[misc]
            if not answer.is_gone and answer.status not in _NO_SUCH_ID:
                return False
        return await self._can_read_others(task_id)

    async def _can_read_others(self, task_id: str) -> bool:
        """Whether the backend is one that can be asked for tasks: only then does a 404 speak of the task."""
        answer = await self._certainly(self._upstream.list_tasks)
        if answer.outcome is Outcome.DELIVERED and isinstance(answer.body, dict | list):
            return True
        if answer.outcome is Outcome.NO_ROUTE:
            return (
                True  # its contract says how it is asked for a task, and it has no list: that it takes a creation will show it
            )
        task = self._registry.find(task_id)
        base_url = task.base_url if task else None
        for other in self._registry:
            if other.base_url == base_url and other.upstream and other.task_id not in self.tasks:
                answer = await self._certainly(lambda other=other: self._upstream.get_task(other.remote_id or other.task_id))  # type: ignore[misc]
                return answer.outcome is Outcome.DELIVERED and isinstance(answer.body, dict)
        return False

    async def _tell_anew(self, task_id: str) -> None:
        """Sends a task's creation and present state, and keeps when the backend has taken them."""
        task = self._registry.find(task_id)
        if task is None:
            return
        waiting = await self._outbox.read(
            lambda store: store.pending(self._lane, vocabulary.MAX_STEPS * 8, _MAX_BYTES, only=[task_id])
        )
        events = [_decode(each.body) for each in waiting if each.intact]
        creation = _creation(task, events)
        state = _state(task, events)
        # In one request where that can be: then a daemon that is killed has told all of it, or nothing.
        first, rest = ([creation, *state], []) if self._profile().sends_many else ([creation], state)
        answer = await self._certainly(lambda: self._profile().send_new(first))
        task = self._registry.find(task_id)
        if answer.outcome is not Outcome.DELIVERED or task is None:
            self._log.warning("task_not_told_anew", task_id=task_id, detail=answer.detail)
            return
        put_remote_ids(self._registry, task, creation, answer.body, self._log, told_anew_ms=self._clock.wall_ms())
        if rest:
            await self._certainly(lambda: self._profile().send_new(rest))
        self._log.info("task_told_anew", task_id=task_id, events=1 + len(state))

    async def _certainly(self, ask: Callable[[], object]) -> Answer:
        """Asks until there is an answer that is about what was asked."""
        pause_s = _FIRST_PAUSE_S
        while True:
            async with self._limit:
                answer: Answer = await ask()  # type: ignore[misc]
            if answer.outcome in {Outcome.DELIVERED, Outcome.REFUSED, Outcome.NO_ROUTE}:
                return answer
            await anyio.sleep(max(pause_s, answer.retry_after_s or 0.0))
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


def _creation(task: Task, waiting: list[Event]) -> Event:
    """A task's creation, with its plan as it is now, but for the steps that waiting events will add."""
    added = {event.step_id for event in waiting if event.kind is EventKind.STEP_ADDED}
    return Event(
        event_id=new_uuid(),
        task_id=task.task_id,
        kind=EventKind.TASK_CREATED,
        at=rfc3339(task.created_ms),
        title=task.title,
        steps=tuple(NewStep(step.step_id, step.title) for step in task.steps if step.step_id not in added),
        metadata=task.metadata or None,
        parent_task_id=task.parent_task_id,
    )


def _state(task: Task, waiting: list[Event]) -> list[Event]:
    """What is to be said of a task that was just created: its present state, less what waiting events will say."""
    at = rfc3339(task.seen_ms or task.created_ms)
    steps_waiting = {event.step_id for event in waiting if event.kind in {EventKind.STEP_STATUS, EventKind.STEP_ADDED}}
    events = [
        Event(
            new_uuid(), task.task_id, EventKind.STEP_STATUS, at, step.step_id, step.status, step.summary, progress=step.progress
        )
        for step in task.steps
        if step.status != vocabulary.PENDING and step.step_id not in steps_waiting
    ]
    links_waiting = {event.url for event in waiting if event.kind is EventKind.LINK}
    events += [
        Event(new_uuid(), task.task_id, EventKind.LINK, at, name=link.name, url=link.url)
        for link in task.links
        if link.url not in links_waiting
    ]
    if task.status is not TaskStatus.PENDING and not any(event.kind in _ENDS_TASK for event in waiting):
        since = rfc3339(task.waiting_ms) if task.status is TaskStatus.WAITING and task.waiting_ms is not None else at
        events.append(Event(new_uuid(), task.task_id, EventKind.TASK_STATUS, since, None, task.status, task.summary))
    elif steps_waiting and task.status is not TaskStatus.PENDING:
        events.append(Event(new_uuid(), task.task_id, EventKind.TASK_STATUS, at, None, TaskStatus.RUNNING))
    if task.lost_ms is not None and not any(event.kind in _ENDS_TASK for event in waiting):
        events.append(Event(new_uuid(), task.task_id, EventKind.AGENT_LOST, rfc3339(task.lost_ms)))
    return events
