"""Settles events: records that they were delivered, refused for good, or are held behind a creation that was refused."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

import msgspec

from clawlogd.clock import Clock
from clawlogd.delivery.naming import mark
from clawlogd.delivery.profiles import Result
from clawlogd.logs import Log
from clawlogd.model import UNMAPPED, Event, EventKind, Task
from clawlogd.outbox.queue import Outbox
from clawlogd.outbox.records import Refusal, StoredEvent
from clawlogd.outbox.schema import EventState
from clawlogd.tasks.registry import Registry
from clawlogd.text import clean_text
from clawlogd.upstream.remote_ids import read_remote_ids

_MAX_REPLY_CHARS = 500

_decode = msgspec.json.Decoder(Event).decode


class Settlement:
    """Settles the events of one lane.

    Args:
        outbox: Where they are kept.
        lane: The lane's number.
        registry: Where the ids that a server gives out are kept.
        clock: Where the time is read.
        log: The lane's.

    Attributes:
        delivered: How many events were delivered in this run.
    """

    def __init__(self, *, outbox: Outbox, lane: int, registry: Registry, clock: Clock, log: Log) -> None:
        self._outbox = outbox
        self._lane = lane
        self._registry = registry
        self._clock = clock
        self._log = log
        self._dead_creations: set[str] | None = None
        self._last: asyncio.Future[None] | None = None  # the commit of what was recorded last
        self._unmapped: set[str] = set()
        self.delivered = 0

    @property
    def unmapped_tasks(self) -> int:
        """How many tasks that go on have steps whose ids at the backend are not known."""
        self._unmapped = {each for each in self._unmapped if (task := self._registry.find(each)) and not task.status.ended}
        return len(self._unmapped)

    async def load(self) -> None:
        """Reads, once, which tasks have a dead creation, behind which their events are held.

        Raises:
            StorageFailed: The file cannot be read.
        """
        if self._dead_creations is None:
            self._dead_creations = await self._outbox.read(lambda store: store.tasks_with_dead_creation(self._lane))

    def holds(self, task_id: str) -> bool:
        """Whether a task's creation is a dead letter that nobody has decided on."""
        return self._dead_creations is not None and task_id in self._dead_creations

    async def record(self, results: Sequence[Result]) -> None:
        """Records what became of events. Returns when what the last call recorded is on disk.

        Raises:
            StorageFailed: That could not be written: those events are pending again.
        """
        for result in results:
            stored = result.stored
            if result.accepted:
                self._outbox.settle(stored.seq, stored.task_id, self._lane, stored.size_bytes)
                self._note_created(result)
                if result.new_steps:
                    mark(self._registry, stored.task_id, dict(result.new_steps))
            elif self.holds(stored.task_id):
                self.hold(stored)
            else:
                self.dead_letter(stored, result.status, result.detail)
        self._outbox.after_commit(partial(self._note_delivered, sum(result.accepted for result in results)))
        before, self._last = self._last, self._outbox.committed()
        if before is not None:
            await before

    async def committed(self) -> None:
        """Returns when all that was recorded is on disk.

        Raises:
            StorageFailed: Some of it could not be written.
        """
        last, self._last = self._last, None
        if last is not None:
            await last

    def acknowledge_failure(self) -> None:
        """Notes that the failure of what was recorded has been seen: ``committed`` does not raise it again."""
        if self._last is not None and self._last.done():
            self._last = None

    def hold(self, stored: StoredEvent) -> None:
        """Records that an event waits behind its task's creation."""
        self._outbox.move(stored.seq, self._lane, EventState.PENDING, EventState.HELD)

    def dead_letter(self, stored: StoredEvent, status: int | None, detail: str) -> None:
        """Records that an event is a dead letter."""
        refusal = Refusal(stored.seq, status, clean_text(detail, _MAX_REPLY_CHARS), self._clock.wall_ms())
        self._outbox.move(stored.seq, self._lane, EventState.PENDING, EventState.DEAD, refusal)
        kind = _decode(stored.body).kind if stored.intact else "damaged"
        self._log.warning("dead_letter", seq=stored.seq, task_id=stored.task_id, kind=kind, status=status, detail=detail)
        if kind is EventKind.TASK_CREATED and self._dead_creations is not None:
            self._dead_creations.add(stored.task_id)
            self._outbox.on_failure(partial(self._dead_creations.discard, stored.task_id))

    async def requeue_held(self, task_id: str) -> None:
        """Makes the held events of a task pending, as a person has decided.

        Raises:
            StorageFailed: It could not be recorded.
        """
        # Also what was put behind the dead letter between the person's decision and now.
        for each in await self._outbox.read(lambda store: store.held(self._lane, task_id)):
            self._outbox.move(each.seq, self._lane, EventState.HELD, EventState.PENDING)
        await self._outbox.committed()
        if self._dead_creations is not None:
            self._dead_creations.discard(task_id)

    def _note_created(self, result: Result) -> None:
        task = self._registry.find(result.stored.task_id)
        if task is None or task.upstream:
            return
        event = _decode(result.stored.body)
        if event.kind is not EventKind.TASK_CREATED:
            return
        after = put_remote_ids(self._registry, task, event, result.body, self._log)
        created = {step.step_id for step in event.steps or ()}
        if any(step.remote_id == UNMAPPED and step.step_id in created for step in after.steps):
            self._unmapped.add(task.task_id)

    def _note_delivered(self, count: int) -> None:
        self.delivered += count


def put_remote_ids(
    registry: Registry, task: Task, event: Event, body: object, log: Log, *, told_anew_ms: int | None = None
) -> Task:
    """Notes that a backend has a task, and by which ids.

    Args:
        registry: Where that is kept.
        task: The task, as it is now.
        event: Its creation, as it was sent.
        body: The decoded answer.
        log: The lane's.
        told_anew_ms: When it was told of anew, if it was.

    Returns:
        The task as it is then.
    """
    ids = read_remote_ids(event, body)
    created = [step.step_id for step in event.steps or ()]
    remote = {**dict.fromkeys(created), **dict(zip(created, ids.steps, strict=False))}
    steps = tuple(msgspec.structs.replace(step, remote_id=remote.get(step.step_id, step.remote_id)) for step in task.steps)
    unmapped = [step.position for step in steps if step.remote_id == UNMAPPED and step.step_id in remote]
    if unmapped:
        log.warning("steps_unmapped", task_id=task.task_id, steps=",".join(map(str, unmapped)))
    changed = tuple(after for after, before in zip(steps, task.steps, strict=True) if after.remote_id != before.remote_id)
    told_anew_ms = told_anew_ms or task.told_anew_ms
    after = msgspec.structs.replace(task, upstream=True, remote_id=ids.task_id, steps=steps, told_anew_ms=told_anew_ms)
    registry.put(after, steps=changed)
    return after
