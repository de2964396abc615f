"""A task that waits for a person is neither quiet, stalled nor lost for its silence; the end of its watched process is seen."""

from __future__ import annotations

import asyncio
import signal

import pytest

from clawlogd.liveness.evidence import LifeState
from clawlogd.liveness.processes import stopped
from clawlogd.model import EventKind, Evidence, Progress, TaskStatus, WatchedProcess
from support.running_daemon import until
from support.sidecar import Sidecar, SteppedClock
from unit.daemon.conftest import Start

HOUR_S = 3600.0


async def losses(sidecar: Sidecar) -> int:
    return sum(event.kind is EventKind.AGENT_LOST for event in await sidecar.events())


def wait(sidecar: Sidecar) -> None:
    sidecar.change(status=TaskStatus.WAITING, waiting_ms=sidecar.clock.wall_ms(), summary="Which host?")
    sidecar.command()


def resume(sidecar: Sidecar) -> None:
    sidecar.change(status=TaskStatus.RUNNING, waiting_ms=None)


def states_within(sidecar: Sidecar, seconds: float) -> set[LifeState]:
    states = set()
    for _ in range(int(seconds / 5)):
        sidecar.beats()
        states.add(sidecar.liveness.state(sidecar.task())[0])
        sidecar.clock.pass_(5)
    return states


async def test_an_hour_of_waiting_is_no_silence_and_brings_no_beats(sidecar: Sidecar) -> None:
    sidecar.create(lease_s=5.0)
    sidecar.beats()
    wait(sidecar)
    assert sidecar.beats_within(HOUR_S) == []
    assert states_within(sidecar, HOUR_S) == {LifeState.WAITING}
    assert await losses(sidecar) == 0


async def test_an_hour_of_waiting_of_a_process_that_runs_is_life_and_never_a_stall(
    sidecar: Sidecar, running: WatchedProcess
) -> None:
    sidecar.create(watched=running)
    wait(sidecar)
    beats = sidecar.beats_within(HOUR_S)
    assert len(beats) > HOUR_S / 20
    assert {(beat.evidence, beat.stalled) for _, beat in beats} == {(Evidence.PROCESS, False)}
    assert states_within(sidecar, HOUR_S) == {LifeState.ALIVE}
    assert await losses(sidecar) == 0


async def test_a_waiting_process_that_a_signal_holds_is_not_stalled(
    sidecar: Sidecar, child: asyncio.subprocess.Process, identity: WatchedProcess
) -> None:
    sidecar.create(watched=identity)
    wait(sidecar)
    child.send_signal(signal.SIGSTOP)
    await until(lambda: stopped(child.pid))
    assert {beat.stalled for _, beat in sidecar.beats_within(30)} == {False}


async def test_a_waiting_agent_whose_process_is_killed_is_lost_at_once(
    sidecar: Sidecar, child: asyncio.subprocess.Process, identity: WatchedProcess
) -> None:
    sidecar.create(watched=identity)
    wait(sidecar)
    sidecar.beats_within(HOUR_S)
    child.kill()
    await child.wait()
    async with asyncio.timeout(10):
        while sidecar.task().live:
            sidecar.heartbeats.tick()
            await asyncio.sleep(0.001)  # no time passes on the daemon's clock
    assert sidecar.liveness.state(sidecar.task())[0] is LifeState.LOST
    assert await losses(sidecar) == 1


async def test_the_lease_begins_anew_when_the_waiting_is_over(sidecar: Sidecar) -> None:
    sidecar.create(lease_s=60.0)
    wait(sidecar)
    sidecar.beats_within(HOUR_S)
    resume(sidecar)
    assert {beat.evidence for _, beat in sidecar.beats_within(59)} == {Evidence.COMMAND}
    assert sidecar.task().live
    sidecar.beats_within(2)
    assert not sidecar.task().live


async def test_a_restart_of_the_daemon_leaves_a_waiting_task_waiting(start: Start, clock: SteppedClock) -> None:
    before = await start()
    before.create(lease_s=5.0, seen_ms=clock.wall_ms())
    before.begin()
    wait(before)
    await before.events()
    await before.close()
    clock.pass_(HOUR_S)
    after = await start()
    after.begin()
    assert states_within(after, HOUR_S) == {LifeState.WAITING}
    assert await losses(after) == 0
    resume(after)
    after.beats_within(4)
    assert after.task().live
    after.beats_within(2)
    assert await losses(after) == 1


async def test_a_suspend_changes_nothing_for_a_waiting_task(sidecar: Sidecar, clock: SteppedClock) -> None:
    sidecar.create(lease_s=5.0)
    wait(sidecar)
    clock.suspend(HOUR_S)
    assert states_within(sidecar, 600) == {LifeState.WAITING}
    assert await losses(sidecar) == 0


@pytest.mark.parametrize("status", [TaskStatus.DONE, TaskStatus.INTERRUPTED])
async def test_a_waiting_task_that_ends_is_ended(sidecar: Sidecar, status: TaskStatus) -> None:
    sidecar.create()
    wait(sidecar)
    sidecar.change(status=status)
    assert sidecar.beats_within(60) == []
    assert sidecar.liveness.state(sidecar.task())[0] is LifeState.ENDED


async def test_progress_travels_with_the_next_beat_once_and_comes_back_when_that_did_not_get_through(sidecar: Sidecar) -> None:
    sidecar.create()
    sidecar.beats()
    sidecar.command(progress=Progress(132, 318))
    sidecar.heartbeats.make_due(sidecar.task())
    (beat,) = sidecar.beats()
    assert beat.progress == Progress(132, 318)
    sidecar.heartbeats.put_back(sidecar.task().base_url, [beat])
    (again,) = sidecar.beats()
    assert again.progress == Progress(132, 318)
    assert {beat.progress for _, beat in sidecar.beats_within(60)} == {None}
