"""Between rows and state: reads rows into objects, and writes many objects in one statement.

The statements are SQLAlchemy's, compiled once for the database at hand and run with plain tuples: for each of thousands of rows
that is several times faster than binding parameters by name.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Dialect,
    Integer,
    Row,
    Table,
    bindparam,
    delete,
    insert,
    literal_column,
    select,
    update,
)
from sqlalchemy.sql.dml import Delete, Insert, Update

from clawlog_backend.domain.fields import AttentionReason, Evidence, StepStatus, TaskStatus
from clawlog_backend.domain.standing import counted_as
from clawlog_backend.domain.state import Extent, InterruptState, StepState, TaskState
from clawlog_backend.storage import bulk, schema
from clawlog_backend.storage.bulk import among

V = TypeVar("V")

_CHUNK = 1_000  # values per IN list
_TASK_COLUMNS = tuple(column.name for column in schema.tasks.columns)
_TASK_FIXED = frozenset({"n", "task_id", "created_ms", "received_ms", "parent_id", "reversed_id"})
_LIVENESS = tuple(column.name for column in schema.liveness.columns if column.name != "task_n")
_SIGNS_OF_REPORTS = ("version", "agent_seen_ms", "sign_ms", "stalled", "measure", "last_seq")
_REPORT = ("summary", "updated_ms", "steps_done", "steps_failed", "steps_started")
_STANDING = (
    *_REPORT, "status", "reported", "ended_ms", "stop_id", "stop_open", "lost", "lost_reason", "no_signal_since", "doubtful",
)  # fmt: skip
# A column that an UPDATE names costs all its indexes, changed or not: so what seldom changes is left out where it did not.
_CHANGING = {
    Extent.REPORT: _REPORT,
    Extent.STANDING: _STANDING,
    Extent.FACTS: tuple(name for name in _TASK_COLUMNS if name not in _TASK_FIXED),
}
_PLACE = literal_column("events.rowid", Integer)
_STEP_FIELDS = tuple(field.name for field in fields(StepState))
_STEP_CHANGING = ("status", "summary", "started_ms", "ended_ms", "measure")
_INTERRUPT_FIELDS = tuple(field.name for field in fields(InterruptState))
_INTERRUPT_CHANGING = ("seen_ms", "delivered_ms", "acknowledged_ms", "ack_summary")
_EVENT_COLUMNS = tuple(column.name for column in schema.events.columns)


class StoredEvent(NamedTuple):
    """What the database has of an event that was applied."""

    task_n: int
    kind: str
    task_status: str
    detail: str


EventRow = tuple[int, int, str, str, int, int, str, str]
"""A row of ``events``, in the order of its columns."""


def chunks(values: Iterable[V]) -> Iterator[list[V]]:
    """Values in portions that fit into one IN list."""
    every = list(values)
    for start in range(0, len(every), _CHUNK):
        yield every[start : start + _CHUNK]


# ── Reading ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def load_tasks(connection: Connection, task_ids: Iterable[str]) -> Iterator[TaskState]:
    """The tasks with these ids, without their steps and stops."""
    for chunk in chunks(task_ids):
        yield from map(_task, connection.execute(_TASKS.where(among(connection, schema.tasks.c.task_id, chunk))))


def names_of(connection: Connection, numbers: Iterable[int]) -> list[str]:
    """The ids of the tasks with these numbers."""
    column = schema.tasks.c
    found = (select(column.task_id).where(among(connection, column.n, chunk)) for chunk in chunks(numbers))
    return [name for query in found for name in connection.execute(query).scalars()]


def lock_tasks(connection: Connection, task_ids: Collection[str]) -> Callable[[], dict[str, int]]:
    """Keep other replicas from these tasks until the transaction ends.

    Returns:
        What gives the version of each that there is: in a pipeline, once it has ended.
    """
    # A group is bounded, so that one statement does: over several, two groups could come to wait for each other.
    locked = bulk.lock_tasks(connection, task_ids)
    return lambda: dict(locked.rows())


def find_events(connection: Connection, event_ids: Collection[str]) -> Callable[[], dict[str, StoredEvent]]:
    """Look for events that were stored.

    Returns:
        What gives those that were, by their ids: in a pipeline, once it has ended.
    """
    if connection.dialect.name == "postgresql":
        sent = bulk.find_events(connection, event_ids)
        return lambda: {event_id: StoredEvent(*rest) for event_id, *rest in sent.rows()}
    queries = (_FOUND_EVENT.where(schema.events.c.event_id.in_(chunk)) for chunk in chunks(event_ids))
    return lambda: {event_id: StoredEvent(*rest) for query in queries for event_id, *rest in connection.execute(query)}


def load_steps(connection: Connection, tasks: Iterable[TaskState]) -> None:
    """Give tasks their steps."""
    by_n = {task.n: task for task in tasks}
    for chunk in chunks(by_n):
        for row in connection.execute(_STEPS_IN_ORDER.where(among(connection, schema.steps.c.task_n, chunk))):
            step = StepState(**{name: getattr(row, name) for name in _STEP_FIELDS})
            step.status = StepStatus(step.status)
            by_n[row.task_n].steps[step.step_id] = step


def load_interrupts(connection: Connection, tasks: Iterable[TaskState]) -> None:
    """Give tasks their stops."""
    by_n = {task.n: task for task in tasks}
    for chunk in chunks(by_n):
        for row in connection.execute(select(schema.interrupts).where(among(connection, schema.interrupts.c.task_n, chunk))):
            interrupt = InterruptState(**{name: getattr(row, name) for name in _INTERRUPT_FIELDS})
            by_n[row.task_n].interrupts[interrupt.interrupt_id] = interrupt


def _task(row: Row[Any]) -> TaskState:
    task = TaskState(**row._mapping)  # noqa: SLF001 - SQLAlchemy's documented name for a row by column
    task.status = TaskStatus(task.status)
    task.reported = None if task.reported is None else TaskStatus(task.reported)
    task.evidence = None if task.evidence is None else Evidence(task.evidence)
    task.attention = None if task.attention is None else AttentionReason(task.attention)
    task.counted = counted_as(task)
    return task


# ── Writing ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def insert_tasks(connection: Connection, tasks: Sequence[TaskState]) -> None:
    """Store new tasks, and their steps."""
    run_many(connection, _INSERT_TASK, _TASK_COLUMNS, [_task_values(task) for task in tasks])
    run_many(connection, _INSERT_LIVENESS, (*_LIVENESS, "task_n"), [_liveness_values(task) for task in tasks])
    _insert_steps(connection, tasks)


def update_tasks(connection: Connection, tasks: Sequence[TaskState]) -> None:
    """Store what changed of tasks, as far as each says that it did."""
    for change, names in _CHANGING.items():
        rows = [_TASK_CHANGES[change](task) for task in tasks if task.change is change]
        run_many(connection, _UPDATE_TASK[change], (*names, "key_n"), rows)
    beaten = [_liveness_values(task) for task in tasks if task.beaten]
    run_many(connection, _UPDATE_LIVENESS, (*_LIVENESS, "key_task_n"), beaten)
    others = [_signs_of_reports(task) for task in tasks if not task.beaten]
    run_many(connection, _UPDATE_SIGNS_OF_REPORTS, (*_SIGNS_OF_REPORTS, "key_task_n"), others)


def replace_steps(connection: Connection, tasks: Sequence[TaskState]) -> None:
    """Store the steps of tasks anew, as a whole: their places may all have changed."""
    run_many(connection, _DELETE_STEPS, ("key_task_n",), [(task.n,) for task in tasks])
    _insert_steps(connection, tasks)


def _insert_steps(connection: Connection, tasks: Sequence[TaskState]) -> None:
    steps = [(task.n, *_step_values(step)) for task in tasks for step in task.steps.values()]
    run_many(connection, _INSERT_STEP, ("task_n", *_STEP_FIELDS), steps)


def update_steps(connection: Connection, steps: Iterable[tuple[int, StepState]]) -> None:
    """Store what changed of steps; each comes with its task's number."""
    rows = [(*_step_changes(step), task_n) for task_n, step in steps]
    run_many(connection, _UPDATE_STEP, (*_STEP_CHANGING, "key_position", "key_task_n"), rows)


def insert_interrupts(connection: Connection, interrupts: Iterable[tuple[int, InterruptState]]) -> None:
    """Store new stops; each comes with its task's number."""
    rows = [(*_interrupt_values(interrupt), task_n) for task_n, interrupt in interrupts]
    run_many(connection, _INSERT_INTERRUPT, (*_INTERRUPT_FIELDS, "task_n"), rows)


def update_interrupts(connection: Connection, interrupts: Iterable[InterruptState]) -> None:
    """Store what changed of stops."""
    rows = [_interrupt_changes(interrupt) for interrupt in interrupts]
    run_many(connection, _UPDATE_INTERRUPT, (*_INTERRUPT_CHANGING, "key_interrupt_id"), rows)


def insert_events(connection: Connection, events: Sequence[EventRow]) -> None:
    """Add to the history."""
    run_many(connection, _INSERT_EVENT, _EVENT_COLUMNS, events)


def remove_events(connection: Connection, keys: Sequence[tuple[int, int]]) -> int:
    """Remove events from histories, each named by its task's number and its own; returns how many."""
    run_many(connection, _DELETE_EVENT, ("key_task_n", "key_seq"), keys)
    return len(keys)


def places_of_events(connection: Connection, *, task_ns: Collection[int], first: int, last: int) -> array[int]:
    """Where in SQLite's file the events of tasks lie, in that order: those with numbers from ``first`` to ``last``."""
    column = schema.events.c
    query = select(_PLACE).where(column.task_n.in_(task_ns), column.seq.between(first, last))
    return array("q", sorted(connection.execute(query).scalars()))


def remove_events_at(connection: Connection, *, places: Sequence[int], only: ColumnElement[bool]) -> None:
    """Remove the events that lie at these places, as far as a condition holds for each."""
    connection.execute(delete(schema.events).where(_PLACE.in_(places), only))


def run_many(
    connection: Connection, statement: Insert | Update | Delete, names: tuple[str, ...], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Run a statement once for each row.

    Args:
        connection: In a transaction.
        statement: With a parameter for each name.
        names: What the values of a row are for, in their order.
        rows: The values.
    """
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        bulk.run(connection, statement, names, rows)
        return
    text, order = _compiled(statement, connection.dialect)
    if order is None:
        connection.exec_driver_sql(text, [dict(zip(names, row, strict=True)) for row in rows])
    elif order == names:
        connection.exec_driver_sql(text, list(rows))
    else:
        in_order = itemgetter(*(names.index(name) for name in order))
        connection.exec_driver_sql(text, [in_order(row) for row in rows])


@lru_cache(maxsize=32)
def _compiled(statement: Insert | Update | Delete, dialect: Dialect) -> tuple[str, tuple[str, ...] | None]:
    """A statement's text, and the order of its parameters where they go by place."""
    compiled = statement.compile(dialect=dialect)
    return str(compiled), tuple(compiled.positiontup) if compiled.positiontup is not None else None


def _inserting(table: Table, names: tuple[str, ...]) -> Insert:
    return insert(table).values({name: bindparam(name) for name in names})


def _updating(table: Table, names: tuple[str, ...], *keys: Column[Any]) -> Update:
    statement = update(table).values({name: bindparam(name) for name in names})
    return statement.where(*(key == bindparam(f"key_{key.name}") for key in keys))


_INSERT_TASK = _inserting(schema.tasks, _TASK_COLUMNS)
_INSERT_LIVENESS = _inserting(schema.liveness, (*_LIVENESS, "task_n"))
_INSERT_STEP = _inserting(schema.steps, ("task_n", *_STEP_FIELDS))
_INSERT_INTERRUPT = _inserting(schema.interrupts, (*_INTERRUPT_FIELDS, "task_n"))
_FOUND_EVENT = select(*(schema.events.c[name] for name in ("event_id", "task_n", "kind", "task_status", "detail")))
_DELETE_STEPS = delete(schema.steps).where(schema.steps.c.task_n == bindparam("key_task_n"))
_DELETE_EVENT = delete(schema.events).where(
    schema.events.c.task_n == bindparam("key_task_n"), schema.events.c.seq == bindparam("key_seq")
)
_INSERT_EVENT = _inserting(schema.events, _EVENT_COLUMNS)
_UPDATE_TASK = {change: _updating(schema.tasks, names, schema.tasks.c.n) for change, names in _CHANGING.items()}
_UPDATE_LIVENESS = _updating(schema.liveness, _LIVENESS, schema.liveness.c.task_n)
_UPDATE_SIGNS_OF_REPORTS = _updating(schema.liveness, _SIGNS_OF_REPORTS, schema.liveness.c.task_n)
_TASKS = select(schema.tasks, *(schema.liveness.c[name] for name in _LIVENESS)).join_from(schema.tasks, schema.liveness)
_STEPS_IN_ORDER = select(schema.steps).order_by(schema.steps.c.task_n, schema.steps.c.position)
_UPDATE_STEP = _updating(schema.steps, _STEP_CHANGING, schema.steps.c.position, schema.steps.c.task_n)
_UPDATE_INTERRUPT = _updating(schema.interrupts, _INTERRUPT_CHANGING, schema.interrupts.c.interrupt_id)

_task_values = attrgetter(*_TASK_COLUMNS)
_TASK_CHANGES = {change: attrgetter(*names, "n") for change, names in _CHANGING.items()}
_liveness_values = attrgetter(*_LIVENESS, "n")
_signs_of_reports = attrgetter(*_SIGNS_OF_REPORTS, "n")
_step_values = attrgetter(*_STEP_FIELDS)
_step_changes = attrgetter(*_STEP_CHANGING, "position")
_interrupt_values = attrgetter(*_INTERRUPT_FIELDS)
_interrupt_changes = attrgetter(*_INTERRUPT_CHANGING, "interrupt_id")
