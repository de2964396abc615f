"""One run of the daemon, from its start to its end or its crash, and the callers that are connected to it."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import shutil
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clawlog.protocol.errors import INTERNAL_ERROR
from clawlogd import app, assembly
from clawlogd.context import Origin, Peer
from clawlogd.rpc.conversation import Conversation
from clawlogd.rpc.dispatcher import Dispatcher
from clawlogd.rpc.inbox import HeldBytes, LineInbox, MessageInbox
from clawlogd.services import Services
from simulation.disk import Disk
from simulation.loop import SimTask

if TYPE_CHECKING:
    from simulation.world import World

LIFE: contextvars.ContextVar[Life | None] = contextvars.ContextVar("LIFE", default=None)


class Lost(Exception):  # noqa: N818 - names what happened
    """The connection broke before there was a reply."""


class Caller:
    """A connection of a caller.

    Args:
        life: The daemon.
        whole: Whether whole messages go over it, as with ZeroMQ, and not lines.
    """

    def __init__(self, life: Life, *, whole: bool) -> None:
        self._life = life
        self._whole = whole
        self._inbox: Any = MessageInbox() if whole else LineInbox()
        self._conversation = Conversation(
            dispatcher=life.dispatcher, inbox=self._inbox, outlet=self, held=life.held, peer=Peer(Origin.THIS_KERNEL, 1)
        )
        self._replies: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._parts: list[bytes] = []
        self._asked: list[int] = []  # the requests that are not answered, in order; an array is one, by its first
        self._number = 0
        self._there_at = self._back_at = 0.0
        self.open = True
        self.unsent_bytes = 0

    @property
    def life_over(self) -> bool:
        """Whether the daemon that it led to is gone."""
        return self._life.dead

    def send(self, messages: list[bytes]) -> None:
        """Replies of the daemon's, on their way to the caller."""
        loop, draw = self._life.world.loop, self._life.world.caller_draw
        for message in messages:
            self._back_at = max(self._back_at, loop.now + draw.uniform(0.0001, 0.001))  # none overtakes another
            loop.call_at(self._back_at, self._arrived, message)

    def send_part(self, part: bytes, *, last: bool) -> None:
        """Parts of a long reply."""
        self._parts.append(part)
        if last:
            parts, self._parts = self._parts, []
            self.send([b"".join(parts)])

    def progressed(self) -> None:
        """As of every outlet."""

    def _arrived(self, message: bytes) -> None:
        if self._life.dead or not self.open:
            return
        found = json.loads(message)
        replies = found if isinstance(found, list) else [found]
        expected = self._asked.pop(0) if self._asked else None
        if not replies or replies[0].get("id") != expected:
            self._life.world.violated("replies out of order", expected=expected, found=str(found)[:200])
        for reply in replies:
            if reply.get("error", {}).get("code") == INTERNAL_ERROR:
                self._life.world.violated("an internal error was answered", error=reply["error"]["message"])
            future = self._replies.pop(reply.get("id"), None)
            if future is not None and not future.done():
                future.set_result(reply)

    def begin(self, method: str, params: dict[str, Any]) -> asyncio.Future[dict[str, Any]]:
        """Sends a request. Returns what its reply will be."""
        (future,) = self.begin_many([(method, params)])
        return future

    def begin_many(
        self, calls: list[tuple[str, dict[str, Any]]], *, as_array: bool = False
    ) -> list[asyncio.Future[dict[str, Any]]]:
        """Sends requests, one behind the other, without waiting for their replies. Returns what these will be.

        Args:
            calls: Verbs and parameters.
            as_array: Whether they are sent as one JSON array.
        """
        requests, futures = [], []
        for method, params in calls:
            self._number += 1
            requests.append({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params})
            future = self._replies[self._number] = self._life.world.loop.create_future()
            futures.append(future)
        lines: list[Any] = [requests] if as_array else requests
        self._asked += [(each[0] if as_array else each)["id"] for each in lines]
        loop = self._life.world.loop
        self._there_at = max(self._there_at, loop.now + self._life.world.caller_draw.uniform(0.0001, 0.001))
        for line in lines:
            loop.call_at(self._there_at, self._feed, json.dumps(line).encode(), context=self._life.context.copy())
        return futures

    def _feed(self, line: bytes) -> None:
        if self._life.dead or not self.open:
            return
        self._inbox.feed(line if self._whole else line + b"\n")
        self._conversation.go_on()

    def break_off(self) -> None:
        """The connection breaks: what was asked may have been done, or may still be."""
        if self.open and not self._life.dead:
            self._life.context.copy().run(self._conversation.close)
        self.open = False
        for future in self._replies.values():
            if not future.done():
                future.set_exception(Lost())
                future.exception()
        self._replies.clear()


class Life:
    """One run of the daemon.

    Args:
        world: All around it.
        folder: Its state folder.
    """

    def __init__(self, world: World, folder: Path, number: int) -> None:
        self.world = world
        self.number = number
        self.disk = Disk(world, folder)
        self.folder = folder
        self.held = HeldBytes(1 << 24)
        self.services: Services
        self.dispatcher: Dispatcher
        self.serving = False
        self.since = world.loop.now
        self.tasks: set[SimTask] = set()
        self.callers: list[Caller] = []
        self.context = contextvars.copy_context()
        self.context.run(LIFE.set, self)
        self._shutdown = app.ShutdownSignal()
        self._task: asyncio.Task[None] | None = None

    @property
    def dead(self) -> bool:
        """Whether its process is gone."""
        return self.disk.dead

    # ── As the daemon's listeners ──────────────────────────────────────────────────────────────────────────────────

    @property
    def connections(self) -> int:
        """How many callers are connected."""
        return sum(caller.open for caller in self.callers)

    def stop_accepting(self) -> None:
        """Takes no new callers."""
        self.serving = False

    async def stop(self) -> None:
        """Closes the connections."""
        await asyncio.sleep(0.01)
        self.hang_up()

    async def _listen(
        self, services: Services, where: object, dispatcher: Dispatcher, places: object, stack: AsyncExitStack
    ) -> Life:
        self.services, self.dispatcher = services, dispatcher
        return self

    def hang_up(self) -> None:
        """All connections break."""
        callers, self.callers = self.callers, []
        for caller in callers:
            caller.break_off()

    # ── From outside ───────────────────────────────────────────────────────────────────────────────────────────────

    async def start(self) -> bool:
        """Starts it. Returns whether it serves: it does not where the disk fails."""
        loop = self.world.loop
        where = assembly.Environment({}, self.folder, None, self.world)
        ready: asyncio.Future[None] = loop.create_future()

        def is_ready(_: Services) -> None:
            self.serving = True
            self.since = loop.now
            ready.set_result(None)

        work = app.run(self.world.settings, where, self._shutdown, is_ready, listen=self._listen)
        self._task = loop.create_task(work, context=self.context)
        await asyncio.wait([ready, self._task], return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            self.world.log("start_failed", error=repr(self._task.exception()) if not self._task.cancelled() else "cancelled")
            self.disk.dead = True
            return False
        self._task.add_done_callback(self._ended)
        return True

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not self.dead and not task.cancelled() and task.exception() is not None:
            self.world.violated("the daemon ended by itself", error=repr(task.exception()))
        self.serving = False

    async def connect(self, *, whole: bool) -> Caller:
        """A new connection.

        Raises:
            Lost: Nobody takes it.
        """
        await asyncio.sleep(self.world.caller_draw.uniform(0.0001, 0.001))
        if self.dead or not self.serving:
            raise Lost
        caller = self.context.copy().run(Caller, self, whole=whole)
        self.callers.append(caller)
        return caller

    async def end(self) -> Path:
        """Ends it in good order. Returns what it leaves."""
        self._shutdown.request()
        if self._task is not None:
            await asyncio.wait([self._task])
        await self._bury()
        return self.folder

    async def crash(self, folder: Path) -> None:
        """Its process is killed, at whatever it is: what was committed is left in a new folder."""
        self.disk.image(folder)
        await self.drop()

    async def drop(self) -> None:
        """Ends what is left of a process that is gone."""
        self.disk.dead = True
        self.serving = False
        self.hang_up()
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._bury()
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _bury(self) -> None:
        self.disk.dead = True
        self.hang_up()
        left = [task for task in self.tasks if not task.done()]
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)
        self.tasks.clear()


class Observer(logging.Handler):
    """Reads the daemon's log as it is written."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        """Notes a line, and what it says of an agent."""
        life = LIFE.get()
        if life is not None and life.dead:
            return
        fields = {name: value for name, value in getattr(record, "fields", {}).items() if name not in _OF_THE_MACHINE}
        event = record.getMessage()
        self._world.log(f"d{life.number if life else 0}.{event}", **fields)
        if event == "agent_lost":
            self._world.model.declared_lost(fields["task_id"])
        if event == "agent_lost_unreported":
            self._world.model.loss_unrecorded()
        if event == "dead_letter" and str(fields["kind"]).startswith("interrupt_"):
            self._world.model.receipt_refused(fields["task_id"])
        if record.levelno >= logging.ERROR and event not in _EXPECTED:
            self._world.violated("a fault of the daemon's own", event=event, **fields)


_OF_THE_MACHINE = frozenset({"pid", "state_dir"})
_EXPECTED = frozenset({"storage_failed"})
