"""Applies events to the stored tasks: the one way in which a task changes.

A group of events is applied as a unit of work: their tasks are loaded once, each event changes them in memory, and the changes
are written back in a few statements, in one transaction. So a batch of a thousand costs little more than one event, and many
callers share a commit. A rejected event changes nothing and does not affect its neighbours.

Tasks that changed lately stay in a cache (:mod:`clawlog_backend.storage.task_cache`). Where this is the only writer (see
:mod:`clawlog_backend.storage.engines.sqlite`), it agrees with the database. Where replicas write, too, a group first locks its
tasks, in the order of their numbers so that no two groups wait for each other, and then believes what it remembers of a task
only where its version is still the same. All is dropped when a transaction fails.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, delete, select

from clawlog_backend.domain import beats, transitions
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
from clawlog_backend.domain.standing import Standing, counted_as
from clawlog_backend.domain.state import Extent, InterruptState, StepState, TaskState, settles_next, standing
from clawlog_backend.domain.times import UtcMs
from clawlog_backend.storage import changes, rows, schema
from clawlog_backend.storage.changes import Change
from clawlog_backend.storage.pipeline import pipelined
from clawlog_backend.storage.rows import StoredEvent
from clawlog_backend.storage.task_cache import TaskCache

_OF_MANY = (Heartbeat, StepStatusChanged)  # what comes often, and mostly says that all goes on as before
_OF_STEPS = (StepStatusChanged, Planned, StepAdded, MetadataChanged)
_PORTION = 250  # events that are applied and then sent: while PostgreSQL writes these, the next are applied
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
class ChangeSet:
    """What came of one transaction.

    Attributes:
        outcomes: One per event, in order.
        change: What it changed; ``None`` where nothing.
    """

    outcomes: tuple[EventOutcome, ...]
    change: Change | None


class TaskStore:
    """Applies events to the stored tasks.

    Args:
        shared: Whether other replicas write to the database, too.

    What it returns is true only once the caller's transaction is committed: then :meth:`committed` has to be called, and
    :meth:`rolled_back` otherwise.
    """

    def __init__(self, *, shared: bool = False) -> None:
        self._shared = shared
        self._cache = TaskCache()

    def apply(self, connection: Connection, incoming: Sequence[Event], received: UtcMs) -> ChangeSet:
        """Apply events in the order given.

        Args:
            connection: In a transaction.
            incoming: The events.
            received: This instant.
        """
        with self._trusted():
            return _UnitOfWork(connection, self._cache, received, shared=self._shared).run(incoming)

    def settle(self, connection: Connection, numbers: Sequence[int], now: UtcMs) -> ChangeSet:
        """Note which of these tasks fell silent or became doubtful since their last event.

        Args:
            connection: In a transaction.
            numbers: The tasks' numbers. All of them count as changed: whether a task is stale depends on the time alone.
            now: This instant.
        """
        with self._trusted():
            return _UnitOfWork(connection, self._cache, now, shared=self._shared).settle(numbers)

    def remove(self, connection: Connection, numbers: Sequence[int], now: UtcMs) -> ChangeSet:
        """Remove tasks, with all that belongs to them.

        Args:
            connection: In a transaction.
            numbers: The tasks' numbers.
            now: This instant.
        """
        counts: Counter[str] = Counter()
        for chunk in rows.chunks(numbers):
            for row in connection.execute(select(schema.tasks).where(schema.tasks.c.n.in_(chunk)).with_for_update()):
                counts[counted_as(row).key] -= 1
                self._cache.forget(row.task_id)
            # Not every engine's history refers to its tasks; all else does.
            connection.execute(delete(schema.events).where(schema.events.c.task_n.in_(chunk)))
            connection.execute(delete(schema.tasks).where(schema.tasks.c.n.in_(chunk)))
        if not counts:
            return ChangeSet((), None)
        return ChangeSet((), changes.append(connection, now, Change(0, counts=counts, removed=True)))

    @contextmanager
    def _trusted(self) -> Iterator[None]:
        # An engine may run the work again: what the run that failed left behind is not what is stored.
        try:
            yield
        except BaseException:
            self._cache.clear()
            raise

    def committed(self) -> None:
        """The transaction was committed."""
        self._cache.trim()

    def rolled_back(self) -> None:
        """The transaction failed: drop the cache, which may be ahead of the database."""
        self._cache.clear()


class _UnitOfWork:
    """One group of events: loads what they need, applies them in memory, writes what changed."""

    def __init__(self, connection: Connection, cache: TaskCache, received: UtcMs, *, shared: bool) -> None:
        self._connection = connection
        self._shared = shared
        self._received = received
        self._tasks = cache
        self._task_n = 0
        self._stored: dict[str, StoredEvent] = {}
        self._events: list[rows.EventRow] = []
        self._first_events: list[rows.EventRow] = []  # of tasks that are not stored yet
        self._touched: dict[str, TaskState] = {}
        self._created: set[str] = set()
        self._steps: dict[tuple[int, int], StepState] = {}
        self._interrupts: dict[str, tuple[int, InterruptState]] = {}
        self._new_interrupts: set[str] = set()
        self._new_events: dict[int, tuple[int, int]] = {}
        self._moved: set[int] = set()
        self._controls: set[str] = set()

    def run(self, incoming: Sequence[Event]) -> ChangeSet:
        details = self._load(incoming)
        outcomes: list[EventOutcome] = []
        with pipelined(self._connection):
            for start in range(0, len(incoming), _PORTION):
                portion = slice(start, start + _PORTION)
                outcomes += map(self._apply, incoming[portion], details[portion])
                rows.insert_events(self._connection, self._events)
                self._events.clear()
            change = self._write()
        return ChangeSet(tuple(outcomes), change and change())

    def settle(self, numbers: Sequence[int]) -> ChangeSet:
        named = rows.names_of(self._connection, numbers)
        self._load_tasks(set(named), rows.lock_tasks(self._connection, named) if self._shared else None)
        for task in (self._tasks[name] for name in named):
            task.settle(self._received)
            self._touched[task.task_id] = task
            self._moved.add(task.n)
        with pipelined(self._connection):
            change = self._write()
        return ChangeSet((), change and change())

    # ── Loading ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _load(self, incoming: Sequence[Event]) -> list[str | None]:
        """Load what events need; returns their details, but not those of heartbeats, most of which are not kept."""
        named = {event.task_id for event in incoming}
        with pipelined(self._connection):
            # Tasks first: once its task is locked, no other replica takes an event that is looked for after that.
            versions = rows.lock_tasks(self._connection, named) if self._shared else None
            found = rows.find_events(self._connection, {event.event_id for event in incoming})
            details = [None if isinstance(event, Heartbeat) else event.detail() for event in incoming]
        self._load_tasks(named, versions)
        self._stored = found()
        unknown = sum(isinstance(event, TaskCreated) and event.task_id not in self._tasks for event in incoming)
        if unknown:
            self._task_n = changes.reserve_task_numbers(self._connection, unknown)
        without_steps = self._without("steps_loaded", incoming, _OF_STEPS)
        rows.load_steps(self._connection, without_steps)
        without_stops = self._without("interrupts_loaded", incoming, _OF_INTERRUPTS)
        rows.load_interrupts(self._connection, without_stops)
        for task in (*without_steps, *without_stops):
            self._tasks.weigh(task)
        return details

    def _load_tasks(self, named: set[str], locked: Callable[[], dict[str, int]] | None) -> None:
        if locked is not None:
            versions = locked()
            for task_id in named:
                if task_id in self._tasks and self._tasks[task_id].version != versions.get(task_id):
                    self._tasks.forget(task_id)
        for task in rows.load_tasks(self._connection, self._tasks.lacking(named)):
            self._tasks.add(task)
        self._tasks.use(named)

    def _without(self, part: str, incoming: Sequence[Event], kinds: tuple[type, ...]) -> list[TaskState]:
        """The tasks whose steps or stops are needed and not loaded yet; marks them as loaded."""
        named = {event.task_id for event in incoming if isinstance(event, kinds)}
        lacking = [task for task in self._tasks.among(named) if not getattr(task, part)]
        for task in lacking:
            setattr(task, part, True)
        return lacking

    # ── Applying ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _apply(self, event: Event, detail: str | None) -> EventOutcome:
        stored = self._stored.get(event.event_id)
        task = self._tasks.get(event.task_id)
        if stored is not None:
            return self._duplicate(event, stored, task)
        if task is not None and task.beat_event_id == event.event_id:
            same = isinstance(event, Heartbeat) and beats.is_repeat(event, task)
            return EventOutcome(event.event_id, EventStatus.DUPLICATE, task.status, same=same)
        kept: dict[str, Any] | None = {}
        try:
            if task is not None:
                control_before = _control(task)
                before = standing(task, self._received) if isinstance(event, _OF_MANY) else None
                if isinstance(event, Heartbeat):
                    kept = beats.keep(event, task, self._received)
                transitions.apply(event, task, self._received)
            elif isinstance(event, TaskCreated):
                control_before, before = (False, None, False, False), None
                task = self._create(event)
            else:
                raise UnknownTask(event.task_id)
        except DomainError as error:
            return EventOutcome(event.event_id, EventStatus.REJECTED, error=error)
        self._touched[task.task_id] = task
        if kept is not None:
            self._record(event, task, kept, detail or event.detail())
        if before is None or before != standing(task, self._received):
            self._moved.add(task.n)
        if control_before != _control(task):
            self._controls.add(task.task_id)
        return EventOutcome(event.event_id, EventStatus.OK, task.status, interrupt_id=task.stop_id)

    def _create(self, event: TaskCreated) -> TaskState:
        task = transitions.create(event, self._received)
        self._task_n += 1
        task.n = self._task_n
        self._tasks.add(task)
        self._created.add(task.task_id)
        return task

    def _duplicate(self, event: Event, stored: StoredEvent, task: TaskState | None) -> EventOutcome:
        kept = json.loads(stored.detail)
        # What the backend added to it was not part of it.
        interrupt_id = kept.pop("interrupt_id", None) if isinstance(event, InterruptRequested) else None
        if isinstance(event, Heartbeat):
            for name in beats.ADDED:
                kept.pop(name, None)
        same = task is not None and (task.n, event.kind) == (stored.task_n, stored.kind) and kept == json.loads(event.detail())
        status = TaskStatus(stored.task_status)
        return EventOutcome(event.event_id, EventStatus.DUPLICATE, status, same=same, interrupt_id=interrupt_id)

    def _record(self, event: Event, task: TaskState, more: dict[str, Any], detail: str) -> None:
        task.last_seq += 1
        first, _ = self._new_events.get(task.n, (task.last_seq, 0))
        self._new_events[task.n] = (first, task.last_seq)
        if isinstance(event, Heartbeat):
            task.kept_ms, task.beats = self._received, 0
            detail = _with(detail, more)
        elif isinstance(event, StepStatusChanged):
            step = task.steps[event.step_id]
            self._steps[task.n, step.position] = step
        elif isinstance(event, _OF_INTERRUPTS):
            named = None if isinstance(event, InterruptRequested) else event.interrupt_id
            interrupt = task.interrupts[named or task.stop_id or ""]
            self._interrupts[interrupt.interrupt_id] = (task.n, interrupt)
            if isinstance(event, InterruptRequested):
                detail = _with(detail, {"interrupt_id": interrupt.interrupt_id})
                if interrupt.interrupt_id == assigned_id(event.event_id, "interrupt"):
                    self._new_interrupts.add(interrupt.interrupt_id)
        row = (task.n, task.last_seq, event.event_id, event.kind, event.at, self._received, task.status, detail)
        (self._first_events if task.task_id in self._created else self._events).append(row)
        self._stored[event.event_id] = StoredEvent(task.n, event.kind, task.status, detail)
        self._tasks.grow(task, detail)

    # ── Writing ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _write(self) -> Callable[[], Change] | None:
        """Write what changed; returns what gives the change, in a pipeline once it has ended."""
        if not self._touched:
            return None
        for task in self._touched.values():
            task.version += 1
        created = [task for task_id, task in self._touched.items() if task_id in self._created]
        known = [task for task_id, task in self._touched.items() if task_id not in self._created]
        known.sort(key=lambda task: task.n)  # neighbours on disk one after the other
        replanned = [task for task in known if task.replanned]
        rows.insert_tasks(self._connection, created)
        rows.update_tasks(self._connection, known)
        rows.replace_steps(self._connection, replanned)
        whole = {task.n for task in (*created, *replanned)}
        rows.update_steps(self._connection, [(n, step) for (n, _), step in self._steps.items() if n not in whole])
        counts = self._counts()
        reworded = frozenset(task.n for task in self._touched.values() if task.reworded)
        for task in self._touched.values():
            task.change, task.replanned, task.reworded, task.beaten = Extent.NOTHING, False, False, False
        rows.insert_interrupts(self._connection, [self._interrupts[name] for name in self._new_interrupts])
        requested = self._interrupts.keys() - self._new_interrupts
        rows.update_interrupts(self._connection, [self._interrupts[name][1] for name in requested])
        rows.insert_events(self._connection, self._first_events)
        change = Change(
            seq=0,
            tasks=tuple(task.n for task in self._touched.values()),
            moved=frozenset(self._moved),
            controls=frozenset(self._controls),
            counts=counts,
            events=self._new_events,
            reworded=reworded,
            settles={task.n: settles_next(task, self._received) for task in self._touched.values()},
        )
        return changes.send(self._connection, self._received, change)

    def _counts(self) -> dict[str, int]:
        """By how much the number of tasks of each standing grew or shrank."""
        counts: Counter[str] = Counter()
        for task in self._touched.values():
            if task.change < Extent.STANDING:
                continue
            before, after = task.counted, counted_as(task)
            if before != after:
                counts[after.key] += 1
                if before is not None:
                    counts[Standing(*before).key] -= 1
                task.counted = after
        return {key: number for key, number in counts.items() if number}


def _control(task: TaskState) -> tuple[bool, str | None, bool, bool]:
    """What a task's control says that an event may change."""
    return task.stop_requested, task.stop_id, task.closed is not None, task.attention_ack_ms is not None


def _with(detail: str, more: dict[str, Any]) -> str:
    """An event's details, a JSON object, with what the backend adds to them under names that an event does not use."""
    added = json.dumps(more, ensure_ascii=False, separators=(",", ":"))
    return added if detail == "{}" else detail[:-1] + "," + added[1:]
