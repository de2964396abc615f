"""Coding agents that report by themselves: what their hooks do at each of their moments, and what a person's stop does to them.

A hook looks for the hold's file at each tool. Where there is none it leaves a sign in the session's file, if the daemon has
made one, and else it reports. What the model knows of a session is in ``SessionModel``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clawlog.protocol.agents import AGENTS, ENDED_BY_HOOK
from clawlog.protocol.ids import new_uuid
from clawlogd.clock import rfc3339
from clawlogd.verbs.agents import own_task_id
from simulation.plan import URLS, Item
from simulation.records import SessionModel
from simulation.ways import Ways

if TYPE_CHECKING:
    from simulation.world import World

PATIENCE_S = 600.0
"""For how long a session whose process is not known may be silent, as the simulated daemon's settings have it."""


class SessionAgent(Ways):
    """One session.

    Args:
        world: Everything around it.
        number: Its number.
        items: What happens in it.
    """

    def __init__(self, world: World, number: int, items: list[Item]) -> None:
        super().__init__(world, f"session {number}")
        self._number = number
        self._items = items
        self._gone = False
        self._stopped = False  # its loop has ended at a hold, until a person speaks
        self._subagent = 0
        self.task: SessionModel

    async def run(self) -> None:
        """Goes through all moments, or until it is gone."""
        for item in self._items:
            await self._world.rhythm.sleep_until(self, item.at_s)
            await self._do(item)
            if self._gone:
                break
        self._world.rhythm.done(self)

    async def _do(self, item: Item) -> None:  # noqa: C901 - a flat list of moments
        if item.kind == "begin":
            await self._begin(*item.args)
            return
        if not hasattr(self, "task"):
            self._gone = True
            return
        task, world = self.task, self._world
        match item.kind:
            case "prompt":
                self._stopped = task.sure = False
                task.prompted(world)
                if await self._tell("prompt", prompt=f"do {world.next_mark()}"):
                    task.turns += 1
                task.status, task.sure = "running", False
                task.in_turn, task.asks = True, False
            case "tool":
                await self._tool()
            case "list_of_steps" if task.in_turn and not self._stopped:
                steps = [{"title": f"part {each}", "status": "done"} for each in range(item.args[0])]
                await self._tell("plan", plan=steps)
                self._worked()
            case "ask" if task.in_turn and not self._stopped:
                task.sure = False
                await self._tell("waiting", question="may I?", tool="Bash")
                task.status, task.asks = "waiting", True
            case "subagent" if task.in_turn and not self._stopped:
                self._subagent += 1
                name = f"{self._number}-{self._subagent}"
                await self._tell("prompt", subagent_id=name, tool="Task")
                await self._tell("turn.ended", subagent_id=name)
            case "rest" if task.in_turn:
                task.sure = False
                await self._tell("turn.ended")
                task.status, task.in_turn, task.asks = "waiting", False, False
            case "over":
                task.sure = False
                await self._tell("session.ended")
                task.status, task.in_turn, task.asks = "done", False, False
                task.over = True
            case "stop":
                world.person_stops(task)
            case "die":
                if task.pid is not None:
                    world.end_process(task)
                self._gone = True
            case "leave":
                self._gone = True

    async def _begin(self, agent: int, watched: bool) -> None:
        world = self._world
        name, session_id = AGENTS[agent % len(AGENTS)], f"s{self._number}"
        pid = world.begin_process() if watched else None
        task_id = own_task_id(name, session_id)
        task = SessionModel(self._number, task_id, URLS[0], world.knobs.lease_s, pid, patience_s=PATIENCE_S)
        task.agent, task.session_id = name, session_id
        task.status = "waiting"
        world.model.tasks[task_id] = self.task = task
        task.created = await self._tell("session.started", **({} if pid is None else {"pid": pid}))

    async def _tool(self) -> None:
        task, world = self.task, self._world
        if self._stopped or not task.in_turn:
            return
        life = world.life
        run = life.folder / "run" if life is not None else None
        hold = run / "agent-stops" / task.agent / task.session_id if run is not None else None
        if hold is not None and hold.exists():
            world.model.held_back(task, hold.read_text(encoding="utf-8").partition("\n")[0])
            self._stopped = task.agent in ENDED_BY_HOOK
            task.sure = False
            await self._tell("tool.before", tool="Bash")
            if self._stopped:
                task.in_turn, task.asks = False, False
            return
        sign = run / "signs" / task.agent / task.session_id if run is not None else None
        if sign is not None and sign.exists():
            self._leave_sign(sign)
        else:
            await self._tell("tool.before", tool="Bash")
        self._worked()

    def _leave_sign(self, path: Path) -> None:
        world = self._world
        with path.open("ab") as file:
            file.write(b"before Bash\nafter Bash\n")
        at_ns = world.wall_ms() * 1_000_000
        os.utime(path, ns=(at_ns, at_ns))
        world.tried(self.task)
        self.task.handled(world)
        world.log("sign", task=self._number)
        world.model.sign_left(self.task)

    def _worked(self) -> None:
        """A question of before is answered; the daemon may not know that yet, or never, where a crash took the sign."""
        task = self.task
        if task.asks:
            task.status, task.sure = "either", False
        task.asks = False

    async def _tell(self, event: str, **more: Any) -> bool:
        """Has a hook report something. Returns whether that was accepted."""
        task, world = self.task, self._world
        params = {
            "agent": task.agent,
            "session_id": task.session_id,
            "event": event,
            "at": rfc3339(world.wall_ms()),
            "event_id": new_uuid(),
            **more,
        }
        reply = await self.deliver("agent.event", params)
        if reply is None:
            return False
        if "result" in reply:
            world.model.answered(task, reply["result"], event)
        return True
