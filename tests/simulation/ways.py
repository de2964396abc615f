"""The ways into the daemon: a connection, whole messages, the spool, and a drop where a sandbox leaves no other.

Each repeats a call until it knows that it was accepted. What goes out and what comes back is noted, so that the model knows
within which bounds the daemon can have heard of an agent.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from clawlog.protocol.errors import NOT_NOW
from clawlog.protocol.ids import new_uuid
from clawlog.protocol.spool import SPOOLABLE, encode
from clawlogd.clock import rfc3339
from simulation.lives import Caller, Lost
from simulation.records import Call, Outcome, TaskModel

if TYPE_CHECKING:
    from simulation.world import World

REPLY_S = 10.0
NO_OPEN_INTERRUPT = -32008
_SAID_BY = frozenset({"task.create", "task.update", "step.update", "interrupt.ack"})


class Ways:
    """The ways of one agent.

    Args:
        world: Everything around it.
        name: The agent's name, for chance of its own.
        sandboxed: Whether it reaches neither the socket nor the spool.
    """

    def __init__(self, world: World, name: str, *, sandboxed: bool = False) -> None:
        self._world = world
        self._draw = world.fork(name)
        self._callers: dict[bool, Caller] = {}
        self.sandboxed = sandboxed
        self.task: TaskModel

    # ── Calls that are events ──────────────────────────────────────────────────────────────────────────────────────

    def new_call(self, method: str, params: dict[str, Any]) -> Call:
        """A call that is an event, with an id and a mark of its own."""
        task, mark, event_id = self.task, self._world.next_mark(), new_uuid()
        params = {**params, "task_id": task.task_id, "event_id": event_id}
        if method in _SAID_BY:
            params["summary"] = f"says {mark}"
        call = Call(len(task.calls), event_id, mark, method, params)
        task.calls.append(call)
        return call

    async def report(self, method: str, **params: Any) -> bool:
        """Makes a call that is an event, until it is accepted or refused for good. Returns whether it was accepted."""
        call = self.new_call(method, params)
        return await self.insist(call)

    async def insist(self, call: Call) -> bool:
        """Makes a call until it is accepted or refused for good. Returns whether it was accepted."""
        reply = await self.deliver(call.method, call.params, call)
        if reply is None or "error" in reply:
            call.outcome = Outcome.REFUSED
            return False
        call.outcome = Outcome.ACCEPTED
        return True

    async def deliver(self, method: str, params: dict[str, Any], call: Call | None = None) -> dict[str, Any] | None:
        """Makes a call by whichever way takes it. Returns the reply: empty where it was written down, None if refused."""
        world, task = self._world, self.task
        number = call.number if call is not None else "-"
        while True:
            world.tried(task)
            if self.sandboxed:
                if world.write_down(task, method, params, dropped=True):
                    return self._accepted(number, method, "drop", {})
                await asyncio.sleep(self._draw.uniform(0.05, 2))
                continue
            spools = self._draw.random() < (0.08 if world.life is not None and world.life.serving else 0.6)
            if spools and method in SPOOLABLE and world.write_down(task, method, params):
                return self._accepted(number, method, "spool", {})
            try:
                reply = await self.ask(method, params)
            except (Lost, TimeoutError) as error:
                world.log("unanswered", task=task.number, call=number, why=type(error).__name__)
                if isinstance(error, TimeoutError) and world.write_down(task, method, params):
                    return self._accepted(number, method, "spool", {})
                await asyncio.sleep(self._draw.uniform(0.05, 2))
                continue
            error_found = reply.get("error")
            if error_found is None:
                world.heard(task)
                task.sure = True
                return self._accepted(number, method, "socket", reply)
            if not self._refused(number, method, error_found):
                return None
            if world.write_down(task, method, params):
                return self._accepted(number, method, "spool", {})
            await asyncio.sleep(self._draw.uniform(0.05, 2))

    def _refused_for_now(self, call: Call, reply: dict[str, Any]) -> bool:
        return self._refused(call.number, call.method, reply["error"])

    def _refused(self, number: object, method: str, error: dict[str, Any]) -> bool:
        """Notes a refusal. Returns whether it is for now alone."""
        self._world.log("refused", task=self.task.number, call=number, code=error["code"], message=error["message"])
        if error["code"] in NOT_NOW:
            return True
        if error["code"] != NO_OPEN_INTERRUPT:
            self._world.violated("a good call was refused", task=self.task.task_id, method=method, error=error["message"])
        return False

    def _accepted(self, number: object, method: str, way: str, reply: dict[str, Any]) -> dict[str, Any]:
        if way != "socket":
            self.task.sure = False
        self._world.log("accepted", task=self.task.number, call=number, method=method, way=way)
        return reply

    async def report_together(self, calls: list[Call], *, as_array: bool) -> None:
        """Sends calls one behind the other on one connection; what is not accepted is repeated, in order.

        Args:
            calls: The calls.
            as_array: Whether they go as one JSON array.
        """
        if self.sandboxed:
            for call in calls:
                await self.insist(call)
            return
        world, task = self._world, self.task
        world.tried(task)
        left = list(calls)
        try:
            caller = await self._caller(whole=self._draw.random() < 0.4)
            futures = caller.begin_many([(each.method, each.params) for each in calls], as_array=as_array)
            with task.in_flight(world, caller):
                done, _ = await asyncio.wait(futures, timeout=REPLY_S)
            if len(done) < len(futures):
                caller.break_off()
            for call, future in zip(calls, futures, strict=True):
                if future in done and future.exception() is None and "error" not in future.result():
                    world.heard(task)
                    self._accepted(call.number, call.method, "together", {})
                    call.outcome = Outcome.ACCEPTED
                    left.remove(call)
                elif future in done and future.exception() is None and not self._refused_for_now(call, future.result()):
                    call.outcome = Outcome.REFUSED
                    left.remove(call)
        except Lost:
            world.log("unanswered", task=task.number, call=calls[0].number, why="Lost")
        first = calls.index(left[0]) if left else len(calls)
        if any(call.outcome is Outcome.ACCEPTED for call in calls[first:]):
            world.violated("a call was accepted behind one that was not", task=task.task_id, first=calls[first].number)
        for call in left:
            await self.insist(call)

    # ── Questions ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def ask(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Makes one call over a connection.

        Raises:
            Lost: The connection broke, or there is no daemon.
            TimeoutError: There was no reply for too long; the connection is given up.
        """
        caller = await self._caller(whole=self._draw.random() < 0.4)
        with self.task.in_flight(self._world, caller):
            try:
                async with asyncio.timeout(REPLY_S):
                    return await caller.begin(method, params)
            except TimeoutError:
                caller.break_off()
                raise

    async def _caller(self, *, whole: bool) -> Caller:
        life = self._world.life
        if life is None:
            raise Lost
        caller = self._callers.get(whole)
        if caller is None or not caller.open:
            caller = self._callers[whole] = await life.connect(whole=whole)
        return caller

    def view(self, max_age_s: float) -> dict[str, Any]:
        """What an agent in a sandbox reads of its stop."""
        unknown = {"state": "unknown", "interrupt_requested": False, "interrupt_id": None}
        life = self._world.life
        if life is None:
            return unknown
        path = life.folder / "run" / "view" / self.task.task_id
        try:
            found: dict[str, Any] = json.loads(path.read_bytes())
            age_s = (self._world.wall_ms() - path.stat().st_mtime_ns // 1_000_000) / 1000
        except OSError:
            return unknown
        is_old = not -6.0 <= age_s <= max_age_s
        return unknown if is_old and found["state"] != "requested" else found


def file_content(at_ms: int, method: str, params: dict[str, Any], *, sandboxed: bool) -> bytes:
    """The file that a program writes down."""
    return encode(rfc3339(at_ms), [(method, params)], sandboxed=sandboxed)
