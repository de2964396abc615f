"""Reads the tasks that the outbox's file holds: row by row, so that a million of them are never in memory twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter

from clawlogd.outbox.integrity import row_checksum

TaskRows = tuple[str, bytes, list[bytes]]
"""A task's id, its row's JSON, and that of its steps, in no order."""

_NO_STEPS: tuple[str | None, list[bytes] | None] = (None, [])


def read_tasks(connection: sqlite3.Connection, damaged: list[str]) -> Iterator[TaskRows]:
    """Every task of which all rows are intact.

    Args:
        connection: The file.
        damaged: Gets the keys of the rows that are not.
    """
    steps = _read_steps(connection, damaged)
    of_task, rows = next(steps, _NO_STEPS)
    for task_id, body, crc in connection.execute("SELECT task_id, body, crc FROM tasks ORDER BY task_id"):
        while of_task is not None and of_task < task_id:  # of a task whose row is gone
            of_task, rows = next(steps, _NO_STEPS)
        own = rows if of_task == task_id else []
        if _fits(task_id, body, crc, damaged) and own is not None:  # one that lacks a step would mistake the others
            yield task_id, body, own
    for _ in steps:  # so that damage is found in those, too
        pass


def _read_steps(connection: sqlite3.Connection, damaged: list[str]) -> Iterator[tuple[str, list[bytes] | None]]:
    """The rows of each task's steps, None where one of them is damaged; in the order of the tasks' ids."""
    rows = connection.execute("SELECT task_id, step_id, body, crc FROM steps ORDER BY task_id")
    for task_id, group in groupby(rows, key=itemgetter(0)):
        known = len(damaged)
        bodies = [body for _, step_id, body, crc in group if _fits(f"{task_id}/{step_id}", body, crc, damaged)]
        yield task_id, bodies if len(damaged) == known else None


def _fits(key: str, body: bytes, crc: int, damaged: list[str]) -> bool:
    fits = crc == row_checksum(key, body)
    if not fits:
        damaged.append(key)
    return fits
