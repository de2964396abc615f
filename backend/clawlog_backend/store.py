"""Applies events to what is stored: the one way in which a task changes.

A group of events is applied as a unit of work: the tasks it speaks of are loaded once, each event changes them in memory, and
what changed is written back in a few statements, in one transaction. So a batch of a thousand costs little more than one event,
and many callers share a commit. A refused event changes nothing and harms no neighbour.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

from sqlalchemy import Column, Connection, Row, Table, bindparam, func, insert, select, update

from clawlog_backend import schema, transitions
from clawlog_backend.events import (
    Event,
    InterruptAcknowledged,
    InterruptDelivered,
    InterruptRequested,
    InterruptSeen,
    StepStatusChanged,
    TaskCreated,
)
from clawlog_backend.fields import Evidence, StepStatus, TaskStatus
from clawlog_backend.problems import Problem, unknown
from clawlog_backend.state import StepState, StopState, TaskState
from clawlog_backend.times import UtcMs

_CHUNK = 1_000  # values per IN list


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
    position: "Position"


@dataclass(frozen=True, slots=True)
class Position:
    """Where the store stands: what the next numbers are counted from."""

    store_id: str
    seq: int
    floor_seq: int
    task_n: int


def position(connection: Connection) -> Position:
    """Where the store stands. Numbers never come back, even after what bore them was removed."""
    info = connection.execute(select(schema.database)).one()
    last_event = connection.execute(select(func.max(schema.events.c.seq))).scalar() or 0
    last_change, last_n = connection.execute(select(func.max(schema.tasks.c.change_seq), func.max(schema.tasks.c.n))).one()
    seq = max(info.floor_seq, last_event, last_change or 0)
    return Position(info.store_id, seq, info.floor_seq, last_n or 0)


def apply_events(connection: Connection, start: Position, incoming: Sequence[Event], received: UtcMs) -> Applied:
    """Apply events in the order given, in the caller's transaction.

    Args:
        connection: In a transaction.
        start: Where the store stands.
        incoming: The events.
        received: This instant.
    """
    return _UnitOfWork(connection, start, received).run(incoming)


class _UnitOfWork:
    def __init__(self, connection: Connection, start: Position, received: UtcMs) -> None:
        self._connection = connection
        self._received = received
        self._start = start
        self._seq = start.seq
        self._next_n = start.task_n + 1
        self._tasks: dict[str, TaskState] = {}
        self._known_before: set[str] = set()
        self._stored: dict[str, _Stored] = {}
        self._new_events: list[dict[str, Any]] = []
        self._touched: dict[str, TaskState] = {}
        self._steps: dict[tuple[int, int], tuple[int, StepState]] = {}
        self._stops: dict[str, tuple[int, StopState]] = {}
        self._controls: set[str] = set()

    def run(self, incoming: Sequence[Event]) -> Applied:
        self._load(incoming)
        outcomes = tuple(self._one(event) for event in incoming)
        self._write()
        changed = {task_id: task.n for task_id, task in self._touched.items()}
        after = replace(self._start, seq=self._seq, task_n=self._next_n - 1)
        return Applied(outcomes, changed, frozenset(self._controls), after)

    # ── Loading ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _load(self, incoming: Sequence[Event]) -> None:
        events, tasks = schema.events, schema.tasks
        for chunk in _chunks({event.event_id for event in incoming}):
            for row in self._connection.execute(select(events).where(events.c.event_id.in_(chunk))):
                self._stored[row.event_id] = _Stored(row.task_n, row.kind, TaskStatus(row.task_status), row.detail)
        for chunk in _chunks({event.task_id for event in incoming}):
            for row in self._connection.execute(select(tasks).where(tasks.c.task_id.in_(chunk))):
                self._tasks[row.task_id] = _task_from(row)
        self._known_before = set(self._tasks)
        self._load_parts(incoming)

    def _load_parts(self, incoming: Sequence[Event]) -> None:
        steps, interrupts = schema.steps, schema.interrupts
        by_n = {task.n: task for task in self._tasks.values()}
        for chunk in _chunks(self._numbers(incoming, (StepStatusChanged,))):
            for row in self._connection.execute(select(steps).where(steps.c.task_n.in_(chunk))):
                by_n[row.task_n].steps[row.step_id] = _step_from(row)
        with_stops = (InterruptRequested, InterruptSeen, InterruptDelivered, InterruptAcknowledged)
        for chunk in _chunks(self._numbers(incoming, with_stops)):
            for row in self._connection.execute(select(interrupts).where(interrupts.c.task_n.in_(chunk))):
                by_n[row.task_n].stops[row.interrupt_id] = _stop_from(row)

    def _numbers(self, incoming: Sequence[Event], kinds: tuple[type, ...]) -> set[int]:
        named = {event.task_id for event in incoming if isinstance(event, kinds)}
        return {self._tasks[task_id].n for task_id in named if task_id in self._tasks}

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
                task = transitions.create(event, self._received)
                task.n, self._next_n = self._next_n, self._next_n + 1
                self._tasks[task.task_id] = task
                stop_before = (False, None)
            else:
                raise unknown("task", event.task_id)
        except Problem as problem:
            return Outcome(event.event_id, Result.REJECTED, problem=problem)
        self._record(event, task)
        if stop_before != (task.stop_requested, task.stop_id):
            task.control_seq = self._seq
            self._controls.add(task.task_id)
        return Outcome(event.event_id, Result.OK, task.status, interrupt_id=task.stop_id)

    def _repeated(self, event: Event, stored: "_Stored", task: TaskState | None) -> Outcome:
        same = (
            task is not None
            and task.n == stored.task_n
            and event.kind == stored.kind
            and _without_answer(json.loads(stored.detail)) == event.detail()
        )
        interrupt_id = json.loads(stored.detail).get("interrupt_id")
        return Outcome(event.event_id, Result.DUPLICATE, stored.task_status, same=same, interrupt_id=interrupt_id)

    def _record(self, event: Event, task: TaskState) -> None:
        self._seq += 1
        task.change_seq = self._seq
        self._touched[task.task_id] = task
        self._note_parts(event, task)
        detail = event.detail()
        if isinstance(event, InterruptRequested):
            detail["interrupt_id"] = task.stop_id
        text = json.dumps(detail, ensure_ascii=False, separators=(",", ":"))
        self._new_events.append({
            "seq": self._seq,
            "event_id": event.event_id,
            "task_n": task.n,
            "kind": event.kind,
            "at_ms": event.at,
            "received_ms": self._received,
            "task_status": task.status,
            "detail": text,
        })  # fmt: skip
        self._stored[event.event_id] = _Stored(task.n, event.kind, task.status, text)

    def _note_parts(self, event: Event, task: TaskState) -> None:
        match event:
            case StepStatusChanged():
                step = task.steps[event.step_id]
                self._steps[task.n, step.position] = (task.n, step)
            case InterruptRequested() | InterruptSeen() | InterruptDelivered() | InterruptAcknowledged():
                named = None if isinstance(event, InterruptRequested) else event.interrupt_id
                stop = task.stops[named or task.stop_id or ""]
                self._stops[stop.interrupt_id] = (task.n, stop)

    # ── Writing ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _write(self) -> None:
        created = [task for task in self._touched.values() if task.task_id not in self._known_before]
        changed = [task for task in self._touched.values() if task.task_id in self._known_before]
        new = {task.n for task in created}
        self._insert(schema.tasks, [_task_row(task) for task in created])
        self._insert(schema.steps, [_step_row(task.n, step) for task in created for step in task.steps.values()])
        self._insert(schema.events, self._new_events)
        if changed:
            self._connection.execute(_UPDATE_TASK, [_task_row(task, "b_") for task in changed])
        old_steps = [(n, step) for n, step in self._steps.values() if n not in new]
        if old_steps:
            self._connection.execute(_UPDATE_STEP, [_step_row(n, step, "b_") for n, step in old_steps])
        known = self._stops_on_disk()
        self._insert(schema.interrupts, [_stop_row(n, s) for n, s in self._stops.values() if s.interrupt_id not in known])
        receipts = [_stop_row(n, stop, "b_") for n, stop in self._stops.values() if stop.interrupt_id in known]
        if receipts:
            self._connection.execute(_UPDATE_STOP, receipts)

    def _stops_on_disk(self) -> set[str]:
        column = schema.interrupts.c.interrupt_id
        found: set[str] = set()
        for chunk in _chunks(set(self._stops)):
            found.update(self._connection.execute(select(column).where(column.in_(chunk))).scalars())
        return found

    def _insert(self, table: Table, rows: list[dict[str, Any]]) -> None:
        if rows:
            self._connection.execute(insert(table), rows)


@dataclass(frozen=True, slots=True)
class _Stored:
    task_n: int
    kind: str
    task_status: TaskStatus
    detail: str


def _without_answer(detail: dict[str, Any]) -> dict[str, Any]:
    # The id of the stop that a request led to is kept with the request, but was not part of it.
    return {key: value for key, value in detail.items() if key != "interrupt_id" or "mode" not in detail}


def _chunks(values: Iterable[Any]) -> Iterator[list[Any]]:
    every = list(values)
    for start in range(0, len(every), _CHUNK):
        yield every[start : start + _CHUNK]


def _updating(table: Table, keys: tuple[Column[Any], ...], columns: Iterable[str]) -> Any:
    statement = update(table).values({name: bindparam(f"b_{name}") for name in columns})
    for key in keys:
        statement = statement.where(key == bindparam(f"b_{key.name}"))
    return statement


_TASK_COLUMNS = tuple(column.name for column in schema.tasks.columns)
_TASK_FIXED = {"n", "task_id", "title", "metadata", "created_ms", "received_ms", "steps_total"}
_UPDATE_TASK = _updating(schema.tasks, (schema.tasks.c.n,), [name for name in _TASK_COLUMNS if name not in _TASK_FIXED])
_UPDATE_STEP = _updating(
    schema.steps, (schema.steps.c.task_n, schema.steps.c.position), ("status", "summary", "started_ms", "ended_ms")
)
_UPDATE_STOP = _updating(
    schema.interrupts,
    (schema.interrupts.c.interrupt_id,),
    ("seen_ms", "delivered_ms", "acknowledged_ms", "ack_summary"),
)
_STEP_FIELDS = tuple(field.name for field in fields(StepState))
_STOP_FIELDS = tuple(field.name for field in fields(StopState))


def _task_row(task: TaskState, prefix: str = "") -> dict[str, Any]:
    return {prefix + name: getattr(task, name) for name in _TASK_COLUMNS}


def _step_row(task_n: int, step: StepState, prefix: str = "") -> dict[str, Any]:
    return {prefix + "task_n": task_n} | {prefix + name: getattr(step, name) for name in _STEP_FIELDS}


def _stop_row(task_n: int, stop: StopState, prefix: str = "") -> dict[str, Any]:
    return {prefix + "task_n": task_n} | {prefix + name: getattr(stop, name) for name in _STOP_FIELDS}


def _task_from(row: Row[Any]) -> TaskState:
    task = TaskState(**row._mapping)  # noqa: SLF001 -- SQLAlchemy's documented name for a row by column
    task.status = TaskStatus(task.status)
    task.reported = None if task.reported is None else TaskStatus(task.reported)
    task.evidence = None if task.evidence is None else Evidence(task.evidence)
    return task


def _step_from(row: Row[Any]) -> StepState:
    step = StepState(**{name: getattr(row, name) for name in _STEP_FIELDS})
    step.status = StepStatus(step.status)
    return step


def _stop_from(row: Row[Any]) -> StopState:
    return StopState(**{name: getattr(row, name) for name in _STOP_FIELDS})
