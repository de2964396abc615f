"""Beats have their place in the lane: a share of every request, however much waits, and their own time in an outage."""

from __future__ import annotations

from collections.abc import Callable
from itertools import takewhile

import msgspec
import pytest

from clawlogd.settings import Heartbeat
from clawlogd.upstream.breaker import Breaker
from support.polled_server import PolledServer
from support.running_daemon import QUICK, RunningDaemon, until

OFTEN = msgspec.structs.replace(QUICK, heartbeat=Heartbeat(interval_s=1.0, jitter_s=0.0))


@pytest.fixture
async def daemon(new_daemon: Callable[..., RunningDaemon]) -> RunningDaemon:
    """A daemon that beats as often as can be set."""
    started = new_daemon(OFTEN)
    await started.start()
    return started


async def test_a_backlog_does_not_hold_up_beats(daemon: RunningDaemon, polled: PolledServer) -> None:
    await daemon.call("task.create", title="T", task_id="t", steps=["one"], base_url=polled.url)
    await daemon.flush()
    await until(lambda: polled.kinds("heartbeat"))
    polled.taking.clear()
    caller = await daemon.connect()
    update = b'{"jsonrpc":"2.0","method":"step.update","params":{"task_id":"t","step":1,"status":"running"}}'
    for _ in range(4000):
        await caller.send(update)
    before = len(polled.events)
    await until(lambda: daemon.services.outbox.counts.waiting >= 4000)
    await until(lambda: daemon.services.heartbeats.due_count(polled.url) == 1)
    polled.taking.set()
    await daemon.flush()
    first = len(list(takewhile(lambda event: event["kind"] != "heartbeat", polled.events[before:])))
    assert first <= 2000  # the request that hung, and the events of the next one
    assert len(polled.kinds("step_status")) == 4000


async def test_a_backend_that_is_back_hears_of_the_living_within_a_beats_time_however_long_it_was_away(
    daemon: RunningDaemon, polled: PolledServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Breaker, "failed", _long_pause)
    await daemon.call("task.create", title="T", task_id="t", base_url=polled.url)
    await daemon.flush()
    await until(lambda: polled.kinds("heartbeat"))
    await polled.stop()
    await until(lambda: daemon.services.heartbeats.due_count(polled.url) == 1)
    beats = len(polled.kinds("heartbeat"))
    await polled.start()
    await until(lambda: len(polled.kinds("heartbeat")) > beats, timeout_s=10)
    assert polled.kinds("heartbeat")[-1]["agent_seen_at"] <= polled.kinds("heartbeat")[-1]["at"]


def _long_pause(breaker: Breaker, retry_after_s: float | None = None) -> float:
    breaker.failures += 1
    return 60.0
