"""Agents that report because they were told to: each works through its items, by any way in."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from clawlog.protocol.ids import new_uuid
from simulation.lives import Lost
from simulation.plan import URLS, Item
from simulation.records import TaskModel
from simulation.ways import Ways

if TYPE_CHECKING:
    from simulation.records import Call
    from simulation.world import World

_MAX_AGE_S = 5.0
_ENDED = {"done", "failed", "interrupted"}
_IN_SANDBOX = 0.15


class Agent(Ways):
    """One agent, at one task.

    Args:
        world: Everything around it.
        number: Its number.
        items: What it does.
    """

    def __init__(self, world: World, number: int, items: list[Item]) -> None:
        super().__init__(world, f"agent {number}", sandboxed=world.fork(f"sandbox {number}").random() < _IN_SANDBOX)
        self._number = number
        self._items = items
        self._gone = False
        self._plan: list[tuple[str, str]] = []

    async def run(self) -> None:
        """Works until the last item, or until it is gone."""
        for item in self._items:
            await self._world.rhythm.sleep_until(self, item.at_s)
            await self._do(item)
            if self._gone:
                break
        self._world.rhythm.done(self)

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
                if await self.report("step.update", step=step_id, status=status):
                    task.steps[step_id] = status
                    self._went_on()
            case "burst" if self._plan:
                await self._burst(*item.args)
            case "beat":
                await self._beat()
            case "wait" | "run" | "end":
                status = {"wait": "waiting", "run": "running"}.get(item.kind) or item.args[0]
                await self._set_status(status)
            case "plan" if task.plans:
                await self._replan()
            case "add" if task.plans:
                mark = world.next_mark()
                step_id = f"{task.task_id[:8]}-{mark}"
                if await self.report("step.add", step_id=step_id, title=f"added {mark}"):
                    self._plan.append((step_id, f"added {mark}"))
                    task.steps[step_id] = "pending"
                    self._went_on()
            case "link":
                await self.report("task.link", url=f"http://link.example/{world.next_mark()}")
            case "note":
                await self.report("task.annotate", metadata={"note": world.next_mark()})
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
        pid = world.begin_process() if watched and not self.sandboxed else None
        task = TaskModel(self._number, task_id, URLS[backend], world.knobs.lease_s, pid)
        task.plans = backend != 2  # a server of another shape is told of them in words
        world.model.tasks[task_id] = self.task = task
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
        task.created = await self.report("task.create", **params)

    async def _replan(self) -> None:
        task, mark = self.task, self._world.next_mark()
        step_id = f"{task.task_id[:8]}-{mark}"
        steps = [*self._plan, (step_id, f"new {mark}")]
        if self._draw.random() < 0.5:
            steps.reverse()
        if await self.report("task.plan", steps=[{"step_id": each, "title": title} for each, title in steps]):
            self._plan = steps
            # One that was skipped is planned again.
            task.steps = {each: "pending" if was == "skipped" else was for each, was in task.steps.items()}
            task.steps.setdefault(step_id, "pending")
            self._went_on()

    async def _burst(self, count: int, as_array: bool) -> None:
        """Several steps at once, one call behind the other, without waiting for the replies."""
        calls: list[Call] = []
        then: dict[str, str] = {}
        for number in range(count):
            step_id = self._plan[number % len(self._plan)][0]
            then[step_id] = self._draw.choice(("running", "done", "failed"))
            calls.append(self.new_call("step.update", {"step": step_id, "status": then[step_id]}))
        self.task.sure = False
        await self.report_together(calls, as_array=as_array)
        self.task.steps.update(then)
        self._went_on()

    async def _set_status(self, status: str) -> None:
        task = self.task
        # From here on either may hold: what comes over the wire is judged only once it is answered.
        was, task.sure = task.status, False
        if was in _ENDED:
            task.status = "running"
        task.status = status if await self.report("task.update", status=status) else was

    async def _check(self, obeys: bool, after_s: float) -> None:
        task, world = self.task, self._world
        asked_at = world.loop.now
        if self.sandboxed:
            answer = self.view(_MAX_AGE_S)
        else:
            world.tried(task)
            try:
                reply = await self.ask("interrupt.check", {"task_id": task.task_id, "max_age_s": _MAX_AGE_S})
            except (Lost, TimeoutError):
                return
            if "error" in reply:
                return
            answer = reply["result"]
            world.heard(task)
        world.log("checked", task=task.number, state=answer["state"], stop=answer["interrupt_id"])
        world.model.checked(task, asked_at, answer, _MAX_AGE_S)
        if not answer["interrupt_requested"]:
            return
        if self.sandboxed:
            delivered = {"task_id": task.task_id, "interrupt_id": answer["interrupt_id"]}
            world.write_down(task, "interrupt.delivered", delivered, dropped=True)
        known = task.stops.get(answer["interrupt_id"])
        if obeys and not (self.sandboxed and known is not None and known.acknowledged):
            await asyncio.sleep(after_s)
            interrupt_id = answer["interrupt_id"]
            task.sure = False
            if await self.report("interrupt.ack", interrupt_id=interrupt_id):
                task.status = "interrupted"
                if interrupt_id in task.stops:
                    task.stops[interrupt_id].acknowledged = True

    async def _beat(self) -> None:
        world, task = self._world, self.task
        world.tried(task)
        if self.sandboxed:
            world.write_down(task, "task.heartbeat", {"task_id": task.task_id}, dropped=True)
            return
        try:
            reply = await self.ask("task.heartbeat", {"task_id": task.task_id})
        except (Lost, TimeoutError):
            return
        if "error" not in reply:
            world.heard(task)
