"""The runs of tasks that ended and are still to be exported as traces: a bounded queue on disk, and what a trace is made of.

What enters the queue is read from the log of changes, and noted with how far it was read: a kill loses nothing. A run is
named by the number of the event that ended it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, delete, func, insert, or_, select, tuple_

from clawlog_backend.domain import runs, trace_ids
from clawlog_backend.domain.events import EventKind
from clawlog_backend.domain.fields import ENDED_TASK_STATUSES
from clawlog_backend.domain.runs import Happening
from clawlog_backend.domain.spans import About, Place, Span, SpanLink, spans_of
from clawlog_backend.domain.trace_ids import TRACEPARENT, SpanContext
from clawlog_backend.storage import changes, followers
from clawlog_backend.storage.rows import chunks
from clawlog_backend.storage.schema import events, tasks, waiting_traces

FOLLOWER = "traces"
_CHANGES_AT_ONCE = 500
_RANGES_AT_ONCE = 100
_GENERATIONS = 32  # of tasks whose parents are looked at; a circle of them ends there, too


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run that is to be exported.

    Attributes:
        task_n: The task's number.
        seq: The number of the event that ended it.
    """

    task_n: int
    seq: int


@dataclass(frozen=True, slots=True)
class Ends:
    """What the log says of tasks that ended.

    Attributes:
        found: The runs that ended, each with when its end arrived.
        since: The change after which the log was read.
        upto: The last change that was read.
        more: Whether there may be more to read.
    """

    found: Sequence[tuple[Waiting, int]]
    since: int
    upto: int
    more: bool


def begin(connection: Connection) -> int:
    """Up to which change the log was read; the first time, that is now."""
    since = followers.position(connection, FOLLOWER)
    if since is None:
        since = changes.find_position(connection).seq
        followers.set_position(connection, FOLLOWER, since)
    return since


def look(connection: Connection, since: int) -> Ends:
    """Which runs ended according to the next changes of the log."""
    following = changes.following(connection, since, limit=_CHANGES_AT_ONCE)
    grown: dict[int, tuple[int, int]] = {}
    for change in following:
        for n in change.moved & change.events.keys():
            first, last = change.events[n]
            grown[n] = (min(first, grown.get(n, (first, last))[0]), last)
    upto = following[-1].seq if following else since
    return Ends(_ends(connection, grown), since, upto, more=len(following) == _CHANGES_AT_ONCE)


def enter(connection: Connection, ends: Ends, *, most: int) -> int | None:
    """Put runs that ended into the queue, and note how far the log was read.

    Args:
        connection: In a transaction.
        ends: What was read.
        most: How many runs may wait.

    Returns:
        How many of the oldest were dropped, because the queue was full; ``None`` where another replica read on meanwhile, so
        that nothing was done.
    """
    stored = followers.position(connection, FOLLOWER)
    if stored is None or stored > ends.since:
        return None
    columns = waiting_traces.c
    for chunk in chunks(ends.found):
        named = [(each.task_n, each.seq) for each, _ in chunk]
        among = select(columns.task_n, columns.seq).where(tuple_(columns.task_n, columns.seq).in_(named))
        known = {Waiting(row.task_n, row.seq) for row in connection.execute(among)}
        new = [{"task_n": each.task_n, "seq": each.seq, "ended_ms": ms} for each, ms in chunk if each not in known]
        if new:
            connection.execute(insert(waiting_traces), new)
    followers.set_position(connection, FOLLOWER, ends.upto)
    return _drop_oldest(connection, count(connection) - most) if ends.found else 0


def count(connection: Connection) -> int:
    """How many runs wait."""
    return int(connection.execute(select(func.count()).select_from(waiting_traces)).scalar_one())


def due(connection: Connection, *, before_ms: int, limit: int) -> list[Waiting]:
    """Runs whose end arrived before an instant, the earliest first."""
    columns = waiting_traces.c
    query = select(columns.task_n, columns.seq).where(columns.ended_ms <= before_ms).limit(limit)
    ordered = query.order_by(columns.ended_ms, columns.task_n, columns.seq)
    return [Waiting(row.task_n, row.seq) for row in connection.execute(ordered)]


def remove(connection: Connection, done: Iterable[Waiting]) -> None:
    """Take runs out of the queue."""
    columns = waiting_traces.c
    for each in done:
        connection.execute(delete(waiting_traces).where(columns.task_n == each.task_n, columns.seq == each.seq))


def load(connection: Connection, waiting: Waiting) -> Sequence[Span]:
    """The spans of a run.

    None where its caller does not record what it calls, and where the end was none after all: then the run has another.
    """
    row = connection.execute(_TASK.where(tasks.c.n == waiting.task_n)).one_or_none()
    its_runs = [] if row is None else runs.cut(_history(connection, waiting.task_n))
    run = next((run for run in its_runs if run.ending is not None and run.ending.seq == waiting.seq), None)
    if row is None or run is None:
        return ()
    place = _place(connection, row, run.number)
    return spans_of(_about(row), its_runs, run, place) if place.context.sampled else ()


def _ends(connection: Connection, grown: Mapping[int, tuple[int, int]]) -> list[tuple[Waiting, int]]:
    """The events, among those between two numbers of each task, with which a task ended that had not."""
    columns = events.c
    found: list[tuple[Waiting, int]] = []
    numbers = sorted(grown)
    for begin_at in range(0, len(numbers), _RANGES_AT_ONCE):
        # With the one before the first, which says how the task stood.
        ranges = [
            and_(columns.task_n == n, columns.seq.between(grown[n][0] - 1, grown[n][1]))
            for n in numbers[begin_at : begin_at + _RANGES_AT_ONCE]
        ]
        query = select(columns.task_n, columns.seq, columns.received_ms, columns.task_status).where(or_(*ranges))
        had_ended: dict[int, bool] = {}
        for row in connection.execute(query.order_by(columns.task_n, columns.seq)):
            ended = row.task_status in ENDED_TASK_STATUSES
            if ended and not had_ended.get(row.task_n, False) and row.seq >= grown[row.task_n][0]:
                found.append((Waiting(row.task_n, row.seq), row.received_ms))
            had_ended[row.task_n] = ended
    return found


def _drop_oldest(connection: Connection, number: int) -> int:
    if number <= 0:
        return 0
    columns = waiting_traces.c
    oldest = select(columns.task_n, columns.seq).order_by(columns.ended_ms, columns.task_n, columns.seq).limit(number)
    remove(connection, [Waiting(row.task_n, row.seq) for row in connection.execute(oldest).all()])
    return number


# ── Where a run stands ──────────────────────────────────────────────────────────────────────────────────────────────────


def _place(connection: Connection, row: Row[Any], run: int, generation: int = 0) -> Place:
    """Where a task's run stands.

    A task stands below the span that its caller named, else below that of the task that it is a part of, as that was when it
    was created. Once reopened, it is a trace of its own.
    """
    own = trace_ids.own_context(row.task_id, run)
    if run > 1:
        first = _place(connection, row, 1, generation).context
        return Place(SpanContext(own.trace_id, own.span_id, first.sampled), links=[SpanLink(first, "first_run")])
    caller = trace_ids.parse_traceparent(_about(row).pairs.get(TRACEPARENT))
    around = _parent(connection, row, generation)
    if caller is not None:
        links = [] if around is None or around == caller else [SpanLink(around, "parent_task")]
        return Place(SpanContext(caller.trace_id, own.span_id, caller.sampled), caller.span_id, links)
    if around is not None:
        return Place(SpanContext(around.trace_id, own.span_id, around.sampled), around.span_id)
    if row.parent_id is not None:
        return Place(own, links=[SpanLink(trace_ids.own_context(row.parent_id), "parent_task")])
    return Place(own)


def _parent(connection: Connection, row: Row[Any], generation: int) -> SpanContext | None:
    if row.parent_id is None or generation >= _GENERATIONS:
        return None
    parent = connection.execute(_TASK.where(tasks.c.task_id == row.parent_id)).one_or_none()
    if parent is None:
        return None
    run = runs.run_at(runs.cut(_history(connection, parent.n)), row.created_ms)
    return _place(connection, parent, run, generation + 1).context


def _history(connection: Connection, n: int) -> Iterable[Happening]:
    columns = events.c
    query = select(*(columns[name] for name in _OF_HISTORY)).where(columns.task_n == n, columns.kind != EventKind.HEARTBEAT)
    return [Happening(*row) for row in connection.execute(query.order_by(columns.seq))]


def _about(row: Row[Any]) -> About:
    return About(row.task_id, row.parent_id, json.loads(row.metadata))


_TASK: Select[Any] = select(tasks.c.n, tasks.c.task_id, tasks.c.parent_id, tasks.c.metadata, tasks.c.created_ms)
_OF_HISTORY = ("seq", "event_id", "kind", "at_ms", "received_ms", "task_status", "detail")
