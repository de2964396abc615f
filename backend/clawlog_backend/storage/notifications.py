"""The queue of notifications: a row for each, to each target, until it was delivered.

A row is a *timer* (of a stop that may stay unanswered), *gathered* (until its window closes), or *ready* to be delivered. Its
id is the one by which a receiver knows a repeat. Rows are made in the transaction that moves the follower's position, become
one digest in one transaction, and go with the delivery: so a kill at any instant loses none.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, case, delete, func, insert, select, union_all, update

from clawlog_backend.domain.times import UtcMs
from clawlog_backend.storage.schema import notifications

_c = notifications.c
_AT_ONCE = 500


class State(StrEnum):
    """What a row waits for."""

    TIMER = "timer"
    GATHERED = "gathered"
    READY = "ready"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One row.

    Attributes:
        notification_id: The id by which a receiver knows a repeat.
        rule: The rule that it is told by.
        target: The target that it is told to.
        event: What happened; ``digest`` for many in one.
        made_ms: When it was made.
        due_ms: When it is to be looked at next.
        held: It fell into quiet hours.
        attempts: How often its delivery failed.
        detail: What is said.
    """

    notification_id: str
    rule: str
    target: str
    event: str
    made_ms: UtcMs
    due_ms: UtcMs
    held: bool = False
    attempts: int = 0
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Window:
    """What was gathered by a rule for a target, and is due."""

    rule: str
    target: str
    number: int
    held: int


def add(connection: Connection, items: Sequence[Item], state: State) -> None:
    """Add rows. One whose id is there already (after a restore of the log) is passed over."""
    for begin in range(0, len(items), _AT_ONCE):
        portion = {item.notification_id: item for item in items[begin : begin + _AT_ONCE]}
        known = connection.execute(select(_c.notification_id).where(_c.notification_id.in_(portion))).scalars()
        for name in list(known):
            del portion[name]
        if portion:
            connection.execute(insert(notifications), [_values(item, state) for item in portion.values()])


def due_windows(connection: Connection, now: UtcMs, targets: Collection[str]) -> list[Window]:
    """The windows for these targets that are to be closed."""
    held = func.sum(case((_c.held, 1), else_=0))
    query = select(_c.rule, _c.target, func.count(), held).where(_c.state == State.GATHERED.value, _c.due_ms <= now)
    query = query.where(_c.target.in_(list(targets)))
    return [Window(*row) for row in connection.execute(query.group_by(_c.rule, _c.target))]


def gathered(connection: Connection, window: Window, now: UtcMs, *, limit: int) -> list[Item]:
    """What is in a window, the earliest first."""
    return _items(connection, *_in_window(window, now), limit=limit)


def gathered_by_event(connection: Connection, window: Window, now: UtcMs) -> dict[str, int]:
    """How much of what is in a window."""
    query = select(_c.event, func.count()).where(*_in_window(window, now)).group_by(_c.event)
    return {name: number for name, number in connection.execute(query).all()}  # noqa: C416 - rows, which are no pairs to a type checker


def close_window(connection: Connection, window: Window, now: UtcMs, digest: Item | None) -> None:
    """Make what is in a window ready: as one digest, or each by itself."""
    if digest is None:
        connection.execute(update(notifications).where(*_in_window(window, now)).values(state=State.READY.value, due_ms=now))
        return
    connection.execute(delete(notifications).where(*_in_window(window, now)))
    add(connection, [digest], State.READY)


def hold_window(connection: Connection, window: Window, now: UtcMs, until: UtcMs) -> None:
    """Keep what is in a window until quiet hours end."""
    connection.execute(update(notifications).where(*_in_window(window, now)).values(held=True, due_ms=until))


def due_timers(connection: Connection, now: UtcMs, *, limit: int) -> list[Item]:
    """The timers that have run out."""
    return _items(connection, _c.state == State.TIMER.value, _c.due_ms <= now, limit=limit)


def ready(connection: Connection, target: str, now: UtcMs, *, limit: int) -> list[Item]:
    """What is to be delivered to a target now, the earliest first."""
    return _items(connection, _c.state == State.READY.value, _c.target == target, _c.due_ms <= now, limit=limit)


def targets_due(connection: Connection, now: UtcMs) -> list[str]:
    """The targets to which something is to be delivered now. Few rows are ready at a time."""
    query = select(_c.target).where(_c.state == State.READY.value, _c.due_ms <= now).distinct()
    return list(connection.execute(query).scalars())


def postpone(connection: Connection, item: Item, due: UtcMs, *, attempts: int) -> None:
    """Deliver it again later."""
    statement = update(notifications).where(_c.notification_id == item.notification_id)
    connection.execute(statement.values(due_ms=due, attempts=attempts))


def remove(connection: Connection, notification_ids: Collection[str]) -> None:
    """Remove rows: they were delivered, or need not be."""
    names = list(notification_ids)
    for begin in range(0, len(names), _AT_ONCE):
        connection.execute(delete(notifications).where(_c.notification_id.in_(names[begin : begin + _AT_ONCE])))


def remove_of_others(connection: Connection, targets: Collection[str]) -> int:
    """Remove what is for none of these targets; returns how many rows."""
    return connection.execute(delete(notifications).where(_c.target.not_in(list(targets)))).rowcount


def waiting(connection: Connection) -> dict[str, int]:
    """How many notifications wait for each target, timers aside."""
    query = select(_c.target, func.count()).where(_c.state != State.TIMER.value).group_by(_c.target)
    return {name: number for name, number in connection.execute(query).all()}  # noqa: C416 - rows, which are no pairs to a type checker


def next_due(connection: Connection, now: UtcMs, targets: Collection[str]) -> UtcMs | None:
    """When the next row for one of these targets is due after now; ``None`` where none is."""
    # Each by itself, which the index answers at once, however much waits.
    each = [
        select(func.min(_c.due_ms)).where(_c.state == state.value, _c.target == target, _c.due_ms > now)
        for target in targets
        for state in State
    ]
    found = [time for time in connection.execute(union_all(*each)).scalars() if time is not None] if each else []
    return UtcMs(min(found)) if found else None


def _in_window(window: Window, now: UtcMs) -> tuple[Any, ...]:
    return _c.state == State.GATHERED.value, _c.rule == window.rule, _c.target == window.target, _c.due_ms <= now


def _items(connection: Connection, *conditions: Any, limit: int) -> list[Item]:
    query = select(notifications).where(*conditions).order_by(_c.made_ms, _c.notification_id).limit(limit)
    return [
        Item(
            notification_id=row.notification_id,
            rule=row.rule,
            target=row.target,
            event=row.event,
            made_ms=UtcMs(row.made_ms),
            due_ms=UtcMs(row.due_ms),
            held=bool(row.held),
            attempts=row.attempts,
            detail=json.loads(row.detail),
        )
        for row in connection.execute(query)
    ]


def _values(item: Item, state: State) -> dict[str, Any]:
    return {
        "notification_id": item.notification_id,
        "rule": item.rule,
        "target": item.target,
        "event": item.event,
        "state": state.value,
        "held": item.held,
        "made_ms": item.made_ms,
        "due_ms": item.due_ms,
        "attempts": item.attempts,
        "detail": json.dumps(item.detail, ensure_ascii=False),
    }
