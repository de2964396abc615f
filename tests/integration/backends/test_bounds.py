"""A backend costs the daemon a lane, a watcher and connections: there are so many at most, and they end with their tasks."""

from __future__ import annotations

from typing import Any

import pytest

from clawlog.protocol.errors import OUTBOX_FULL, RpcError
from support.daemon_process import DaemonProcess
from support.plain_server import PlainServer
from support.running_daemon import until


async def lanes(process: DaemonProcess) -> set[str]:
    return {each["base_url"] for each in (await process.call("daemon.status"))["backends"]}


@pytest.fixture
def bounded(new_process: Any, plain: PlainServer) -> DaemonProcess:
    return new_process(CLAWLOG_BASE_URL=plain.url, CLAWLOG_BACKENDS_MAX="3", CLAWLOG_BACKENDS_END_IDLE_AFTER_S="0.2")


async def test_a_task_for_one_backend_too_many_is_refused_and_others_are_not(bounded: DaemonProcess) -> None:
    await bounded.start()
    for port in (11, 12, 13):
        await bounded.call("task.create", title="T", base_url=f"http://127.0.0.1:{port}")
    with pytest.raises(RpcError, match=r"backends\.max") as refused:
        await bounded.call("task.create", title="T", base_url="http://127.0.0.1:14")
    assert (refused.value.code, refused.value.data["bound"]) == (OUTBOX_FULL, "backends.max")
    await bounded.call("task.create", title="T", base_url="http://127.0.0.1:13")
    assert len(await lanes(bounded)) == 3


async def test_the_lane_of_a_backend_without_tasks_and_events_ends(bounded: DaemonProcess, plain: PlainServer) -> None:
    await bounded.start()
    await bounded.call("task.create", title="T", task_id="t")
    assert plain.url in await lanes(bounded)
    await bounded.call("task.update", task_id="t", status="done")

    async def ended() -> bool:
        return plain.url not in await lanes(bounded)

    await until(ended, 8.0)
    await bounded.call("task.update", task_id="t", status="running", summary="again")
    await plain.until(lambda: plain.only_task.summary == "again")
    assert plain.url in await lanes(bounded)


async def test_a_lane_with_events_that_wait_stays(bounded: DaemonProcess, plain: PlainServer) -> None:
    plain.intercept = lambda _: 503
    await bounded.start()
    await bounded.call("task.create", title="T", task_id="t")
    await bounded.call("task.update", task_id="t", status="done")
    await bounded.call("task.create", title="U", task_id="u", base_url="http://127.0.0.1:11")
    await bounded.call("task.update", task_id="u", status="done")
    with pytest.raises(AssertionError):
        await until(lambda: _fewer(bounded), 3.0)
    plain.intercept = lambda _: None
    await plain.until(lambda: len(plain.tasks) == 1 and plain.only_task.status == "done")


async def _fewer(process: DaemonProcess) -> bool:
    return len(await lanes(process)) < 2
