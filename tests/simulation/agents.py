"""Agents: each works through its items, by any way in, and repeats a call until it knows that it was accepted."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from clawlog.protocol.errors import NOT_NOW
from clawlog.protocol.ids import new_uuid
from clawlog.protocol.spool import SPOOLABLE, encode
from clawlogd.clock import rfc3339
from simulation.lives import Caller, Lost
from simulation.model import Call, Outcome, TaskModel
from simulation.plan import URLS, Item

if TYPE_CHECKING:
    from simulation.world import World

_REPLY_S = 10.0
_MAX_AGE_S = 5.0
_NO_OPEN_INTERRUPT = -32008
_ENDED = {"done", "failed", "interrupted"}


class Agent:
    """One agent, at one task.

    Args:
        world: Everything around it.
        number: Its number.
        items: What it does.
    """

    def __init__(self, world: World, number: int, items: list[Item]) -> None:
        self._world = world
        self._number = number
        self._items = items
        self._draw = world.fork(f"agent {number}")
        self._callers: dict[bool, Caller] = {}
        self._gone = False
        self._plan: list[tuple[str, str]] = []
        self.task: TaskModel

    async def run(self) -> None:
        """Works until the last item, or until it is gone."""
        for item in self._items:
            delay_s = item.at_s - self._world.elapsed_s
            if delay_s > 0:
                await asyncio.sleep(delay_s)
            await self._do(item)
            if self._gone:
                return

    async def _do(self, item: Item) -> None:  # noqa: C901 - a flat list of what agents do
        world = self._world
        if item.kind == "create":
            await self._create(*item.args)
            return
        if not hasattr(self, "task"):  # its creation was left out of the plan
            self._gone = True
            return
        task = self.task
        if task.ended and item.kind not in {"run", "stop"}:
            return
        match item.kind:
            case "step" if self._plan:
                step_id, status = self._plan[item.args[0] % len(self._plan)][0], item.args[1]
                if await self._report("step.update", step=step_id, status=status):
                    task.steps[step_id] = status
                    self._went_on()
            case "beat":
                await self._beat()
            case "wait" | "run" | "end":
                status = {"wait": "waiting", "run": "running"}.get(item.kind) or item.args[0]
                await self._set_status(status)
            case "plan":
                mark = world.next_mark()
                step_id = f"{task.task_id[:8]}-{mark}"
                steps = [*self._plan, (step_id, f"new {mark}")]
                if self._draw.random() < 0.5:
                    steps.reverse()
                if await self._report("task.plan", steps=[{"step_id": each, "title": title} for each, title in steps]):
                    self._plan = steps
                    # One that was skipped is planned again.
                    task.steps = {each: "pending" if was == "skipped" else was for each, was in task.steps.items()}
                    task.steps.setdefault(step_id, "pending")
                    self._went_on()
            case "add":
                mark = world.next_mark()
                step_id = f"{task.task_id[:8]}-{mark}"
                if await self._report("step.add", step_id=step_id, title=f"added {mark}"):
                    self._plan.append((step_id, f"added {mark}"))
                    task.steps[step_id] = "pending"
                    self._went_on()
            case "link":
                await self._report("task.link", url=f"http://link.example/{world.next_mark()}")
            case "note":
                await self._report("task.annotate", metadata={"note": world.next_mark()})
            case "check":
                await self._check(*item.args)
            case "stop":
                world.person_stops(task)
            case "die":
                if task.pid is not None:
                    world.end_process(task)
                self._gone = True
            case "leave":
                self._gone = True

    def _went_on(self) -> None:
        if self.task.status == "waiting":
            self.task.status = "running"

    async def _create(self, backend: int, steps: int, watched: bool) -> None:
        world = self._world
        task_id = new_uuid()
        pid = world.begin_process() if watched else None
        task = TaskModel(self._number, task_id, URLS[backend], world.knobs.lease_s, pid)
        world.model.tasks[task_id] = world.model.by_number[self._number] = self.task = task
        self._plan = [(f"{task_id[:8]}-s{each}", f"step {each}") for each in range(steps)]
        task.steps = {step_id: "pending" for step_id, _ in self._plan}
        params: dict[str, Any] = {
            "title": f"task {self._number}",
            "base_url": task.url,
            "lease_s": task.lease_s,
            "steps": [{"step_id": step_id, "title": title} for step_id, title in self._plan],
        }
        if pid is not None:
            params["watch_pid"] = pid
        task.created = await self._report("task.create", **params)

    async def _set_status(self, status: str) -> None:
        task = self.task
        # From here on either may hold: what comes over the wire is judged only once it is answered.
        was, task.sure = task.status, False
        if was in _ENDED:
            task.status = "running"
        if await self._report("task.update", status=status):
            task.status = status
        else:
            task.status = was

    async def _check(self, obeys: bool, after_s: float) -> None:
        task, world = self.task, self._world
        asked_at = world.loop.now
        world.tried(task)
        try:
            reply = await self._call("interrupt.check", {"task_id": task.task_id, "max_age_s": _MAX_AGE_S})
        except (Lost, TimeoutError):
            return
        if "error" in reply:
            return
        answer = reply["result"]
        world.heard(task)
        world.log("checked", task=task.number, state=answer["state"], stop=answer["interrupt_id"])
        world.model.checked(task, asked_at, answer, _MAX_AGE_S)
        if answer["interrupt_requested"] and obeys:
            await asyncio.sleep(after_s)
            interrupt_id = answer["interrupt_id"]
            task.sure = False
            if await self._report("interrupt.ack", interrupt_id=interrupt_id):
                task.status = "interrupted"
                if interrupt_id in task.stops:
                    task.stops[interrupt_id].acknowledged = True

    async def _beat(self) -> None:
        self._world.tried(self.task)
        try:
            reply = await self._call("task.heartbeat", {"task_id": self.task.task_id})
        except (Lost, TimeoutError):
            return
        if "error" not in reply:
            self._world.heard(self.task)

    # ── Ways in ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _report(self, method: str, **params: Any) -> bool:
        """Makes a call that is an event, until it is accepted or refused for good. Returns whether it was accepted."""
        world, task = self._world, self.task
        mark, event_id = world.next_mark(), new_uuid()
        params = {**params, "task_id": task.task_id, "event_id": event_id}
        if method in {"task.create", "task.update", "step.update", "interrupt.ack"}:
            params["summary"] = f"says {mark}"
        call = Call(len(task.calls), event_id, mark, method, params)
        task.calls.append(call)
        while True:
            world.tried(task)
            spools = self._draw.random() < (0.08 if world.life is not None and world.life.serving else 0.6)
            if spools and method in SPOOLABLE and world.spool_call(task, method, params):
                return self._accepted(call, "spool")
            try:
                reply = await self._call(method, params)
            except (Lost, TimeoutError) as error:
                world.log("unanswered", task=task.number, call=call.number, why=type(error).__name__)
                if isinstance(error, TimeoutError) and world.spool_call(task, method, params):
                    return self._accepted(call, "spool")
                await asyncio.sleep(self._draw.uniform(0.05, 2))
                continue
            error_found = reply.get("error")
            if error_found is None:
                world.heard(task)
                task.sure = True
                return self._accepted(call, "socket")
            world.log("refused", task=task.number, call=call.number, code=error_found["code"], message=error_found["message"])
            if error_found["code"] in NOT_NOW:
                if world.spool_call(task, method, params):
                    return self._accepted(call, "spool")
                await asyncio.sleep(self._draw.uniform(0.05, 2))
                continue
            call.outcome = Outcome.REFUSED
            if error_found["code"] != _NO_OPEN_INTERRUPT:
                world.violated("a good call was refused", task=task.task_id, method=method, error=error_found["message"])
            return False

    def _accepted(self, call: Call, way: str) -> bool:
        call.outcome = Outcome.ACCEPTED
        if way == "spool":
            self.task.sure = False
        self._world.log("accepted", task=self.task.number, call=call.number, method=call.method, way=way)
        return True

    async def _call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        life = self._world.life
        if life is None:
            raise Lost
        whole = self._draw.random() < 0.4
        caller = self._callers.get(whole)
        if caller is None or not caller.open:
            caller = self._callers[whole] = await life.connect(whole=whole)
        async with asyncio.timeout(_REPLY_S):
            return await caller.begin(method, params)


def spool_content(at_ms: int, method: str, params: dict[str, Any]) -> bytes:
    """The file that a program writes down."""
    return encode(rfc3339(at_ms), [(method, params)])
