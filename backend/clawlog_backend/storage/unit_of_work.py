"""Applies events to what is stored: the one way in which a task changes.

A group of events is applied as a unit of work: the tasks it speaks of are loaded once, each event changes them in memory, and
what changed is written back in a few statements, in one transaction. So a batch of a thousand costs little more than one event,
and many callers share a commit. A refused event changes nothing and harms no neighbour.

Tasks that changed lately stay in memory. That is sound because this is the only writer (see
:mod:`clawlog_backend.storage.engines.sqlite`): what it remembers is what is stored, and when a
transaction fails it forgets everything.
"""

import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from sqlalchemy import Connection, func, select, update

from clawlog_backend.domain import transitions
from clawlog_backend.domain.events import (
    Event,
    InterruptAcknowledged,
    InterruptDelivered,
    InterruptRequested,
    InterruptSeen,
    StepStatusChanged,
    TaskCreated,
    assigned_id,
)
from clawlog_backend.domain.fields import TaskStatus
from clawlog_backend.domain.state import StepState, StopState, TaskState
from clawlog_backend.domain.times import UtcMs
from clawlog_backend.http.problems import Problem, unknown
from clawlog_backend.storage import rows, schema

_REMEMBERED_TASKS = 10_000  # about 2 kB each, with five steps

_OF_STEPS = (StepStatusChanged,)
_OF_STOPS = (InterruptRequested, InterruptSeen, InterruptDelivered, InterruptAcknowledged)


class Result(StrEnum):
    """What became of an event."""

    OK = "ok"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one event.

    Attributes:
        task_status: Where its task stood right after it, also when that was some time ago (a duplicate).
        problem: Why it was rejected.
        same: Of a duplicate: it says the same as the event that was applied under this id, the time aside.
        interrupt_id: The stop that it asked for, or found open.
    """

    event_id: str
    result: Result
    task_status: TaskStatus | None = None
    problem: Problem | None = None
    same: bool = True
    interrupt_id: str | None = None


@dataclass(frozen=True, slots=True)
class Position:
    """Where the store stands: what the next numbers are counted from.

    Attributes:
        store_id: Tells this database from every other one.
        seq: The number of the last event that was applied, ever.
        floor_seq: Changes up to here can no longer be told one by one.
        task_n: The number of the last task.
    """

    store_id: str
    seq: int
    floor_seq: int
    task_n: int


@dataclass(frozen=True, slots=True)
class Applied:
    """What a group of events changed.

    Attributes:
        outcomes: One per event, in order.
        changed: The numbers of the tasks that changed, by their ids.
        controls: The ids of the tasks that are now to stop, or no longer.
        position: Where the store stands after it.
    """

    outcomes: tuple[Outcome, ...]
    changed: dict[str, int]
    controls: frozenset[str]
    position: Position


@dataclass(frozen=True, slots=True)
class Removed:
    """How many tasks were removed, and where the store stands after it."""

    number: int
    position: Position


class Store:
    """Applies events, and knows where the store stands.

    Everything here runs in somebody else's transaction, so whoever commits it says so afterwards: :meth:`committed` or
    :meth:`forget`.

    Attributes:
        position: Where the store stands, as of the last transaction that was committed.
    """

    def __init__(self) -> None:
        self.position = Position("", 0, 0, 0)
        self._remembered: OrderedDict[str, TaskState] = OrderedDict()

    def find_position(self, connection: Connection) -> Position:
        """Where the store stands, by what is in it. Numbers never come back, even after what bore them was removed."""
        info = connection.execute(select(schema.database)).one()
        last_event = connection.execute(select(func.max(schema.events.c.seq))).scalar() or 0
        newest = select(func.max(schema.tasks.c.change_seq), func.max(schema.tasks.c.n))
        last_change, last_n = connection.execute(newest).one()
        return Position(info.store_id, max(info.floor_seq, last_event, last_change or 0), info.floor_seq, last_n or 0)

    def apply(self, connection: Connection, incoming: Sequence[Event], received: UtcMs) -> Applied:
        """Apply events in the order given.

        Args:
            connection: In a transaction.
            incoming: The events.
            received: This instant.
        """
        return _UnitOfWork(connection, self._remembered, self.position, received).run(incoming)

    def remove(self, connection: Connection, work: Callable[[Connection], int]) -> Removed:
        """Remove tasks. Whoever knew of changes up to now has to load anew: this cannot be told as a change.

        Args:
            connection: In a transaction.
            work: Removes them, and returns how many.
        """
        number = work(connection)
        if not number:
            return Removed(0, self.position)
        connection.execute(update(schema.database).values(floor_seq=self.position.seq))
        return Removed(number, replace(self.position, floor_seq=self.position.seq))

    def committed(self, change: Applied | Removed) -> None:
        """The transaction is on disk."""
        self.position = change.position
        if isinstance(change, Removed):
            self._remembered.clear()
        while len(self._remembered) > _REMEMBERED_TASKS:
            self._remembered.popitem(last=False)

    def forget(self) -> None:
        """The transaction failed: what is in memory may be ahead of what is stored."""
        self._remembered.clear()


class _UnitOfWork:
    """One group of events: loads what they need, applies them in memory, writes what changed."""

    def __init__(
        self, connection: Connection, remembered: OrderedDict[str, TaskState], start: Position, received: UtcMs
    ) -> None:
        self._connection = connection
        self._received = received
        self._tasks = remembered
        self._start = start
        self._seq = start.seq
        self._task_n = start.task_n
        self._stored: dict[str, _Stored] = {}
        self._events: list[rows.EventRow] = []
        self._touched: dict[str, TaskState] = {}
        self._created: set[str] = set()
        self._steps: dict[tuple[int, int], StepState] = {}
        self._stops: dict[str, tuple[int, StopState]] = {}
        self._new_stops: set[str] = set()
        self._controls: set[str] = set()

    def run(self, incoming: Sequence[Event]) -> Applied:
        self._load(incoming)
        outcomes = tuple(map(self._one, incoming))
        self._write()
        changed = {task_id: task.n for task_id, task in self._touched.items()}
        after = replace(self._start, seq=self._seq, task_n=self._task_n)
        return Applied(outcomes, changed, frozenset(self._controls), after)

    # ── Loading ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _load(self, incoming: Sequence[Event]) -> None:
        columns = schema.events.c
        query = select(columns.event_id, columns.task_n, columns.kind, columns.task_status, columns.detail)
        for chunk in rows.chunks({event.event_id for event in incoming}):
            for event_id, *kept in self._connection.execute(query.where(columns.event_id.in_(chunk))):
                self._stored[event_id] = _Stored(*kept)
        named = {event.task_id for event in incoming}
        for task in rows.load_tasks(self._connection, named - self._tasks.keys()):
            self._tasks[task.task_id] = task
        for task_id in named & self._tasks.keys():
            self._tasks.move_to_end(task_id)
        rows.load_steps(self._connection, self._lacking("steps_loaded", incoming, _OF_STEPS))
        rows.load_stops(self._connection, self._lacking("stops_loaded", incoming, _OF_STOPS))

    def _lacking(self, part: str, incoming: Sequence[Event], kinds: tuple[type, ...]) -> list[TaskState]:
        """The tasks whose steps or stops are needed, and from now on loaded."""
        named = {event.task_id for event in incoming if isinstance(event, kinds)}
        lacking = [self._tasks[name] for name in named & self._tasks.keys() if not getattr(self._tasks[name], part)]
        for task in lacking:
            setattr(task, part, True)
        return lacking

    # ── Applying ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _one(self, event: Event) -> Outcome:
        stored = self._stored.get(event.event_id)
        task = self._tasks.get(event.task_id)
        if stored is not None:
            return self._repeated(event, stored, task)
        try:
            if task is not None:
                stop_before = (task.stop_requested, task.stop_id)
                transitions.apply(event, task, self._received)
            elif isinstance(event, TaskCreated):
                stop_before = (False, None)
                task = self._create(event)
            else:
                raise unknown("task", event.task_id)
        except Problem as problem:
            return Outcome(event.event_id, Result.REJECTED, problem=problem)
        self._record(event, task)
        if stop_before != (task.stop_requested, task.stop_id):
            task.control_seq = self._seq
            self._controls.add(task.task_id)
        return Outcome(event.event_id, Result.OK, task.status, interrupt_id=task.stop_id)

    def _create(self, event: TaskCreated) -> TaskState:
        task = transitions.create(event, self._received)
        self._task_n += 1
        task.n = self._task_n
        self._tasks[task.task_id] = task
        self._created.add(task.task_id)
        return task

    def _repeated(self, event: Event, stored: "_Stored", task: TaskState | None) -> Outcome:
        kept = json.loads(stored.detail)
        # The stop that a request led to is kept with it, but was not part of it.
        interrupt_id = kept.pop("interrupt_id", None) if isinstance(event, InterruptRequested) else None
        same = task is not None and (task.n, event.kind) == (stored.task_n, stored.kind) and kept == json.loads(event.detail())
        status = TaskStatus(stored.task_status)
        return Outcome(event.event_id, Result.DUPLICATE, status, same=same, interrupt_id=interrupt_id)

    def _record(self, event: Event, task: TaskState) -> None:
        self._seq += 1
        task.change_seq = self._seq
        self._touched[task.task_id] = task
        detail = event.detail()
        if isinstance(event, StepStatusChanged):
            step = task.steps[event.step_id]
            self._steps[task.n, step.position] = step
        elif isinstance(event, _OF_STOPS):
            named = None if isinstance(event, InterruptRequested) else event.interrupt_id
            stop = task.stops[named or task.stop_id or ""]
            self._stops[stop.interrupt_id] = (task.n, stop)
            if isinstance(event, InterruptRequested):
                detail = json.dumps(json.loads(detail) | {"interrupt_id": stop.interrupt_id}, ensure_ascii=False)
                if stop.interrupt_id == assigned_id(event.event_id, "interrupt"):
                    self._new_stops.add(stop.interrupt_id)
        self._events.append((self._seq, event.event_id, task.n, event.kind, event.at, self._received, task.status, detail))
        self._stored[event.event_id] = _Stored(task.n, event.kind, task.status, detail)

    # ── Writing ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _write(self) -> None:
        created = [task for task_id, task in self._touched.items() if task_id in self._created]
        rows.insert_tasks(self._connection, created)
        rows.update_tasks(self._connection, [task for task_id, task in self._touched.items() if task_id not in self._created])
        new = {task.n for task in created}
        rows.update_steps(self._connection, [(n, step) for (n, _), step in self._steps.items() if n not in new])
        rows.insert_stops(self._connection, [self._stops[name] for name in self._new_stops])
        rows.update_stops(self._connection, [stop for name, (_, stop) in self._stops.items() if name not in self._new_stops])
        rows.insert_events(self._connection, self._events)


@dataclass(frozen=True, slots=True)
class _Stored:
    """What is kept of an event that was applied."""

    task_n: int
    kind: str
    task_status: str
    detail: str
