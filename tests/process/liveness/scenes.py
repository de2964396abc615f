"""What the backend shows of an agent's life, and after how long, when something happens to it, to the daemon or to the backend.

Each scene is played with real processes: the daemon is ``clawlogd``, the agent a program, the backend the embedded one over
HTTP. The one exception is the sleeping laptop, whose clocks are injected. The tests play the scenes at a quick pace;
``python -m process.liveness.table`` plays them in earnest, and prints the table of ``docs/liveness.md``.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any

import msgspec

from clawlog_backend.domain.times import UtcMs
from clawlogd.clock import SystemClock
from clawlogd.model import Task
from clawlogd.outbox.records import CommitGroup
from clawlogd.outbox.store import Store
from clawlogd.settings import Settings
from process.liveness.stage import Record, Shown, Stage
from support.running_daemon import QUICK, RunningDaemon, until

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
    ((task_id, body, _),) = store.tasks()
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
