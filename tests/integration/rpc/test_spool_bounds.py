"""A spooled call that a bound on tasks or backends keeps out holds back its own task, and nothing else in the spool."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from clawlog.protocol.errors import OUTBOX_FULL, RpcError
from clawlogd.settings import Backends, Settings, Tasks
from support.plain_server import PlainServer
from support.running_daemon import QUICK, RunningDaemon, until
from support.spooling import files, keep

NOBODY = "http://127.0.0.1:11"
BOUNDS = {
    "tasks.max_known": (Settings(tasks=Tasks(max_known=1)), Settings(tasks=Tasks(max_known=9))),
    "backends.max": (Settings(backends=Backends(max=1)), Settings(backends=Backends(max=9))),
}


def bounded(settings: Settings) -> Settings:
    return msgspec.structs.replace(QUICK, tasks=settings.tasks, backends=settings.backends)


async def refused(daemon: RunningDaemon, method: str, **params: Any) -> dict[str, object]:
    with pytest.raises(RpcError) as refusal:
        await daemon.call(method, **params)
    assert refusal.value.code == OUTBOX_FULL
    return refusal.value.data


@pytest.mark.parametrize("bound", BOUNDS)
async def test_a_task_over_a_bound_waits_in_the_spool_in_order_while_others_go_on(
    new_daemon: Any, plain: PlainServer, bound: str
) -> None:
    small, large = BOUNDS[bound]
    daemon: RunningDaemon = new_daemon(bounded(small))
    await daemon.start()
    await daemon.call("task.create", title="Known", task_id="known", base_url=NOBODY if bound == "backends.max" else plain.url)
    keep(daemon.state_dir, "task.create", title="Over", task_id="over", base_url=plain.url)
    keep(daemon.state_dir, "task.update", task_id="over", status="running", summary="spooled")
    keep(daemon.state_dir, "task.update", task_id="known", status="running", summary="goes on")
    assert (await daemon.call("task.get", task_id="known"))["summary"] == "goes on"
    assert len(files(daemon.state_dir)) == 2
    assert (await refused(daemon, "task.update", task_id="over", status="done"))["bound"] == bound
    assert (await refused(daemon, "interrupt.check", task_id="over"))["bound"] == bound
    keep(daemon.state_dir, "task.update", task_id="over", status="done")
    await daemon.call("task.update", task_id="known", status="running", summary="and on")
    status = await daemon.call("daemon.status")
    assert [problem for problem in status["problems"] if bound in problem and "tasks whose calls wait" in problem], status
    daemon.services.live_settings.now = bounded(large)
    await until(lambda: files(daemon.state_dir) == [])
    assert files(daemon.state_dir, "spool/refused") == []
    assert (await daemon.call("task.get", task_id="over"))["status"] == "done"
    await plain.until(lambda: [task.status for task in plain.tasks.values() if task.title == "Over"] == ["done"])
    assert not any("wait in the spool" in problem for problem in (await daemon.call("daemon.status"))["problems"])
