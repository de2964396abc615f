"""Long polls for stops: who waits for which tasks, without a thread or a periodic query per waiter.

A cursor is the number of the last change that its answer took into account, with the identity of the database it counts in: one
from another database, or from before a restore, is treated as no cursor at all, so that a stop is never missed.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pydantic import TypeAdapter

from clawlog_backend.domain.errors import Busy
from clawlog_backend.domain.views import Control
from clawlog_backend.live.log import ChangeLog
from clawlog_backend.storage.changes import Change, Position
from clawlog_backend.storage.engines.engine import Database, DatabaseError
from clawlog_backend.storage.queries import controls_changed_since


@dataclass(frozen=True, slots=True)
class Controls:
    """The answer to a poll."""

    cursor: str
    controls: list[Control]


controls_json: TypeAdapter[Controls] = TypeAdapter(Controls)


@dataclass(eq=False, slots=True)
class _Waiter:
    future: asyncio.Future[bytes | None]  # None: nothing changed, and the wait is over

    def answer(self, controls: bytes | None) -> None:
        if not self.future.done():
            self.future.set_result(controls)


class ControlPolls:
    """Answers polls, and wakes those that wait.

    A change is read once, however many wait for it, and encoded once for all that wait for the same of it. A poll for which
    nothing changed reads nothing, and is not looked at when other tasks change.

    Args:
        database: Where controls are read.
        log: Knows the number of the last change.
        max_waiting: How many polls may wait at once.
    """

    def __init__(self, *, database: Database, log: ChangeLog, max_waiting: int) -> None:
        self._database = database
        self._log = log
        self._max_waiting = max_waiting
        self._waiters: dict[_Waiter, None] = {}  # in the order in which they came: the first is answered first
        self._waiting_for: dict[str, set[_Waiter]] = {}
        self._last_change = 0
        self._notifying: set[asyncio.Task[None]] = set()
        self._closing = False

    @property
    def waiting(self) -> int:
        """How many polls wait now."""
        return len(self._waiters)

    def begin_at(self, position: Position) -> None:
        """Treat everything up to here as changed: which controls changed before the database was opened is not known."""
        self._last_change = position.seq

    def notify(self, change: Change) -> None:
        """Answer the polls that wait for one of the tasks that are now to stop, or no longer."""
        if not change.controls:
            return
        self._last_change = change.seq
        if not self._waiting_for.keys().isdisjoint(change.controls):
            task = asyncio.create_task(self._answer_waiters(change.controls, self._log.position), name="control-polls")
            self._notifying.add(task)
            task.add_done_callback(self._notifying.discard)

    def close(self) -> None:
        """Answer every waiting poll, and from now on every poll at once."""
        self._closing = True
        for waiter in self._waiters:
            waiter.answer(None)

    async def poll(self, task_ids: frozenset[str], *, cursor: str | None, wait_s: float) -> bytes:
        """What changed since ``cursor``; where nothing did, whatever changes first within ``wait_s``.

        Returns:
            :class:`Controls`, encoded.

        Raises:
            Busy: Too many polls wait already.
        """
        if wait_s <= 0 or self._closing:
            return controls_json.dump_json(await self._read(task_ids, cursor))
        if len(self._waiters) >= self._max_waiting:
            raise Busy("Too many polls wait already: ask again without wait_s, or later.", retry_after_s=5)
        # It is registered before the first read, so that a change between that read and the wait is not missed.
        waiter = _Waiter(asyncio.get_running_loop().create_future())
        self._add(waiter, task_ids)
        try:
            found = await self._read(task_ids, cursor)
            if found.controls:
                return controls_json.dump_json(found)
            # A timer of its own, since asyncio.timeout costs as much as all the rest of an answer here.
            overdue = asyncio.get_running_loop().call_later(wait_s, waiter.answer, None)
            try:
                changed = await waiter.future
            finally:
                overdue.cancel()
        finally:
            self._remove(waiter, task_ids)
        return changed or controls_json.dump_json(found)

    def _add(self, waiter: _Waiter, task_ids: frozenset[str]) -> None:
        self._waiters[waiter] = None
        for task_id in task_ids:
            self._waiting_for.setdefault(task_id, set()).add(waiter)

    def _remove(self, waiter: _Waiter, task_ids: frozenset[str]) -> None:
        del self._waiters[waiter]
        for task_id in task_ids:
            waiting = self._waiting_for[task_id]
            waiting.discard(waiter)
            if not waiting:
                del self._waiting_for[task_id]

    async def _read(self, task_ids: frozenset[str], cursor: str | None) -> Controls:
        await self._log.reach(cursor or "")
        # Taken on the loop before the read is queued: what is applied in between is read now and sent again, never left out.
        position = self._log.position
        since = _since(cursor, position)
        if since is not None and since >= self._last_change:
            return _answer(position, [])
        return _answer(
            position, await self._database.read(lambda connection: controls_changed_since(connection, task_ids, since))
        )

    async def _answer_waiters(self, changed: frozenset[str], position: Position) -> None:
        try:
            found = await self._database.read(lambda connection: controls_changed_since(connection, changed, None))
        except DatabaseError:
            for task_id in changed:
                for waiter in self._waiting_for.get(task_id, ()):
                    waiter.answer(None)  # its client asks again, with its old cursor, and gets the error then
            return
        theirs: dict[_Waiter, int] = {}  # which of those that were found, a bit for each
        for place, control in enumerate(found):
            for waiter in self._waiting_for.get(control.task_id, ()):
                theirs[waiter] = theirs.get(waiter, 0) | 1 << place
        encoded: dict[int, bytes] = {}
        with _no_collection():
            for waiter, places in theirs.items():
                if places not in encoded:
                    controls = [control for place, control in enumerate(found) if places >> place & 1]
                    encoded[places] = controls_json.dump_json(_answer(position, controls))
                waiter.answer(encoded[places])
            await asyncio.sleep(0)  # they are answered in the next turn of the event loop, all of them


@contextmanager
def _no_collection() -> Iterator[None]:
    """Have no garbage looked for: thousands of polls that are let go of in an instant are all that there is to look through."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _answer(position: Position, controls: list[Control]) -> Controls:
    return Controls(f"{position.store_id}-{position.seq}", controls)


def _since(cursor: str | None, position: Position) -> int | None:
    store_id, _, number = (cursor or "").rpartition("-")
    if store_id != position.store_id or not number.isdecimal():
        return None
    return int(number) if position.floor_seq <= int(number) <= position.seq else None
