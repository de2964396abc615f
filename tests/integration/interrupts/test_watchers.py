"""Whoever waits for a stop is told of it, over every listener; and who waits for an agent is no sign that the agent lives."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from clawlogd.clock import SystemClock
from support.backend_process import BackendProcess
from support.callers import Caller, DealerCaller, DelimitingDealerCaller, call
from support.polled_server import PolledServer
from support.running_backend import Api
from support.running_daemon import QUICK, RunningDaemon, until

WATCHERS = 40


class HurriedClock(SystemClock):
    """The machine's clock, which a test puts forward."""

    ahead_s = 0.0

    def wall_ms(self) -> int:
        return super().wall_ms() + round(self.ahead_s * 1000)

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


async def next_change(caller: Caller) -> dict[str, Any]:
    told = json.loads(await caller.receive())
    assert told["method"] == "interrupt.changed"
    return dict(told["params"])


async def ask_to_stop(api: Api, task_id: str) -> str:
    status, stop = await api("POST", f"/api/tasks/{task_id}/interrupt", {"mode": "soft_stop", "reason": "wrong host"})
    assert status == 201
    return str(stop["interrupt_id"])


async def test_any_number_of_watchers_is_told_over_both_listeners(
    new_daemon: Callable[..., RunningDaemon], embedded: BackendProcess, api: Api, folder: Path
) -> None:
    endpoint = f"ipc://{folder}/z.sock"
    daemon = new_daemon(msgspec.structs.replace(QUICK, zmq=endpoint))
    await daemon.start()
    await daemon.call("task.create", title="T", task_id="watched-by-many", base_url=embedded.url)
    await daemon.flush()
    on_unix: list[Caller] = [await daemon.connect() for _ in range(WATCHERS)]
    on_zeromq: list[Caller] = [DealerCaller(endpoint), DelimitingDealerCaller(endpoint), DealerCaller(endpoint)]
    try:
        for watcher in [*on_unix, *on_zeromq]:
            assert (await call(watcher, "interrupt.watch", task_id="watched-by-many"))["state"] == "none"
        gone = on_unix.pop()
        await gone.close()
        interrupt_id = await ask_to_stop(api, "watched-by-many")
        for watcher in [*on_unix, *on_zeromq]:
            told = await next_change(watcher)
            assert (told["task_id"], told["state"], told["interrupt_id"]) == ("watched-by-many", "requested", interrupt_id)
        await daemon.call("interrupt.ack", task_id="watched-by-many")
        for watcher in [*on_unix, *on_zeromq]:
            assert (await next_change(watcher))["state"] == "acknowledged"
    finally:
        for caller in on_zeromq:
            await caller.close()


async def test_the_receipts_of_a_stop_and_both_ages_of_its_task_are_shown_with_their_times(
    daemon: RunningDaemon, embedded: BackendProcess, api: Api
) -> None:
    agent = await asyncio.create_subprocess_exec("sleep", "600")
    try:
        await daemon.call("task.create", title="T", task_id="shown", base_url=embedded.url, watch_pid=agent.pid)
        await daemon.flush()

        async def is_alive() -> bool:
            return bool((await api.get("shown"))["liveness"]["state"] == "alive")

        await until(is_alive)
        liveness = (await api.get("shown"))["liveness"]
        assert (liveness["evidence"], liveness["pid"], liveness["stalled"]) == ("process", agent.pid, False)
        assert liveness["agent_seen_at"] <= liveness["vouched_at"]
        interrupt_id = await ask_to_stop(api, "shown")
        assert (await daemon.call("interrupt.check", task_id="shown", wait_s=20))["interrupt_id"] == interrupt_id
        await daemon.call("interrupt.ack", task_id="shown", summary="stopped after the step")
        await daemon.flush()
        shown = await api.get("shown")
        stop = shown["stop"]
        assert stop["requested_at"] <= stop["seen_at"] <= stop["delivered_at"] <= stop["acknowledged_at"]
        assert (stop["ack_summary"], shown["status"], shown["liveness"]["state"]) == (
            "stopped after the step",
            "interrupted",
            "ended",
        )
        receipts = [event["kind"] for event in shown["events"] if event["kind"].startswith("interrupt_")]
        assert receipts == ["interrupt_requested", "interrupt_seen", "interrupt_delivered", "interrupt_ack"]
    finally:
        agent.kill()
        await agent.wait()


async def test_a_watch_begins_with_fresh_knowledge_and_says_when_there_is_none(
    new_daemon: Callable[..., RunningDaemon], polled: PolledServer
) -> None:
    clock = HurriedClock()
    daemon = new_daemon(clock=clock)
    await daemon.start()
    await daemon.call("task.create", title="T", task_id="t", base_url=polled.url)
    await daemon.flush()
    await until(lambda: any(poll.wait_s for poll in polled.polls))
    clock.ahead_s = 30.0  # what was known is old by now, so the backend is asked
    assert (await call(await daemon.connect(), "interrupt.watch", task_id="t"))["state"] == "none"
    assert "t" in polled.asked_singly
    await polled.stop()
    clock.ahead_s = 60.0
    state = await call(await daemon.connect(), "interrupt.watch", task_id="t")
    assert (state["state"], state["interrupt_requested"]) == ("unknown", False)
    assert state["age_s"] >= 30


async def test_who_waits_for_an_agents_stop_does_not_pass_for_the_agent(
    new_daemon: Callable[..., RunningDaemon], polled: PolledServer
) -> None:
    clock = HurriedClock()
    daemon = new_daemon(clock=clock)
    await daemon.start()
    await daemon.call("task.create", title="T", task_id="t", base_url=polled.url)
    await daemon.flush()

    async def seen_at() -> str:
        return str((await daemon.call("task.get", task_id="t"))["liveness"]["agent_seen_at"])

    created = await seen_at()
    clock.ahead_s = 10.0
    await daemon.call("interrupt.check", task_id="t", wait_s=0.01)
    await call(await daemon.connect(), "interrupt.watch", task_id="t")
    await daemon.call("task.list")
    assert await seen_at() == created
    await daemon.call("interrupt.check", task_id="t")
    assert await seen_at() > created
