"""A beat every 15 s or so for each task, never all together, whatever an outage, a restart or a suspend does."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

from clawlogd.clock import rfc3339
from clawlogd.model import EventKind, Evidence
from support.sidecar import URL, Sidecar, SteppedClock
from unit.daemon.conftest import Start


def gaps(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(times)]


async def test_a_beat_comes_at_once_and_then_every_13_to_17_s(sidecar: Sidecar, running: Any) -> None:
    sidecar.create(watched=running)
    times = [passed for passed, _ in sidecar.beats_within(3600, step_s=0.25)]
    assert times[0] == 0
    assert times[1] <= 15
    between = gaps(times[1:])
    assert min(between) >= 13
    assert max(between) <= 17
    assert len(set(between)) > 1  # drawn anew each time


async def test_the_beats_of_ten_thousand_tasks_created_together_are_spread_and_share_requests(
    sidecar: Sidecar, running: Any
) -> None:
    for number in range(10_000):
        sidecar.create(f"t{number}", watched=running)
    assert len(sidecar.beats()) == 10_000  # each is shown alive at once
    sidecar.woken.clear()
    in_second: Counter[int] = Counter()
    for passed, _ in sidecar.beats_within(60, step_s=1.0):
        in_second[int(passed)] += 1
    assert max(in_second.values()) < 3 * 10_000 / 15
    assert len(sidecar.woken) <= 61  # one request a second, not one a beat


async def test_tasks_of_several_backends_wake_each_its_own_lane(sidecar: Sidecar, running: Any) -> None:
    sidecar.create("a", watched=running)
    sidecar.create("b", watched=running, base_url="http://other.test")
    sidecar.beats_within(17)
    assert set(sidecar.woken) == {URL, "http://other.test"}
    assert {beat.task_id for beat in sidecar.heartbeats.take("http://other.test", 10, 1 << 20)} <= {"b"}


async def test_a_task_that_its_backend_does_not_have_yet_is_not_vouched_for_there(sidecar: Sidecar, running: Any) -> None:
    sidecar.create(watched=running, upstream=False)
    assert sidecar.beats_within(60) == []
    sidecar.change(upstream=True)
    (beat,) = sidecar.beats()
    assert beat.evidence is Evidence.PROCESS


async def test_an_outage_saves_up_nothing_and_the_first_beat_after_it_is_of_that_moment(
    sidecar: Sidecar, running: Any, clock: SteppedClock
) -> None:
    sidecar.create(watched=running)
    for _ in range(600):  # ten minutes in which the lane takes nothing
        sidecar.heartbeats.tick()
        clock.pass_(1)
    assert sidecar.heartbeats.due_count(URL) == 1
    (beat,) = sidecar.heartbeats.take(URL, 1000, 1 << 20)
    assert beat.at == rfc3339(clock.wall_ms())


async def test_a_request_takes_no_more_beats_than_it_has_room_for(sidecar: Sidecar, running: Any) -> None:
    for number in range(50):
        sidecar.create(f"t{number}", watched=running)
        sidecar.command(f"t{number}", summary="写" * 100)
    sidecar.heartbeats.tick()
    assert len(sidecar.heartbeats.take(URL, 20, 1 << 20)) == 20
    assert len(sidecar.heartbeats.take(URL, 20, 2000)) == 3
    assert sidecar.heartbeats.due_count(URL) == 27


async def test_after_a_suspend_nobody_is_lost_before_a_full_lease_has_passed_awake(
    sidecar: Sidecar, clock: SteppedClock
) -> None:
    sidecar.create(lease_s=60.0)
    sidecar.beats_within(50)
    clock.suspend(3600)
    sidecar.heartbeats.tick()
    assert sidecar.slept == 1
    beats = sidecar.beats_within(59)
    assert sidecar.task().live
    assert {passed <= 10 for passed, _ in beats} <= {True}  # not lost, but vouched for within its lease alone
    sidecar.beats_within(2)
    assert not sidecar.task().live


async def test_a_suspend_neither_makes_a_process_stalled_nor_a_step_back_of_the_clock_anyone_lost(
    sidecar: Sidecar, clock: SteppedClock, running: Any
) -> None:
    sidecar.create(watched=running)
    sidecar.create("by-command")
    sidecar.beats_within(60)
    clock.suspend(3600)
    assert {beat.stalled for _, beat in sidecar.beats_within(30)} == {False}
    clock.suspend(-7200)
    sidecar.beats_within(20)
    assert sidecar.task("by-command").live
    sidecar.command("by-command")
    assert sidecar.liveness.seen_ms(sidecar.task("by-command")) == clock.wall_ms()


async def test_a_restart_forgets_neither_the_last_sign_nor_the_lease(start: Start, clock: SteppedClock) -> None:
    first: Sidecar = await start()
    first.begin()
    first.create()
    clock.pass_(30)
    first.command(lease_s=900)
    said_ms = clock.wall_ms()
    await first.events()
    await first.close()  # as after kill -9: nothing was saved at an end
    clock.pass_(600)
    second: Sidecar = await start()
    second.begin()
    beats = second.beats_within(290)
    assert {(beat.evidence, beat.agent_seen_at) for _, beat in beats} == {(Evidence.COMMAND, rfc3339(said_ms))}
    assert beats[0][0] <= 1
    assert second.task().live
    second.beats_within(20)
    assert not second.task().live


async def test_the_last_sign_is_on_disk_within_a_housekeeping_round(start: Start, clock: SteppedClock) -> None:
    first: Sidecar = await start()
    first.begin()
    first.create()
    clock.pass_(30)
    first.command()
    first.liveness.save_last_seen()
    await first.events()
    await first.close()
    second: Sidecar = await start()
    assert second.task().seen_ms == clock.wall_ms()


async def test_after_a_restart_a_lease_that_ran_out_meanwhile_vouches_for_nothing_and_gets_one_beats_time(
    start: Start, clock: SteppedClock
) -> None:
    first: Sidecar = await start()
    first.begin()
    first.create()
    await first.events()
    await first.close()
    clock.pass_(600)
    second: Sidecar = await start()
    second.begin()
    assert second.beats_within(14) == []
    assert second.task().live
    second.beats_within(2)
    assert not second.task().live


async def test_after_a_restart_a_process_that_still_runs_is_vouched_for_and_one_that_ended_or_was_replaced_is_lost_at_once(
    start: Start, clock: SteppedClock, running: Any, dead: Any
) -> None:
    first: Sidecar = await start()
    first.create("runs", watched=running)
    first.create("replaced", watched=dead)
    await first.events()
    await first.close()
    clock.pass_(5)
    second: Sidecar = await start()
    second.begin()
    assert [beat.task_id for _, beat in second.beats_within(1)] == ["runs"]
    assert [(event.task_id, event.kind) for event in await second.events()] == [("replaced", EventKind.AGENT_LOST)]


async def test_after_a_restart_ten_thousand_tasks_beat_within_an_interval_but_not_together(
    start: Start, clock: SteppedClock, running: Any
) -> None:
    first: Sidecar = await start()
    for number in range(10_000):
        first.create(f"t{number}", watched=running)
    await first.events()
    await first.close()
    second: Sidecar = await start()
    second.begin()
    in_second: Counter[int] = Counter()
    seen: set[str] = set()
    for passed, beat in second.beats_within(16, step_s=0.5):
        in_second[int(passed)] += 1
        seen.add(beat.task_id)
    assert len(seen) == 10_000
    assert max(in_second.values()) < 3 * 10_000 / 15
