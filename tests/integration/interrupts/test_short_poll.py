"""Where each task has to be asked about by itself, a budget is kept, and those that matter most come first."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import msgspec
import pytest

from clawlogd.settings import Poll
from support.polled_server import PolledServer
from support.running_daemon import QUICK, RunningDaemon, until

TASKS = 60


@pytest.fixture
async def daemon(new_daemon: Callable[..., RunningDaemon], polled: PolledServer) -> RunningDaemon:
    """A daemon whose backend has no batch route for polls, with many tasks and a budget for a few of them."""
    polled.poll_status = 404
    started = new_daemon(msgspec.structs.replace(QUICK, poll=Poll(interval_s=0.2, budget_per_s=45.0)))
    await started.start()
    for number in range(TASKS):
        await started.call("task.create", title="T", task_id=f"t{number}", base_url=polled.url)
    await started.flush()
    return started


async def test_the_budget_is_kept_and_every_task_has_its_turn(daemon: RunningDaemon, polled: PolledServer) -> None:
    await until(lambda: polled.asked_singly)
    before, loop = len(polled.asked_singly), asyncio.get_running_loop()
    started = loop.time()
    await until(lambda: set(polled.asked_singly) == {f"t{number}" for number in range(TASKS)})
    await daemon.call("task.create", title="T", task_id="another", base_url=polled.url)  # makes no turn come sooner
    spent = loop.time() - started
    assert len(polled.asked_singly) - before <= 7 * (spent / (0.2 * 0.8) + 2)


async def test_who_was_active_last_and_who_is_waited_for_is_asked_about_in_every_turn(
    daemon: RunningDaemon, polled: PolledServer
) -> None:
    watcher = await daemon.connect()
    await watcher.send(b'{"jsonrpc":"2.0","id":1,"method":"interrupt.check","params":{"task_id":"t7","wait_s":60}}')
    await daemon.call("task.heartbeat", task_id="t3")
    await until(lambda: "t7" in daemon.services.interrupts.awaited)
    polled.asked_singly.clear()
    await until(lambda: len(polled.asked_singly) >= 80)
    times = Counter(polled.asked_singly)
    assert times["t7"] >= 8
    assert times["t3"] >= 8
    polled.ask_to_stop("t7", "s1")
    assert b'"state":"requested"' in await watcher.receive()


async def test_a_stop_is_found_for_a_task_that_nobody_speaks_of(daemon: RunningDaemon, polled: PolledServer) -> None:
    polled.ask_to_stop("t0", "s1")
    await until(lambda: [each["task_id"] for each in polled.kinds("interrupt_seen")] == ["t0"])
