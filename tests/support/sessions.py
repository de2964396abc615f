"""A session of a coding agent as a test plays it: its hook's reports, its files, and how its task stands at the backend."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from clawlog.protocol.agents import HOLDS, SIGNS, session_file
from clawlogd.model import Task
from support.running_backend import Api
from support.running_daemon import RunningDaemon, until


class PlayedSession:
    """One session.

    Args:
        daemon: Who is told of it.
        api: Its backend, as a person sees it.
        agent: The agent's name.
        session_id: The session's id.
    """

    def __init__(self, daemon: RunningDaemon, api: Api, agent: str, session_id: str) -> None:
        self._daemon = daemon
        self._api = api
        self.agent = agent
        self.session_id = session_id
        self.task_id = ""

    async def __call__(self, event: str, **params: Any) -> dict[str, Any]:
        """What the hook is answered to a report."""
        answer = await self._daemon.call("agent.event", agent=self.agent, session_id=self.session_id, event=event, **params)
        self.task_id = answer["task_id"]
        return answer

    async def at_backend(self) -> dict[str, Any]:
        """The task, as its backend shows it once it was told of everything."""
        await self._daemon.flush()
        return await self._api.get(self.task_id)

    async def here(self) -> dict[str, Any]:
        """The task, as the daemon shows it."""
        return await self._daemon.call("task.get", task_id=self.task_id)

    async def steps(self) -> list[tuple[str, str]]:
        """Titles and statuses of its steps, which must be the same on both sides."""
        there, here = await self.at_backend(), await self.here()
        plans = [[(each["title"], each["status"]) for each in task["steps"]] for task in (there, here)]
        assert plans[0] == plans[1]
        return plans[0]

    async def stop(self, reason: str = "wrong branch") -> str:
        """A person presses Stop. Returns the stop's id once the session is held."""
        await self._daemon.flush()
        status, body = await self._api("POST", f"/api/tasks/{self.task_id}/interrupt", {"reason": reason})
        assert status == 201, body
        await until(lambda: self.task.interrupt is not None)
        return str(body["interrupt_id"])

    @property
    def task(self) -> Task:
        """The task, as the daemon keeps it."""
        return self._daemon.services.registry.get(self.task_id)

    @property
    def hold(self) -> Path:
        return self._daemon.state_dir / "run" / HOLDS / self.agent / session_file(self.session_id)

    @property
    def signs(self) -> Path:
        return self._daemon.state_dir / "run" / SIGNS / self.agent / session_file(self.session_id)

    async def sign(self, line: str) -> None:
        """The hook leaves a line, and the daemon has read it."""
        seen = self._daemon.services.liveness.seen_ms(self.task)
        await a_moment_later()
        with self.signs.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        await until(lambda: self._daemon.services.liveness.seen_ms(self.task) > seen)


async def a_moment_later() -> None:
    """Returns when the time has another millisecond, so that a report is later than the one before."""
    await asyncio.sleep(0.002)
