"""Applies events to the stored tasks: the one way in which a task changes.

A group of events is applied as a unit of work: their tasks are loaded once, each event changes them in memory, and the changes
are written back in a few statements, in one transaction. So a batch of a thousand costs little more than one event, and many
callers share a commit. A rejected event changes nothing and does not affect its neighbours.

Tasks that changed lately stay in a cache. That is sound because this is the only writer (see
:mod:`clawlog_backend.storage.engines.sqlite`): the cache agrees with the database, and it is dropped when a transaction fails.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from sqlalchemy import Connection, func, select, update

from clawlog_backend.domain import transitions
from clawlog_backend.domain.errors import DomainError, UnknownTask
from clawlog_backend.domain.events import (
    Event,
    Heartbeat,
    InterruptAcknowledged,
    InterruptDelivered,
    InterruptRequested,
    InterruptSeen,
    MetadataChanged,
    Planned,
    StepAdded,
    StepStatusChanged,
    TaskCreated,
    assigned_id,
)
from clawlog_backend.domain.fields import TaskStatus
from clawlog_backend.domain.state import Change, InterruptState, StepState, TaskState, standing
from clawlog_backend.domain.times import UtcMs
from clawlog_backend.storage import rows, schema

_CACHED_TASKS = 10_000  # about 2 kB each, with five steps

_OF_MANY = (Heartbeat, StepStatusChanged)  # what comes often, and mostly says that all goes on as before
_OF_STEPS = (StepStatusChanged, Planned, StepAdded, MetadataChanged)
_OF_INTERRUPTS = (InterruptRequested, InterruptSeen, InterruptDelivered, InterruptAcknowledged)


class EventStatus(StrEnum):
    """The result of applying an event."""

    OK = "ok"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class EventOutcome:
    """The result of applying one event, in full.

    Attributes:
        event_id: The event's id.
        status: Whether it was applied.
        task_status: Its task's status right after it, for a duplicate as of the first time.
        error: Why it was rejected.
        same: For a duplicate: it equals the event that was applied under this id, its time aside.
        interrupt_id: The stop that it requested, or that was open already.
    """

    event_id: str
    status: EventStatus
    task_status: TaskStatus | None = None
    error: DomainError | None = None
    same: bool = True
    interrupt_id: str | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """The store's position: what the next numbers are counted from.

    Attributes:
        store_id: Identifies this database.
        seq: The number of the last event that was ever applied.
        floor_seq: Changes up to here can no longer be sent one by one: tasks were removed then.
        task_n: The number of the last task.
    """

    store_id: str
    seq: int
    floor_seq: int
    task_n: int


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """What a group of events changed.

    Attributes:
        outcomes: One per event, in order.
        changed: The numbers of the tasks that changed, by their ids.
        moved: The numbers of those that stand otherwise than before; the others lived, or reported more of the same.
        controls: The ids of the tasks that are now to stop, closed or acknowledged, or no longer.
        position: The store's position after it.
    """

    outcomes: tuple[EventOutcome, ...]
    changed: dict[str, int]
    moved: frozenset[int]
    controls: frozenset[str]
    position: Position


@dataclass(frozen=True, slots=True)
class Removal:
    """How many tasks were removed, and the store's position after it."""

    number: int
    position: Position


class TaskStore:
    """Applies events, and knows its position.

    Everything here runs in the caller's transaction. After it, the caller has to call :meth:`committed` or :meth:`rolled_back`.

    Attributes:
        position: The position as of the last committed transaction.
    """

    def __init__(self) -> None:
        self.position = Position("", 0, 0, 0)
        self._cache: OrderedDict[str, TaskState] = OrderedDict()

    def find_position(self, connection: Connection) -> Position:
        """The position as the database has it. No number is used twice, even after its task or event was removed."""
        info = connection.execute(select(schema.database)).one()
        last_event = connection.execute(select(func.max(schema.events.c.seq))).scalar() or 0
        newest = select(func.max(schema.tasks.c.change_seq), func.max(schema.tasks.c.n))
        last_change, last_n = connection.execute(newest).one()
        return Position(info.store_id, max(info.floor_seq, last_event, last_change or 0), info.floor_seq, last_n or 0)

    def apply(self, connection: Connection, incoming: Sequence[Event], received: UtcMs) -> ChangeSet:
        """Apply events in the order given.

        Args:
            connection: In a transaction.
            incoming: The events.
            received: This instant.
        """
        return _UnitOfWork(connection, self._cache, self.position, received).run(incoming)

    def remove(self, connection: Connection, work: Callable[[Connection], int]) -> Removal:
        """Remove tasks. Readers of the changes up to now have to reload: a removal is not sent as a change.

        Args:
            connection: In a transaction.
            work: Removes them, and returns how many.
        """
        number = work(connection)
        if not number:
            return Removal(0, self.position)
        connection.execute(update(schema.database).values(floor_seq=self.position.seq))
        return Removal(number, replace(self.position, floor_seq=self.position.seq))

    def committed(self, change: ChangeSet | Removal) -> None:
        """The transaction was committed: take over its position."""
        self.position = change.position
        if isinstance(change, Removal):
            self._cache.clear()
        while len(self._cache) > _CACHED_TASKS:
            self._cache.popitem(last=False)

    def rolled_back(self) -> None:
        """The transaction failed: drop the cache, which may be ahead of the database."""
        self._cache.clear()


class _UnitOfWork:
    """One group of events: loads what they need, applies them in memory, writes what changed."""

    def __init__(self, connection: Connection, cache: OrderedDict[str, TaskState], start: Position, received: UtcMs) -> None:
        self._connection = connection
        self._received = received
        self._tasks = cache
        self._start = start
        self._seq = start.seq
        self._task_n = start.task_n
        self._stored: dict[str, _StoredEvent] = {}
        self._events: list[rows.EventRow] = []
        self._touched: dict[str, TaskState] = {}
        self._created: set[str] = set()
        self._steps: dict[tuple[int, int], StepState] = {}
        self._interrupts: dict[str, tuple[int, InterruptState]] = {}
        self._new_interrupts: set[str] = set()
        self._moved: set[int] = set()
        self._controls: set[str] = set()

    def run(self, incoming: Sequence[Event]) -> ChangeSet:
        self._load(incoming)
        outcomes = tuple(map(self._apply, incoming))
        self._write()
        changed = {task_id: task.n for task_id, task in self._touched.items()}
        after = replace(self._start, seq=self._seq, task_n=self._task_n)
        return ChangeSet(outcomes, changed, frozenset(self._moved), frozenset(self._controls), after)

    # ── Loading ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _load(self, incoming: Sequence[Event]) -> None:
        columns = schema.events.c
        query = select(columns.event_id, columns.task_n, columns.kind, columns.task_status, columns.detail)
        for chunk in rows.chunks({event.event_id for event in incoming}):
            for event_id, *stored in self._connection.execute(query.where(columns.event_id.in_(chunk))):
                self._stored[event_id] = _StoredEvent(*stored)
        named = {event.task_id for event in incoming}
        for task in rows.load_tasks(self._connection, named - self._tasks.keys()):
            self._tasks[task.task_id] = task
        for task_id in named & self._tasks.keys():
            self._tasks.move_to_end(task_id)
        rows.load_steps(self._connection, self._without("steps_loaded", incoming, _OF_STEPS))
        rows.load_interrupts(self._connection, self._without("interrupts_loaded", incoming, _OF_INTERRUPTS))

    def _without(self, part: str, incoming: Sequence[Event], kinds: tuple[type, ...]) -> list[TaskState]:
        """The tasks whose steps or stops are needed and not loaded yet; marks them as loaded."""
        named = {event.task_id for event in incoming if isinstance(event, kinds)}
        lacking = [self._tasks[name] for name in named & self._tasks.keys() if not getattr(self._tasks[name], part)]
        for task in lacking:
            setattr(task, part, True)
        return lacking

    # ── Applying ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _apply(self, event: Event) -> EventOutcome:
        stored = self._stored.get(event.event_id)
        task = self._tasks.get(event.task_id)
        if stored is not None:
            return self._duplicate(event, stored, task)
        try:
            if task is not None:
                control_before = _control(task)
                before = standing(task, self._received) if isinstance(event, _OF_MANY) else None
                transitions.apply(event, task, self._received)
            elif isinstance(event, TaskCreated):
                control_before, before = (False, None, False, False), None
                task = self._create(event)
            else:
                raise UnknownTask(event.task_id)
        except DomainError as error:
            return EventOutcome(event.event_id, EventStatus.REJECTED, error=error)
        self._record(event, task)
        if before is None or before != standing(task, self._received):
            self._moved.add(task.n)
        if control_before != _control(task):
            task.control_seq = self._seq
            task.mark(Change.STANDING)
            self._controls.add(task.task_id)
        return EventOutcome(event.event_id, EventStatus.OK, task.status, interrupt_id=task.stop_id)

    def _create(self, event: TaskCreated) -> TaskState:
        task = transitions.create(event, self._received)
        self._task_n += 1
        task.n = self._task_n
        self._tasks[task.task_id] = task
        self._created.add(task.task_id)
        return task

    def _duplicate(self, event: Event, stored: _StoredEvent, task: TaskState | None) -> EventOutcome:
        kept = json.loads(stored.detail)
        # The stop that a request led to is stored with it, but was not part of it.
        interrupt_id = kept.pop("interrupt_id", None) if isinstance(event, InterruptRequested) else None
        same = task is not None and (task.n, event.kind) == (stored.task_n, stored.kind) and kept == json.loads(event.detail())
        status = TaskStatus(stored.task_status)
        return EventOutcome(event.event_id, EventStatus.DUPLICATE, status, same=same, interrupt_id=interrupt_id)

    def _record(self, event: Event, task: TaskState) -> None:
        self._seq += 1
        task.change_seq = self._seq
        self._touched[task.task_id] = task
        detail = event.detail()
        if isinstance(event, StepStatusChanged):
            step = task.steps[event.step_id]
            self._steps[task.n, step.position] = step
        elif isinstance(event, _OF_INTERRUPTS):
            named = None if isinstance(event, InterruptRequested) else event.interrupt_id
            interrupt = task.interrupts[named or task.stop_id or ""]
            self._interrupts[interrupt.interrupt_id] = (task.n, interrupt)
            if isinstance(event, InterruptRequested):
                detail = json.dumps(json.loads(detail) | {"interrupt_id": interrupt.interrupt_id}, ensure_ascii=False)
                if interrupt.interrupt_id == assigned_id(event.event_id, "interrupt"):
                    self._new_interrupts.add(interrupt.interrupt_id)
        self._events.append((self._seq, event.event_id, task.n, event.kind, event.at, self._received, task.status, detail))
        self._stored[event.event_id] = _StoredEvent(task.n, event.kind, task.status, detail)

    # ── Writing ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _write(self) -> None:
        created = [task for task_id, task in self._touched.items() if task_id in self._created]
        known = [task for task_id, task in self._touched.items() if task_id not in self._created]
        replanned = [task for task in known if task.replanned]
        rows.insert_tasks(self._connection, created)
        rows.update_tasks(self._connection, known)
        rows.replace_steps(self._connection, replanned)
        whole = {task.n for task in (*created, *replanned)}
        rows.update_steps(self._connection, [(n, step) for (n, _), step in self._steps.items() if n not in whole])
        for task in self._touched.values():
            task.change, task.replanned = Change.NOTHING, False
        rows.insert_interrupts(self._connection, [self._interrupts[name] for name in self._new_interrupts])
        requested = self._interrupts.keys() - self._new_interrupts
        rows.update_interrupts(self._connection, [self._interrupts[name][1] for name in requested])
        rows.insert_events(self._connection, self._events)


@dataclass(frozen=True, slots=True)
class _StoredEvent:
    """What the database has of an event that was applied."""

    task_n: int
    kind: str
    task_status: str
    detail: str


def _control(task: TaskState) -> tuple[bool, str | None, bool, bool]:
    """What a task's control says that an event may change."""
    return task.stop_requested, task.stop_id, task.closed is not None, task.attention_ack_ms is not None
