"""Writes a group's rows by as few statements as can be."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TypeVar

import msgspec

from clawlogd.model import Step, Task
from clawlogd.outbox.integrity import row_checksum
from clawlogd.outbox.records import CommitGroup, Refusal
from clawlogd.outbox.schema import EventState

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode
_CHUNK_SIZES = (256, 64, 32, 16, 8, 4, 2, 1)


def write(connection: sqlite3.Connection, group: CommitGroup) -> None:
    """Writes all of a group, within a transaction that the caller has begun.

    Raises:
        sqlite3.Error: It could not; the caller rolls back.
    """
    many = connection.executemany
    if group.lanes:
        many("INSERT OR REPLACE INTO lanes (lane, base_url) VALUES (?, ?)", group.lanes.items())
    if group.events:
        columns = "INSERT INTO events (seq, event_id, lane, task_id, at_ms, size, crc, body, reply, identity) VALUES "
        _insert(connection, columns, group.events)
    if group.tasks:
        many(
            "INSERT OR REPLACE INTO tasks (task_id, body, crc) VALUES (?, ?, ?)",
            (_row((key,), key, msgspec.structs.replace(task, steps=())) for key, task in group.tasks.items()),
        )
    if steps := [_row(key, "{}/{}".format(*key), step) for key, step in group.steps.items() if step is not None]:
        _insert(connection, "INSERT OR REPLACE INTO steps (task_id, step_id, body, crc) VALUES ", steps)
    if len(steps) < len(group.steps):
        gone = [key for key, step in group.steps.items() if step is None]
        many("DELETE FROM steps WHERE task_id = ? AND step_id = ?", gone)
    settled = [(seq,) for seq, state in group.moved.items() if state is EventState.SETTLED]
    for chunk in _chunks(settled):
        marks = ",".join("?" * len(chunk))
        update = f"UPDATE events SET state = 1, body = NULL WHERE seq IN ({marks})"  # noqa: S608 - only "?"
        connection.execute(update, [seq for (seq,) in chunk])
    others = [(state, seq) for seq, state in group.moved.items() if state is not EventState.SETTLED]
    if others:
        many("UPDATE events SET state = ? WHERE seq = ?", others)
        settled += [(seq,) for state, seq in others if state is EventState.PENDING]
    if settled and connection.execute("SELECT EXISTS (SELECT 1 FROM dead_letters)").fetchone()[0]:
        many("DELETE FROM dead_letters WHERE seq = ?", settled)
    if group.refusals:
        many(
            "INSERT OR REPLACE INTO dead_letters (seq, status, reply, at_ms) VALUES (?, ?, ?, ?)",
            ((each.seq, each.status, each.reply, each.at_ms) for each in group.refusals),
        )
    if group.forgotten:
        forgotten = [(task_id,) for task_id in group.forgotten]
        many("DELETE FROM tasks WHERE task_id = ?", forgotten)
        many("DELETE FROM steps WHERE task_id = ?", forgotten)


UNWRITABLE = (
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    OverflowError,
    TypeError,
    ValueError,
    msgspec.MsgspecError,
)
"""What a row raises that cannot be written as it is, however well the disk is."""


def leave_out_the_bad(group: CommitGroup) -> bool:
    """Takes the rows out of a group that cannot be written: tasks and steps that cannot be encoded, refusals that do not fit.

    What they would have recorded stays true in memory. A refusal is kept without what the backend answered.

    Returns:
        Whether there were any.
    """
    for key in [key for key, task in group.tasks.items() if not _can_be_encoded(task)]:
        del group.tasks[key]
        group.set_aside.append(f"task {key}")
    for at in [at for at, step in group.steps.items() if step is not None and not _can_be_encoded(step)]:
        del group.steps[at]
        group.set_aside.append("step {}/{}".format(*at))
    for number, refusal in enumerate(group.refusals):
        if not _can_be_bound(refusal):
            group.refusals[number] = Refusal(refusal.seq, None, "(what the backend answered cannot be kept)", refusal.at_ms)
            group.set_aside.append(f"reply to event {refusal.seq}")
    return bool(group.set_aside)


def _can_be_encoded(value: Task | Step) -> bool:
    try:
        _encode(value)
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError):
        return False
    return True


def _can_be_bound(refusal: Refusal) -> bool:
    try:
        refusal.reply.encode()
    except (AttributeError, ValueError):
        return False
    return refusal.status is None or (isinstance(refusal.status, int) and abs(refusal.status) < 2**31)


def _row(columns: tuple[object, ...], key: str, value: Task | Step) -> tuple[object, ...]:
    body = _encode(value)
    return (*columns, body, row_checksum(key, body))


def _insert(connection: sqlite3.Connection, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
    """Inserts many rows by few statements.

    Each step of a statement gives the interpreter's lock away and wants it back; beside a busy event loop that takes
    milliseconds each time. A statement of many rows does so once.
    """
    marks = f"({','.join('?' * len(rows[0]))})"
    for chunk in _chunks(rows):
        connection.execute(f"{statement}{','.join([marks] * len(chunk))}", list(chain.from_iterable(chunk)))


def _chunks(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cuts rows into chunks of few different sizes, so that the statements are prepared once."""
    start = 0
    for size in _CHUNK_SIZES:
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size
