"""Random interleavings of all ways in, a full disk and restarts: each task's events arrive in the order they were made.

The model is one list per task: what its agent was told is kept, by the daemon or by the spool, in the order of the telling. An
agent does as the client library does: what the daemon cannot take now, or is not there to take, it writes down.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import pytest

from clawlog.protocol.errors import OUTBOX_FULL, SHUTTING_DOWN, STORAGE_FAILED, RpcError
from clawlog.protocol.ids import new_uuid
from support.callers import Caller, DealerCaller, ReqCaller, UnixCaller, call
from support.daemon_process import DaemonProcess
from support.plain_server import PlainServer
from support.running_daemon import until
from support.spooling import FullDisk, files, keep

ACTIONS = int(os.environ.get("CLAWLOG_TEST_INTERLEAVINGS", "60"))
TASKS = ("a", "b", "c")
NOT_NOW = {OUTBOX_FULL, SHUTTING_DOWN, STORAGE_FAILED}


class Agents:
    """Three agents and everything that befalls their daemon.

    Attributes:
        kept: By task, what they were told is kept, in order.
    """

    def __init__(self, process: DaemonProcess, server: PlainServer, dice: random.Random) -> None:
        self.kept: dict[str, list[str]] = {task: [] for task in TASKS}
        self.history: list[str] = []
        self._process = process
        self._server = server
        self._dice = dice
        self._disk = FullDisk(process.process.pid)
        self._full = False
        self._down = False
        self._callers: dict[str, Caller] = {}
        server.intercept = lambda request: 503 if self._down and request.is_event else None

    async def act(self) -> None:
        """Lets one thing happen."""
        choice = self._dice.random()
        if choice < 0.8:
            await self._report(self._dice.choice(TASKS), self._dice.choice(("unix", "dealer", "req", "spool")))
        elif choice < 0.88:
            self._fill(full=not self._full)
        elif choice < 0.94:
            self._down = not self._down
            self.history.append(f"backend {'down' if self._down else 'up'}")
        else:
            await self._restart(self._dice.choice(("kill", "stop", "away")))

    async def settle(self) -> None:
        """Ends all trouble, and returns when everything has been heard."""
        self._fill(full=False)
        self._down = False
        await self._hang_up()
        total = sum(len(each) for each in self.kept.values())
        await until(lambda: len(heard(self._server)) >= total and files(self._process.state_dir) == [], 30.0)

    async def _report(self, task: str, way: str) -> None:
        word = f"{task}{len(self.kept[task])}"
        params = {"task_id": task, "status": "running", "summary": word, "event_id": new_uuid()}
        self.history.append(f"{way} {word}")
        taken = False
        if way != "spool":
            try:
                await call(await self._caller(way), "task.update", **params)
                taken = True
            except RpcError as error:
                assert error.code in NOT_NOW, (error, self.history)  # noqa: PT017 - refused or not is random
                self.history.append(f"  {error.name}")
        if not taken:
            keep(self._process.state_dir, "task.update", **params)
        self.kept[task].append(word)

    async def _caller(self, way: str) -> Caller:
        if way not in self._callers:
            endpoint = f"ipc://{self._process.folder}/d.zmq"
            if way == "unix":
                self._callers[way] = await UnixCaller.connect(self._process.socket_path)
            else:
                self._callers[way] = (DealerCaller if way == "dealer" else ReqCaller)(endpoint)
        return self._callers[way]

    def _fill(self, *, full: bool) -> None:
        self._full = full
        self.history.append("disk full" if full else "disk has room")
        (self._disk.fill if full else self._disk.make_room)()

    async def _restart(self, how: str) -> None:
        self.history.append(how)
        self._fill(full=False)
        await self._hang_up()
        if how == "kill":
            await self._process.kill()
        else:
            assert await self._process.stop() == 0
        if how == "away":
            for _ in range(3):
                await self._report(self._dice.choice(TASKS), "spool")
        await self._process.start("--zmq", f"ipc://{self._process.folder}/d.zmq")
        self._disk = FullDisk(self._process.process.pid)

    async def _hang_up(self) -> None:
        callers, self._callers = self._callers, {}
        for caller in callers.values():
            await caller.close()


def heard(server: PlainServer) -> dict[str | None, str]:
    """The summaries that a server applied, in order, each once."""
    found: dict[str | None, str] = {}
    for each in server.events:
        if each.method == "PATCH" and each.body.get("summary") and each.key not in found:
            found[each.key] = each.body["summary"]
    return found


@pytest.mark.parametrize("seed", range(int(os.environ.get("CLAWLOG_TEST_SEEDS", "3"))))
async def test_each_tasks_events_arrive_once_and_in_order(
    new_process: Callable[..., DaemonProcess], plain: PlainServer, seed: int
) -> None:
    process = new_process(CLAWLOG_BASE_URL=plain.url, CLAWLOG_OUTBOX_MAX_EVENTS="25")
    await process.start("--zmq", f"ipc://{process.folder}/d.zmq")
    for task in TASKS:
        await process.call("task.create", title=task, task_id=task)
    await plain.until_events(len(TASKS))
    agents = Agents(process, plain, random.Random(seed))
    for _ in range(ACTIONS):
        await agents.act()
    await agents.settle()
    words = list(heard(plain).values())
    for task in TASKS:
        assert [word for word in words if word.startswith(task)] == agents.kept[task], (seed, agents.history)
