"""Long polls for stops: who waits for which tasks, without a thread or a timer query per waiter.

A cursor is the number of the last event that its answer took into account, with the identity of the database it counts in: one
from another database, or from before a restore, is treated as no cursor at all, so that a stop is never missed.
"""

import asyncio
from dataclasses import dataclass

from pydantic import TypeAdapter

from clawlog_backend.domain.views import Control
from clawlog_backend.http.problems import busy
from clawlog_backend.storage.engines.sqlite import Database, DatabaseError
from clawlog_backend.storage.queries import controls_changed_since
from clawlog_backend.storage.unit_of_work import Applied, Position, Store


@dataclass(frozen=True, slots=True)
class Controls:
    """The answer to a poll."""

    cursor: str
    controls: list[Control]


controls_json: TypeAdapter[Controls] = TypeAdapter(Controls)


@dataclass(eq=False, slots=True)
class _Waiter:
    task_ids: frozenset[str]
    answer: "asyncio.Future[Controls | None]"  # None: nothing changed, and no more waiting

    def tell(self, answer: Controls | None) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)


class ControlPolls:
    """Answers polls, and wakes those that wait.

    A change is looked up once, however many wait for it, and a poll with nothing new to learn looks up nothing.

    Args:
        database: Where controls are read.
        store: Knows the number of the last event.
        max_waiting: How many polls may wait at once.
    """

    def __init__(self, *, database: Database, store: Store, max_waiting: int) -> None:
        self._database = database
        self._store = store
        self._max_waiting = max_waiting
        self._waiters: set[_Waiter] = set()
        self._last_change = 0
        self._telling: set[asyncio.Task[None]] = set()
        self._closing = False

    @property
    def waiting(self) -> int:
        """How many polls wait now."""
        return len(self._waiters)

    def begin_at(self, position: Position) -> None:
        """Take everything up to here as changed: what a database was opened with is not known yet."""
        self._last_change = position.seq

    def notify(self, applied: Applied) -> None:
        """Tell the polls that wait for one of the tasks that are now to stop, or no longer."""
        if not applied.controls:
            return
        self._last_change = applied.position.seq
        if any(not waiter.task_ids.isdisjoint(applied.controls) for waiter in self._waiters):
            task = asyncio.create_task(self._tell(applied.controls, applied.position), name="control-polls")
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    def close(self) -> None:
        """Answer every poll that waits, now and from now on at once."""
        self._closing = True
        for waiter in self._waiters:
            waiter.tell(None)

    async def poll(self, task_ids: frozenset[str], *, cursor: str | None, wait_s: float) -> Controls:
        """What changed since ``cursor``; where nothing did, whatever changes first within ``wait_s``.

        Raises:
            Problem: Too many polls wait already (429).
        """
        if wait_s <= 0 or self._closing:
            return await self._read(task_ids, cursor)
        if len(self._waiters) >= self._max_waiting:
            raise busy("Too many polls wait already: ask again without wait_s, or later.", retry_after_s=5)
        # It waits from before the first look, so that a change between that look and the wait is not missed.
        waiter = _Waiter(task_ids, asyncio.get_running_loop().create_future())
        self._waiters.add(waiter)
        try:
            found = await self._read(task_ids, cursor)
            if found.controls:
                return found
            async with asyncio.timeout(wait_s):
                return await waiter.answer or found
        except TimeoutError:
            return found
        finally:
            self._waiters.discard(waiter)

    async def _read(self, task_ids: frozenset[str], cursor: str | None) -> Controls:
        # Taken on the loop before the read is queued: what is applied in between is read now and told again, never left out.
        position = self._store.position
        since = _since(cursor, position)
        if since is not None and since >= self._last_change:
            return _answer(position, [])
        return _answer(
            position, await self._database.read(lambda connection: controls_changed_since(connection, task_ids, since))
        )

    async def _tell(self, changed: frozenset[str], position: Position) -> None:
        try:
            found = await self._database.read(lambda connection: controls_changed_since(connection, changed, None))
        except DatabaseError:
            for waiter in self._waiters:
                if not waiter.task_ids.isdisjoint(changed):
                    waiter.tell(None)  # it asks again, with its old cursor, and learns why it cannot be said
            return
        for waiter in self._waiters:
            theirs = [control for control in found if control.task_id in waiter.task_ids]
            if theirs:
                waiter.tell(_answer(position, theirs))


def _answer(position: Position, controls: list[Control]) -> Controls:
    return Controls(f"{position.store_id}-{position.seq}", controls)


def _since(cursor: str | None, position: Position) -> int | None:
    store_id, _, number = (cursor or "").rpartition("-")
    if store_id != position.store_id or not number.isdecimal() or int(number) > position.seq:
        return None
    return int(number)
