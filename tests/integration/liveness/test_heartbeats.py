"""Beats arrive while the agent is known to live, say on what evidence, and never outlive it or its task."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from clawlog.protocol.errors import RpcError
from clawlogd.model import TaskStatus
from clawlogd.settings import Heartbeat, Http
from support.backend_process import BackendProcess
from support.plain_server import PlainServer, Recorded
from support.running_backend import Api
from support.running_daemon import QUICK, RunningDaemon, until


@pytest.fixture
async def daemon(new_daemon: Any) -> RunningDaemon:
    """A daemon that beats as often as can be set."""
    started: RunningDaemon = new_daemon(msgspec.structs.replace(QUICK, heartbeat=Heartbeat(interval_s=1.0, jitter_s=0.0)))
    await started.start()
    return started


@pytest.fixture
async def agent() -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that runs until its input ends."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-S", "-c", "import sys; sys.stdin.read()", stdin=asyncio.subprocess.PIPE
    )
    yield process
    if process.returncode is None:
        process.kill()
        await process.wait()


async def test_beats_come_by_themselves_on_the_evidence_of_a_command(daemon: RunningDaemon, plain: PlainServer) -> None:
    await daemon.call("task.create", title="T", task_id="t", base_url=plain.url)
    await plain.until(lambda: bool(plain.tasks) and len(plain.only_task.beats) >= 2)
    beat = plain.only_task.beats[-1]
    assert (beat["evidence"], beat["stalled"]) == ("command", False)
    assert beat["agent_seen_at"] < beat["at"]
    assert plain.only_task.beats[0]["agent_seen_at"] == beat["agent_seen_at"]  # the agent's own sign, not the daemon's tick


async def test_what_the_agent_says_with_a_beat_is_passed_on_at_once_and_once(daemon: RunningDaemon, plain: PlainServer) -> None:
    await daemon.call("task.create", title="T", task_id="t", base_url=plain.url)
    await plain.until(lambda: bool(plain.tasks) and bool(plain.only_task.beats))
    answer = await daemon.call("task.heartbeat", task_id="t", summary="writing config\n template")
    assert answer["accepted"] is True
    assert 0 <= answer["next_in_s"] <= 1
    await plain.until(lambda: len(plain.only_task.beats) >= 4)
    said = [beat.get("summary") for beat in plain.only_task.beats]
    assert said.count("writing config template") == 1
    assert (await daemon.call("daemon.status"))["outbox"]["pending"] == 0


async def test_a_running_process_is_evidence_and_its_end_is_reported_at_once(
    daemon: RunningDaemon, embedded: BackendProcess, api: Api, agent: asyncio.subprocess.Process
) -> None:
    await daemon.call("task.create", title="T", task_id="watched", base_url=embedded.url, watch_pid=agent.pid)
    await daemon.flush()

    async def is_shown_as(**expected: str) -> bool:
        liveness = (await api.get("watched"))["liveness"]
        return {name: liveness[name] for name in expected} == expected

    await until(lambda: is_shown_as(state="alive", evidence="process"))
    agent.kill()
    await agent.wait()
    await until(lambda: is_shown_as(state="lost"))
    seen = await api.get("watched")
    assert f"process {agent.pid} ended" in seen["liveness"]["reason"]
    assert seen["events"][-1]["kind"] == "agent_lost"
    local = await daemon.call("task.get", task_id="watched")
    assert local["liveness"]["state"] == "lost"
    await daemon.call("task.update", task_id="watched", status="running")  # it speaks again
    await daemon.flush()
    assert (await daemon.call("task.get", task_id="watched"))["liveness"]["state"] == "alive"


@pytest.mark.parametrize("end", ["done", "failed", "interrupted", "ack"])
async def test_no_beat_comes_after_the_end(daemon: RunningDaemon, plain: PlainServer, end: str) -> None:
    await daemon.call("task.create", title="ended", task_id="ended", base_url=plain.url)
    await daemon.call("task.create", title="goes on", task_id="goes-on", base_url=plain.url)
    await daemon.flush()
    ended, goes_on = sorted(plain.tasks.values(), key=lambda task: task.title)
    await plain.until(lambda: bool(ended.beats) and bool(goes_on.beats))
    if end == "ack":
        plain.ask_to_stop(ended.task_id)
        await daemon.call("interrupt.ack", task_id="ended")
    else:
        await daemon.call("task.update", task_id="ended", status=end)
    beats, others = len(ended.beats), len(goes_on.beats)
    await plain.until(lambda: len(goes_on.beats) >= others + 2)
    assert len(ended.beats) == beats


async def test_a_process_may_be_named_with_a_beat(
    daemon: RunningDaemon, plain: PlainServer, agent: asyncio.subprocess.Process
) -> None:
    await daemon.call("task.create", title="T", task_id="t", base_url=plain.url)
    await daemon.call("task.heartbeat", task_id="t", watch_pid=agent.pid)
    await plain.until(lambda: bool(plain.tasks) and bool(plain.only_task.beats))
    await plain.until(lambda: plain.only_task.beats[-1]["evidence"] == "process")
    assert plain.only_task.beats[-1]["pid"] == agent.pid


async def test_a_server_that_takes_no_beats_still_gets_its_events(daemon: RunningDaemon, plain: PlainServer) -> None:
    plain.intercept = lambda request: 404 if request.path.endswith("/heartbeat") else None
    await daemon.call("task.create", title="T", task_id="t", steps=["one"], base_url=plain.url)
    await plain.until(lambda: sum(request.path.endswith("/heartbeat") for request in plain.requests) >= 2)
    await daemon.call("step.update", task_id="t", step=1, status="done")
    await daemon.flush()
    assert plain.only_task.steps[0].status == "done"
    assert (await daemon.call("daemon.status"))["healthy"] is True


async def test_a_beat_that_the_embedded_backend_refuses_harms_no_other(
    daemon: RunningDaemon, embedded: BackendProcess, api: Api
) -> None:
    for task_id in ("refused-there", "taken-there"):
        await daemon.call("task.create", title="T", task_id=task_id, base_url=embedded.url)
    await daemon.flush()
    # The backend is told behind the daemon's back that one of them is over.
    await api("PATCH", "/api/tasks/refused-there", {"status": "done"})

    async def is_alive() -> bool:
        liveness = (await api.get("taken-there"))["liveness"]
        return bool(liveness["vouched_at"])

    await until(is_alive)
    assert (await api.get("refused-there"))["liveness"]["state"] == "ended"
    assert (await daemon.call("deadletter.list"))["dead_letters"] == []


async def test_a_beat_for_a_finished_task_is_refused(daemon: RunningDaemon, plain: PlainServer) -> None:
    await daemon.call("task.create", title="T", task_id="t", base_url=plain.url)
    await daemon.call("task.update", task_id="t", status="done")
    with pytest.raises(RpcError, match="nothing more is taken for it"):
        await daemon.call("task.heartbeat", task_id="t")


async def test_beats_are_not_saved_up_while_the_backend_is_away(daemon: RunningDaemon, plain: PlainServer) -> None:
    await daemon.call("task.create", title="T", task_id="t", base_url=plain.url)
    await plain.until(lambda: bool(plain.tasks) and bool(plain.only_task.beats))
    tries = 0

    def refuse(request: Any) -> int | None:
        nonlocal tries
        tries += request.path.endswith("/heartbeat")
        return 503

    plain.intercept = refuse
    for number in range(5):
        await daemon.call("task.heartbeat", task_id="t", summary=f"number {number}")
    await plain.until(lambda: tries >= 5)
    plain.intercept = lambda _: None
    before = len(plain.only_task.beats)
    await plain.until(lambda: len(plain.only_task.beats) > before)
    assert plain.only_task.beats[before].get("summary") == "number 4"
    times = [beat["at"] for beat in plain.only_task.beats]
    assert times == sorted(set(times))


async def test_no_heartbeat_of_a_task_that_ended_while_those_of_others_were_sent(
    new_daemon: Callable[..., RunningDaemon], plain: PlainServer
) -> None:
    daemon = new_daemon(msgspec.structs.replace(QUICK, http=Http(max_parallel=1)))
    await daemon.start()
    for task_id in "ab":
        await daemon.call("task.create", title=task_id, task_id=task_id, base_url=plain.url)
    await daemon.flush()
    await plain.until(lambda: all(task.beats for task in plain.tasks.values()))
    registry, told = daemon.services.registry, {task_id: len(plain.tasks[n].beats) for n, task_id in _numbered(plain)}
    first: list[str] = []

    def end_the_other(request: Recorded) -> None:
        if request.path.endswith("/heartbeat") and not first:
            first.append(request.path.split("/")[3])
            (other,) = [task for task in registry if task.remote_id != first[0]]
            registry.put(msgspec.structs.replace(other, status=TaskStatus.DONE))

    plain.intercept = end_the_other
    for task_id in "ab":
        daemon.services.heartbeats._due.setdefault(plain.url, {})[task_id] = None  # noqa: SLF001 - both in one round
    daemon.services.backends.wake(plain.url)
    await plain.until(lambda: bool(first) and any(len(plain.tasks[n].beats) > told[task] for n, task in _numbered(plain)))
    await daemon.call("task.create", title="c", task_id="c", base_url=plain.url)
    await daemon.flush()  # another round is over
    assert sum(len(plain.tasks[n].beats) - told[task] for n, task in _numbered(plain) if task in told) == 1


def _numbered(plain: PlainServer) -> list[tuple[int, str]]:
    return [(number, task.title) for number, task in plain.tasks.items()]
