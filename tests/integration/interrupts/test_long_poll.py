"""Stops are looked for by held requests: quickly found, cheap for thousands of tasks, and never in a hot loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from clawlogd.clock import SystemClock
from clawlogd.interrupts.closing import Closings
from clawlogd.interrupts.long_poll import LongPolls
from clawlogd.settings import Heartbeat, LiveSettings, Poll
from clawlogd.upstream.client import Upstream
from clawlogd.upstream.tokens import TokenSource
from support.polled_server import PolledServer
from support.running_daemon import QUICK, RunningDaemon, until
from support.sidecar import Sidecar

HELD = msgspec.structs.replace(QUICK, poll=Poll(interval_s=0.2, wait_s=50.0))


@pytest.fixture
async def daemon(new_daemon: Callable[..., RunningDaemon]) -> RunningDaemon:
    """A daemon whose requests are held for as long as in earnest."""
    started = new_daemon(HELD)
    await started.start()
    return started


async def create(daemon: RunningDaemon, polled: PolledServer, *task_ids: str) -> None:
    for task_id in task_ids:
        await daemon.call("task.create", title="T", task_id=task_id, base_url=polled.url)
    await daemon.flush()


def held_now(polled: PolledServer) -> frozenset[str]:
    """The tasks of the last request that asked to be held."""
    held = [poll.task_ids for poll in polled.polls if poll.wait_s > 0]
    return held[-1] if held else frozenset()


async def seen(polled: PolledServer, *task_ids: str) -> None:
    await until(lambda: {each["task_id"] for each in polled.kinds("interrupt_seen")} >= set(task_ids))


async def test_a_task_that_comes_while_a_request_is_held_is_under_watch_at_once_at_no_cost_to_the_others(
    daemon: RunningDaemon, polled: PolledServer
) -> None:
    old = [f"old-{number}" for number in range(300)]
    for task_id in old:
        await daemon.call("task.create", title="T", task_id=task_id, base_url=polled.url)
    await daemon.flush()
    await until(lambda: max(len(poll.task_ids) for poll in polled.polls if poll.wait_s) >= 280)
    settled = len(polled.polls)
    loop = asyncio.get_running_loop()
    for number in range(3):
        started = loop.time()
        await create(daemon, polled, f"new-{number}")
        await until(lambda number=number: f"new-{number}" in held_now(polled))
        assert polled.polls[-1].at - started < 2.0  # a tenth of a second, on a machine that has nothing else to do
    large = [poll for poll in polled.polls[settled:] if len(poll.task_ids) > 20]
    assert len(large) <= 1  # the large request stays held, or is begun anew once to take the newcomers over
    polled.ask_to_stop("new-1", "s1")
    polled.ask_to_stop("old-7", "s2")
    await seen(polled, "new-1", "old-7")


async def test_newcomers_are_taken_over_and_nothing_is_missed_or_told_twice_meanwhile(
    daemon: RunningDaemon, polled: PolledServer
) -> None:
    task_ids = [f"t{number}" for number in range(12)]
    for number, task_id in enumerate(task_ids):
        await create(daemon, polled, task_id)
        polled.ask_to_stop(task_id, f"stop-{number}")  # each stop ends the large request, which takes the newcomers over
    await seen(polled, *task_ids)
    told = [event["interrupt_id"] for event in polled.kinds("interrupt_seen")]
    assert sorted(told) == sorted(f"stop-{number}" for number in range(12))


async def test_a_stop_that_stood_before_the_task_came_under_watch_is_found(daemon: RunningDaemon, polled: PolledServer) -> None:
    polled.ask_to_stop("early", "s1")
    await create(daemon, polled, "early")
    await seen(polled, "early")


async def test_a_server_that_does_not_hold_requests_is_asked_at_intervals(daemon: RunningDaemon, polled: PolledServer) -> None:
    polled.holds = False
    await create(daemon, polled, "t")
    await until(lambda: len(polled.polls) >= 6)
    assert polled.polls[5].at - polled.polls[0].at >= 3 * 0.2 * 0.8
    polled.ask_to_stop("t", "s1")
    await seen(polled, "t")


async def test_a_server_that_repeats_itself_is_asked_at_intervals_and_its_stop_is_one(
    daemon: RunningDaemon, polled: PolledServer
) -> None:
    polled.minds_cursor = False
    polled.ask_to_stop("t", "s1")
    await create(daemon, polled, "t")
    await seen(polled, "t")
    before, started = len(polled.polls), asyncio.get_running_loop().time()
    await until(lambda: len(polled.polls) >= before + 5)
    assert asyncio.get_running_loop().time() - started >= 3 * 0.2 * 0.8
    await daemon.flush()
    assert len(polled.kinds("interrupt_seen")) == 1


async def test_a_stop_that_is_withdrawn_is_none_and_one_asked_for_again_is_another(
    daemon: RunningDaemon, polled: PolledServer
) -> None:
    await create(daemon, polled, "t")
    polled.ask_to_stop("t", "s1")
    await seen(polled, "t")
    polled.withdraw("t")
    await until(lambda: not (daemon.state_dir / "run" / "stop" / "t").exists())
    polled.ask_to_stop("t", "s2")
    await until(lambda: [each["interrupt_id"] for each in polled.kinds("interrupt_seen")] == ["s1", "s2"])


async def test_a_stop_asked_for_while_the_backend_was_away_is_found_when_it_is_back(
    daemon: RunningDaemon, polled: PolledServer
) -> None:
    await create(daemon, polled, "t")
    await until(lambda: "t" in held_now(polled))
    await polled.stop()
    polled.ask_to_stop("t", "s1")
    unknown = await daemon.call("interrupt.check", task_id="t", max_age_s=0)
    assert unknown["state"] == "unknown"
    await polled.start()
    await seen(polled, "t")
    assert (await daemon.call("interrupt.check", task_id="t"))["state"] == "requested"


async def test_an_answer_that_was_long_on_its_way_is_no_fresh_no(
    new_daemon: Callable[..., RunningDaemon], polled: PolledServer
) -> None:
    daemon = new_daemon(msgspec.structs.replace(QUICK, poll=Poll(interval_s=0.2, wait_s=0.5)))
    await daemon.start()
    polled.late_s = 1.5
    await create(daemon, polled, "t")
    await until(lambda: "t" in held_now(polled))
    before = len(polled.polls)
    await asyncio.sleep(1.0)  # that it is not asked to stop is under way
    polled.ask_to_stop("t", "s1")
    await until(lambda: len(polled.polls) > before)
    assert (await daemon.call("interrupt.check", task_id="t", max_age_s=0.9))["interrupt_id"] == "s1"


async def test_a_stop_passes_deliveries_that_hang(daemon: RunningDaemon, polled: PolledServer) -> None:
    await create(daemon, polled, "t")
    await until(lambda: "t" in held_now(polled))
    polled.taking.clear()
    for status in ("running", "running"):
        await daemon.call("task.update", task_id="t", status=status)
    started = asyncio.get_running_loop().time()
    check = asyncio.create_task(daemon.call("interrupt.check", task_id="t", wait_s=30))
    await until(lambda: "t" in daemon.services.interrupts.awaited)
    polled.ask_to_stop("t", "s1")
    assert (await check)["state"] == "requested"
    assert asyncio.get_running_loop().time() - started < 5
    polled.taking.set()
    await seen(polled, "t")


async def test_held_requests_are_begun_anew_after_the_machine_slept(daemon: RunningDaemon, polled: PolledServer) -> None:
    await create(daemon, polled, "t")
    await until(lambda: "t" in held_now(polled))
    before = len(polled.polls)
    daemon.services.backends.retry_now()
    await until(lambda: len(polled.polls) > before and "t" in held_now(polled))
    polled.ask_to_stop("t", "s1")
    await seen(polled, "t")


@pytest.mark.parametrize("status", [404, 405, 413, 422, 501])
async def test_a_server_whose_batch_route_does_not_serve_us_is_asked_task_by_task(
    daemon: RunningDaemon, polled: PolledServer, status: int
) -> None:
    polled.poll_status = status
    await create(daemon, polled, "t")
    await until(lambda: "t" in polled.asked_singly)
    polled.ask_to_stop("t", "s1")
    await seen(polled, "t")
    assert len(polled.polls) == 1


async def test_ten_thousand_tasks_are_held_in_few_requests_and_hold_up_nobody(
    polled: PolledServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SystemClock()
    sidecar = await Sidecar.over(tmp_path / "state", clock, Heartbeat())
    settings = LiveSettings(HELD)
    upstream = Upstream(base_url=polled.url, tokens=TokenSource(env={}, settings=settings), settings=settings, clock=clock)
    polls = LongPolls(
        upstream=upstream,
        registry=sidecar.registry,
        interrupts=sidecar.interrupts,
        closings=Closings(upstream=upstream, registry=sidecar.registry, interrupts=sidecar.interrupts, clock=clock),
        settings=settings,
        clock=clock,
        most_ids=4000,
    )
    for number in range(10_000):
        sidecar.create(f"t{number}", base_url=polled.url)
        polls.add(f"t{number}", f"t{number}")
    taken_in, confirm, loop = [0], sidecar.interrupts.confirm, asyncio.get_running_loop()

    def count(task_id: str, at: float) -> None:
        taken_in[-1] += 1
        confirm(task_id, at)

    def turn() -> None:
        taken_in.append(0)
        nonlocal turns
        turns = loop.call_soon(turn)

    turns = loop.call_soon(turn)
    monkeypatch.setattr(sidecar.interrupts, "confirm", count)
    running = asyncio.create_task(polls.run())
    try:
        await until(lambda: len(frozenset().union(*(poll.task_ids for poll in polled.polls if poll.wait_s))) == 10_000)
        assert max(len(poll.task_ids) for poll in polled.polls) <= 4000
        await until(lambda: len(polled.polls) >= 6)
        for number in (0, 5000, 9999):
            polled.ask_to_stop(f"t{number}", f"stop-{number}")
        await until(lambda: all(sidecar.task(f"t{number}").interrupt_pending for number in (0, 5000, 9999)))
        assert len(polled.polls) < 20
        assert sum(taken_in) >= 10_000
        assert max(taken_in) <= 2000  # between two turns of all else, of four requests together
    finally:
        turns.cancel()
        running.cancel()
        await asyncio.wait([running])
        await upstream.close()
        await sidecar.close()
