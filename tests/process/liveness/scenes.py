"""What the backend shows of an agent's life, and after how long, when something happens to it, to the daemon or to the backend.

Each scene is played with real processes: the daemon is ``clawlogd``, the agent a program, the backend the embedded one over
HTTP. The one exception is the sleeping laptop, whose clocks are injected. The tests play the scenes at a quick pace;
``python -m process.liveness.table`` plays them in earnest, and prints the table of ``docs/liveness.md``.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from clawlog_backend.domain.times import UtcMs
from clawlog_backend.settings import Settings as BackendSettings
from clawlogd.clock import SystemClock
from clawlogd.model import Task
from clawlogd.outbox.records import CommitGroup
from clawlogd.outbox.store import Store
from clawlogd.settings import Heartbeat, Settings
from support import daemon_process
from support.daemon_process import DaemonProcess
from support.running_backend import Api, RunningBackend
from support.running_daemon import QUICK, RunningDaemon, until

LOOK_S = 0.02
LAST_MOMENT_S = 0.5  # of an absence: a beat that is made then may find the backend back


@dataclass(frozen=True)
class Pace:
    """How fast the scenes are played.

    Attributes:
        heartbeat: The daemon's settings.
        stall_after_s: When a hung agent is called stalled.
        absence_s: For how long the daemon or the backend is away.
        lease_s: The lease of an agent that names no process.
        skip: Whether the backend's clock is put forward where nothing but its passing is waited for.
    """

    heartbeat: Heartbeat
    stall_after_s: float
    absence_s: float
    lease_s: float
    skip: bool


QUICKLY = Pace(Heartbeat(interval_s=1.0, jitter_s=0.2), stall_after_s=2.0, absence_s=2.0, lease_s=5.0, skip=True)
IN_EARNEST = Pace(Heartbeat(), stall_after_s=60.0, absence_s=60.0, lease_s=30.0, skip=False)


@dataclass(frozen=True)
class Shown:
    """A state that the backend began to show, and when, in seconds after the event."""

    state: str
    after_s: float
    reason: str | None = None


@dataclass
class Record:
    """What was shown from the event on, and what is true of the agent.

    Attributes:
        states: The states in order; the first is what was shown at the event.
        dies: Whether the event is, or comes after, the agent's death.
        beats_after_end: How many beats came after the task had ended.
    """

    states: list[Shown]
    dies: bool
    beats_after_end: int = 0

    @property
    def names(self) -> list[str]:
        return [each.state for each in self.states]

    def after_s(self, state: str) -> float:
        """When a state began to be shown, for the first time after the event."""
        return next(each.after_s for each in self.states[1:] if each.state == state)

    @property
    def shown_alive_s(self) -> float:
        """For how long after the event the agent was shown alive in all."""
        ends = [each.after_s for each in self.states[1:]]
        return max((end for shown, end in zip(self.states, ends, strict=False) if shown.state == "alive"), default=0.0)


@dataclass
class Stage:
    """The players.

    Attributes:
        away: From when to when the backend was away, but for the last moment.
        seen: What the present, or last, ``watch`` has noted.
    """

    folder: Path
    pace: Pace
    backend: RunningBackend
    daemon: DaemonProcess
    api: Api
    agents: list[asyncio.subprocess.Process] = field(default_factory=list)
    away: tuple[str, str] = ("", "")
    seen: Record = field(default_factory=lambda: Record([], dies=False))

    async def agent(self) -> asyncio.subprocess.Process:
        """A program that runs until something ends it."""
        self.agents.append(await asyncio.create_subprocess_exec("sleep", "3600"))
        return self.agents[-1]

    async def begin(self, **params: Any) -> None:
        """The agent's task, shown alive at the backend."""
        await self.daemon.call("task.create", title="Scene", task_id="t", base_url=self.backend.url, **params)
        await self.until("alive")

    async def state(self) -> Shown | None:
        """What the backend shows now; None when it does not answer."""
        try:
            liveness = (await self.api.get("t"))["liveness"]
        except (aiohttp.ClientError, AssertionError):
            return None
        return Shown(liveness["state"], 0.0, liveness["reason"])

    async def until(self, state: str, limit_s: float = 120.0) -> None:
        async def is_shown() -> bool:
            shown = await self.state()
            return shown is not None and shown.state == state

        await until(is_shown, limit_s)

    async def until_vouched_for_after(self, at: str) -> None:
        """Returns when a beat has come that was made after a time."""

        async def is_vouched_for_anew() -> bool:
            return str((await self.api.get("t"))["liveness"]["vouched_at"]) > at

        await until(is_vouched_for_anew, 60.0)

    async def watch(self, event: Callable[[], Awaitable[None]], *ends: str, dies: bool, limit_s: float = 180.0) -> Record:
        """Lets something happen, and notes what is shown until these states have been shown after it, in this order."""
        loop = asyncio.get_running_loop()
        before = await self.state()
        assert before is not None
        record = self.seen = Record([before], dies)
        waited_for = list(ends)
        happened = asyncio.ensure_future(event())
        started = loop.time()
        async with asyncio.timeout(limit_s):
            while waited_for:
                shown = await self.state()
                if shown is not None and shown.state != record.states[-1].state:
                    record.states.append(replace(shown, after_s=loop.time() - started))
                    if shown.state == waited_for[0]:
                        waited_for.pop(0)
                if self.pace.skip and happened.done() and waited_for == ["quiet"]:
                    self.backend.clock.ahead_ms += 1000
                await asyncio.sleep(LOOK_S)
            await happened
        return record

    async def restart_backend(self, absence_s: float) -> None:
        """The backend is away for a while, and comes back with what it knew, on its port."""
        port = int(self.backend.url.rpartition(":")[2])
        await asyncio.to_thread(self.backend.stop)
        left = UtcMs.now().rfc3339()
        await asyncio.sleep(absence_s - LAST_MOMENT_S)
        self.away = left, UtcMs.now().rfc3339()
        await asyncio.sleep(LAST_MOMENT_S)
        clock = self.backend.clock
        self.backend = RunningBackend(replace(self.backend.settings, port=port))
        self.backend.clock = clock
        await asyncio.to_thread(self.backend.start)


@asynccontextmanager
async def staged(folder: Path, pace: Pace) -> AsyncIterator[Stage]:
    """A stage with its daemon and its backend running."""
    backend = RunningBackend(BackendSettings(database=str(folder / "backend.db"), port=0))
    backend.start()
    names = {f"CLAWLOG_HEARTBEAT_{name.upper()}": str(getattr(pace.heartbeat, name)) for name in Heartbeat.__struct_fields__}
    daemon = DaemonProcess(folder, **names)
    if not pace.skip:
        daemon.env = {name: value for name, value in daemon.env.items() if name not in daemon_process.QUICK}
    timeout = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        stage = Stage(folder, pace, backend, daemon, Api(session, backend.url))
        try:
            await daemon.start()
            yield stage
        finally:
            await daemon.clean_up()
            for agent in stage.agents:
                with contextlib.suppress(ProcessLookupError):
                    agent.kill()
                await agent.wait()
            await asyncio.to_thread(stage.backend.stop)


# ── The agent ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def agent_killed(stage: Stage) -> Record:
    """The agent is killed (its process is watched)."""
    agent = await stage.agent()
    await stage.begin(watch_pid=agent.pid)

    async def kill() -> None:
        agent.kill()

    return await stage.watch(kill, "lost", dies=True)


async def agent_killed_unwatched(stage: Stage) -> Record:
    """The agent is killed (it named no process, and has a lease)."""
    await stage.begin(lease_s=stage.pace.lease_s)

    async def nothing_is_heard() -> None:
        await asyncio.sleep(0)

    return await stage.watch(nothing_is_heard, "lost", dies=True)


async def agent_stopped(stage: Stage) -> Record:
    """The agent is stopped (`SIGSTOP`), and later goes on."""
    agent = await stage.agent()
    await stage.begin(watch_pid=agent.pid)

    async def stop_and_go_on() -> None:
        agent.send_signal(signal.SIGSTOP)
        await until(lambda: "stalled" in stage.seen.names, 60.0)  # else it could go on before that has been noted
        await stage.daemon.call("task.heartbeat", task_id="t", summary="going on")
        agent.send_signal(signal.SIGCONT)

    return await stage.watch(stop_and_go_on, "stalled", "alive", dies=False)


async def agent_hung(stage: Stage) -> Record:
    """The agent hangs: its process runs, and says nothing."""
    agent = await stage.agent()
    await stage.daemon.stop()
    stage.daemon.env["CLAWLOG_HEARTBEAT_STALL_AFTER_S"] = str(stage.pace.stall_after_s)
    await stage.daemon.start()
    await stage.begin(watch_pid=agent.pid)

    async def nothing_is_heard() -> None:
        await asyncio.sleep(0)

    return await stage.watch(nothing_is_heard, "stalled", dies=False)


async def agent_finished(stage: Stage) -> Record:
    """The agent finishes its task and exits."""
    agent = await stage.agent()
    await stage.begin(watch_pid=agent.pid)

    async def finish() -> None:
        await stage.daemon.call("task.update", task_id="t", status="done")
        agent.kill()
        await agent.wait()

    record = await stage.watch(finish, "ended", dies=True)
    await asyncio.sleep(stage.pace.heartbeat.interval_s + stage.pace.heartbeat.jitter_s)
    events = (await stage.api.get("t"))["events"]
    end = next(number for number, event in enumerate(events) if event["kind"] == "task_status")
    record.beats_after_end = sum(event["kind"] in {"heartbeat", "agent_lost"} for event in events[end:])
    return record


# ── The daemon ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def daemon_killed(stage: Stage) -> Record:
    """The daemon is killed, and stays away."""
    agent = await stage.agent()
    await stage.begin(watch_pid=agent.pid)
    return await stage.watch(stage.daemon.kill, "quiet", dies=False)


async def daemon_restarted(stage: Stage) -> Record:
    """The daemon is killed and comes back after a while (from then on the time counts anew); the agent lives on."""
    agent = await stage.agent()
    await stage.begin(watch_pid=agent.pid)
    record = await stage.watch(stage.daemon.kill, "quiet", dies=False)
    await asyncio.sleep(stage.pace.absence_s)
    return _joined(record, await stage.watch(_start(stage), "alive", dies=False))


async def agent_died_while_no_daemon_ran(stage: Stage) -> Record:
    """The agent is killed while no daemon runs; the daemon comes back."""
    agent = await stage.agent()
    await stage.begin(watch_pid=agent.pid)
    await stage.watch(stage.daemon.kill, "quiet", dies=False)
    agent.kill()
    await agent.wait()
    return await stage.watch(_start(stage), "lost", dies=True)


async def pid_reused(stage: Stage) -> Record:
    """The agent dies while no daemon runs, and its process number goes to another program."""
    agent = await stage.agent()
    await stage.begin(watch_pid=agent.pid)
    await stage.watch(stage.daemon.kill, "quiet", dies=False)
    # The agent's program now plays the other one: what was written down of the agent says that it began earlier.
    _make_older(Store(stage.daemon.state_dir / "outbox.db"))
    record = await stage.watch(_start(stage), "lost", dies=True)
    assert agent.returncode is None
    return record


def _start(stage: Stage) -> Callable[[], Awaitable[None]]:
    async def start() -> None:
        await stage.daemon.start()

    return start


def _make_older(store: Store) -> None:
    store.open()
    ((task_id, body),) = store.tasks()
    task = msgspec.json.decode(body, type=Task)
    assert task.watched is not None
    assert task.watched.started_ticks is not None
    other = msgspec.structs.replace(task.watched, started_ticks=task.watched.started_ticks - 1, pidfd_inode=None)
    group = CommitGroup(asyncio.get_running_loop().create_future())
    group.tasks[task_id] = msgspec.structs.replace(task, watched=other)
    store.commit(group)
    store.close()


# ── The backend, and the machine ────────────────────────────────────────────────────────────────────────────────────


async def backend_down(stage: Stage) -> Record:
    """The backend is away for a while; agent and daemon live on. The times count from its return."""
    agent = await stage.agent()
    await stage.begin(watch_pid=agent.pid)
    before = await stage.state()
    assert before is not None
    record = Record([before], dies=False)
    await stage.restart_backend(stage.pace.absence_s)
    loop = asyncio.get_running_loop()
    back, back_at = loop.time(), UtcMs.now().rfc3339()

    async def is_vouched_for_anew() -> bool:
        shown = await stage.state()
        if shown is not None and shown.state != record.states[-1].state:
            record.states.append(replace(shown, after_s=loop.time() - back))
        vouched_at = (await stage.api.get("t"))["liveness"]["vouched_at"]
        return bool(record.states[-1].state == "alive" and vouched_at > back_at)

    await until(is_vouched_for_anew, 120)
    if len(record.states) == 1:  # it came back before anybody could have missed it
        record.states.append(Shown("alive", loop.time() - back))
    return record


class _SleepingClock(SystemClock):
    """The machine's clock, with the hours that a test lets it sleep."""

    slept_ms = 0

    def wall_ms(self) -> int:
        return super().wall_ms() + self.slept_ms


async def laptop_suspended(stage: Stage) -> Record:
    """The laptop is suspended for an hour, with agent and daemon on it."""
    clock = _SleepingClock()
    await stage.daemon.stop()
    settings = msgspec.structs.replace(QUICK if stage.pace.skip else Settings(), heartbeat=stage.pace.heartbeat)
    daemon = RunningDaemon(stage.folder / "laptop", settings, clock=clock)
    (stage.folder / "laptop").mkdir()
    await daemon.start()
    try:
        agent = await stage.agent()
        await daemon.call("task.create", title="Scene", task_id="t", base_url=stage.backend.url, watch_pid=agent.pid)
        await daemon.call("task.create", title="By lease", task_id="lease", base_url=stage.backend.url)
        await daemon.flush()
        await stage.until("alive")
        # Just after a beat, so that what is shown is seen before the next one comes.
        await stage.until_vouched_for_after(UtcMs.now().rfc3339())

        async def sleep_for_an_hour() -> None:
            clock.slept_ms += 3_600_000
            stage.backend.clock.ahead_ms += 3_600_000

        record = await stage.watch(sleep_for_an_hour, "quiet", "alive", dies=False)
        assert (await stage.api.get("lease"))["liveness"]["state"] != "lost"
        return record
    finally:
        await daemon.stop()


def _joined(first: Record, then: Record) -> Record:
    return Record([*first.states, *then.states[1:]], first.dies)


Scene = Callable[[Stage], Coroutine[Any, Any, Record]]

SCENES: tuple[Scene, ...] = (
    agent_killed,
    agent_killed_unwatched,
    agent_stopped,
    agent_hung,
    agent_finished,
    daemon_killed,
    daemon_restarted,
    agent_died_while_no_daemon_ran,
    pid_reused,
    backend_down,
    laptop_suspended,
)
