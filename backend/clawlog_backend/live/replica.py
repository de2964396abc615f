"""One of several backends over one database: hears of what the others commit, and agrees with them on who does what.

The table of changes is the truth, and is looked at often. It is gapless and in the order of the commits, so a look that begins
after the last change known here misses none. Replicas hint to each other that a look is worth it now; nothing relies on it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic

from sqlalchemy import Connection

from clawlog_backend.access import Access
from clawlog_backend.live.log import ChangeLog
from clawlog_backend.storage import shared
from clawlog_backend.storage.changes import Change, Position, find_position, following
from clawlog_backend.storage.engines.engine import Database, DatabaseError

_LOOK_EVERY_S = 0.05
_CHANGES_AT_ONCE = 1_000
_SESSIONS_EVERY_S = 1.0
_HINT_EVERY_S = 0.05  # at most: each is a commit of its own, for which all others wait
_RETRY_S = 0.5

log = logging.getLogger(__name__)


class Replica:
    """Follows the changes of all replicas.

    Args:
        database: Which they share.
        log: Is handed every change, in order.
        access: Is told which sessions ended elsewhere.
        begin_anew: Called where the changes do not go on from those known: after a restore, or a sleep of hours.
    """

    def __init__(
        self, *, database: Database, log: ChangeLog, access: Access, begin_anew: Callable[[], Awaitable[None]]
    ) -> None:
        self._database = database
        self._log = log
        self._access = access
        self._begin_anew = begin_anew
        self._name = secrets.token_hex(8)
        self._woken = asyncio.Event()
        self._committed = asyncio.Event()
        self._sessions_next = 0.0
        log.hurry_by(self._woken.set)

    async def run(self) -> None:
        """Follow until cancelled. While the database is away, what happens is only that nothing is heard."""
        away = False
        while True:
            try:
                if not await self._look():
                    await self._pause(_LOOK_EVERY_S)
                if away:
                    away = False
                    log.warning("the database is back")
            except DatabaseError as error:
                if not away:
                    log.error("cannot follow the changes of other replicas for now: %s", error)  # noqa: TRY400 - expected
                away = True
                await asyncio.sleep(_RETRY_S)

    async def exchange_hints(self) -> None:
        """Tell others that there is something new, and hear it of them, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._database.hear_hints(self._hear), name="replica-hear")
            group.create_task(self._hint(), name="replica-hint")

    async def _hint(self) -> None:
        while True:
            await self._committed.wait()
            self._committed.clear()
            with suppress(DatabaseError):
                await self._database.hint(self._name)
            await asyncio.sleep(_HINT_EVERY_S)

    def _hear(self, sender: str) -> None:
        if sender != self._name:
            self._woken.set()

    def committed(self, change: Change) -> None:
        """A change of this replica is on disk. It is handed over at once where all before it were."""
        self._committed.set()
        if change.seq == self._log.position.seq + 1:
            self._log.append(change)
        else:
            self._woken.set()

    async def may_lead(self) -> bool:
        """Take or keep the lease of what one replica alone does.

        Raises:
            DatabaseError: It is not known who has it.
        """
        return await self.take_lease("maintenance")

    async def take_lease(self, name: str) -> bool:
        """Take or keep a lease, which one replica has at a time, for 15 s.

        Args:
            name: Of what one replica alone does.

        Raises:
            DatabaseError: It is not known who has it.
        """
        return await self._database.write(lambda connection: shared.take_lease(connection, name, self._name))

    async def _look(self) -> bool:
        """Hand over what is new; whether there may be more."""
        known = self._log.position
        if monotonic() >= self._sessions_next:
            self._sessions_next = monotonic() + _SESSIONS_EVERY_S
            self._access.end_sessions(await self._database.read(shared.ended_sessions))

        def read(connection: Connection) -> tuple[Position, list[Change]]:
            position = find_position(connection)
            same = position.seq == known.seq
            return position, [] if same else following(connection, known.seq, limit=_CHANGES_AT_ONCE)

        position, found = await self._database.read(read)
        lacking = found and found[0].seq > self._log.position.seq + 1
        if position.store_id != known.store_id or position.seq < known.seq or lacking:
            await self._begin_anew()
            return True
        for change in found:
            self._log.append(change)
        self._log.raise_floor(position.floor_seq)
        return len(found) == _CHANGES_AT_ONCE

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        self._woken.clear()
