"""``daemon.flush`` returns when nothing waits any more, when it cannot get better, or at its time."""

from __future__ import annotations

import asyncio

from support.plain_server import PlainServer
from support.running_daemon import RunningDaemon, until


async def test_with_nothing_to_deliver_it_returns_at_once(daemon: RunningDaemon) -> None:
    assert await daemon.call("daemon.flush", timeout_s=60) == {"flushed": True, "pending": 0}


async def test_it_returns_when_the_last_event_has_arrived(daemon: RunningDaemon, plain: PlainServer) -> None:
    for number in range(20):
        await daemon.call("task.create", title=f"{number}", base_url=plain.url)
    assert await daemon.call("daemon.flush", timeout_s=30) == {"flushed": True, "pending": 0}
    assert len(plain.events) == 20


async def test_at_its_time_it_says_how_much_waits(daemon: RunningDaemon, plain: PlainServer) -> None:
    await plain.stop()
    await daemon.call("task.create", title="T", task_id="t", base_url=plain.url)
    await daemon.call("task.update", task_id="t", status="running")
    for timeout_s in (0, 0.2):
        assert await daemon.call("daemon.flush", timeout_s=timeout_s) == {"flushed": False, "pending": 2}


async def test_of_one_task_it_does_not_wait_for_others(daemon: RunningDaemon, plain: PlainServer) -> None:
    await daemon.call("task.create", title="T", task_id="away", base_url="http://127.0.0.1:9")
    await daemon.call("task.create", title="T", task_id="here", base_url=plain.url)
    assert await daemon.call("daemon.flush", task_id="here", timeout_s=30) == {"flushed": True, "pending": 0}
    assert await daemon.call("daemon.flush", task_id="away", timeout_s=0.1) == {"flushed": False, "pending": 1}


async def test_one_that_waits_sees_the_backend_come_back(daemon: RunningDaemon, plain: PlainServer) -> None:
    await plain.stop()
    await daemon.call("task.create", title="T", task_id="t", base_url=plain.url)
    flush = asyncio.create_task(daemon.call("daemon.flush", timeout_s=30))
    await until(lambda: len(list(daemon.services.backends)) == 1)
    await plain.start()
    assert await flush == {"flushed": True, "pending": 0}
