"""What is over is forgotten in time, and nothing that waits is."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from clawlog.protocol import ids
from clawlog.protocol.errors import RpcError
from clawlogd.clock import SystemClock
from clawlogd.host.housekeeping import Housekeeping
from clawlogd.host.systemd import ServiceManager
from clawlogd.settings import OutboxBounds, Tasks
from support.plain_server import PlainServer
from support.running_daemon import QUICK, RunningDaemon

HOUR_S = 3600.0


class AheadClock(SystemClock):
    """The machine's time, put forward by a test."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def wall_ms(self) -> int:
        return super().wall_ms() + round(self.ahead_s * 1000)

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


@pytest.fixture
def clock() -> AheadClock:
    return AheadClock()


@pytest.fixture
async def daemon(new_daemon: Callable[..., RunningDaemon], clock: AheadClock) -> RunningDaemon:
    settings = msgspec.structs.replace(
        QUICK,
        tasks=Tasks(forget_ended_after_s=HOUR_S, forget_lost_after_s=3 * HOUR_S),
        outbox=OutboxBounds(keep_delivered_s=2 * HOUR_S),
    )
    started = new_daemon(settings, clock=clock)
    await started.start()
    return started


async def tidy(daemon: RunningDaemon) -> None:
    """A minute's chores, now."""

    async def nothing_spooled() -> None:
        """The daemon's own housekeeping drains the spool."""

    chores = Housekeeping(
        services=daemon.services,
        drain_spool=nothing_spooled,
        manager=ServiceManager({}),
        request_shutdown=lambda: None,
        connections=lambda: 1,
        last_command=daemon.services.clock.monotonic,
    )
    await chores.tidy()


async def known(daemon: RunningDaemon) -> set[str]:
    return {task["task_id"] for task in (await daemon.call("task.list"))["tasks"]}


async def test_an_ended_task_is_forgotten_in_time_and_one_that_goes_on_never(
    daemon: RunningDaemon, plain: PlainServer, clock: AheadClock
) -> None:
    for task_id in ("goes-on", "done", "acknowledged"):
        await daemon.call("task.create", title="T", task_id=task_id, base_url=plain.url, steps=["one"])
    await daemon.call("task.update", task_id="done", status="done")
    await daemon.flush()
    plain.ask_to_stop(max(plain.tasks))
    await daemon.call("interrupt.ack", task_id="acknowledged")
    await daemon.flush()
    clock.ahead_s = HOUR_S - 60
    await tidy(daemon)
    assert await known(daemon) == {"goes-on", "done", "acknowledged"}
    clock.ahead_s = HOUR_S + 60
    await daemon.call("task.heartbeat", task_id="goes-on")
    await tidy(daemon)
    assert await known(daemon) == {"goes-on"}
    with pytest.raises(RpcError, match="No task 'done' is known"):
        await daemon.call("task.get", task_id="done")
    await daemon.stop()
    await daemon.start()
    assert await known(daemon) == {"goes-on"}


async def test_a_task_with_events_that_wait_is_never_forgotten(
    daemon: RunningDaemon, plain: PlainServer, clock: AheadClock
) -> None:
    await plain.stop()
    await daemon.call("task.create", title="T", task_id="t", base_url=plain.url)
    await daemon.call("task.update", task_id="t", status="done")
    clock.ahead_s = 1000 * HOUR_S
    await tidy(daemon)
    assert await known(daemon) == {"t"}
    await plain.start()
    await daemon.flush()
    assert plain.only_task.status == "done"
    await tidy(daemon)
    assert await known(daemon) == set()


async def test_delivered_events_are_pruned_in_time_and_until_then_a_repetition_is_known(
    daemon: RunningDaemon, plain: PlainServer, clock: AheadClock
) -> None:
    old, newer = ids.new_uuid(), ids.new_uuid()
    first = await daemon.call("task.create", title="T", task_id="t", base_url=plain.url, event_id=old)
    await daemon.call("task.update", task_id="t", status="running", event_id=newer)
    await daemon.call("task.update", task_id="t", status="running")  # the newest stays: it says how far the numbers have come
    await daemon.flush()
    clock.ahead_s = 2 * HOUR_S - 60
    await tidy(daemon)
    assert await daemon.call("task.create", title="T", event_id=old) == first
    clock.ahead_s = 2 * HOUR_S + 60
    await tidy(daemon)
    raw = [bytes.fromhex(event_id.replace("-", "")) for event_id in (old, newer)]
    assert await daemon.services.outbox.read(lambda store: [store.first_call(each) for each in raw]) == [None, None]
    await daemon.stop()
    await daemon.start()
    status = await daemon.call("daemon.status")
    assert (status["outbox"]["lost"], status["healthy"]) == (0, True)
