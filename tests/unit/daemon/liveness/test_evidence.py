"""The daemon vouches for an agent on evidence alone, says on which, and says so when there is none any more."""

from __future__ import annotations

import asyncio
import signal

import pytest

from clawlogd.clock import rfc3339
from clawlogd.errors import StorageFailed
from clawlogd.liveness.processes import stopped
from clawlogd.model import EventKind, Evidence, TaskStatus, WatchedProcess
from clawlogd.outbox.records import CommitGroup
from clawlogd.outbox.store import Store
from support.running_daemon import until
from support.sidecar import Sidecar, SteppedClock
from unit.daemon.conftest import Start


async def lost(sidecar: Sidecar) -> list[str | None]:
    return [event.summary for event in await sidecar.events() if event.kind is EventKind.AGENT_LOST]


async def test_a_command_is_evidence_until_its_lease_runs_out_and_then_the_loss_is_reported_at_once(
    sidecar: Sidecar, clock: SteppedClock
) -> None:
    sidecar.create(lease_s=60.0)
    seen = clock.wall_ms()
    beats = sidecar.beats_within(60)
    assert {beat.evidence for _, beat in beats} == {Evidence.COMMAND}
    assert {beat.agent_seen_at for _, beat in beats} == {rfc3339(seen)}  # never the daemon's own tick
    assert await lost(sidecar) == []
    assert sidecar.beats() == []
    assert await lost(sidecar) == ["no word from the agent within its lease of 60 s"]
    assert sidecar.beats_within(600) == []
    assert len(await lost(sidecar)) == 1


async def test_each_command_begins_the_lease_anew_and_may_set_its_length(sidecar: Sidecar) -> None:
    sidecar.create()
    sidecar.beats_within(100)
    sidecar.command(lease_s=900)
    assert len(sidecar.beats_within(899)) > 50
    assert await lost(sidecar) == []
    sidecar.beats_within(2)
    assert await lost(sidecar) == ["no word from the agent within its lease of 900 s"]


async def test_a_lease_that_is_cut_short_is_found_to_run_out_when_it_does(sidecar: Sidecar) -> None:
    sidecar.create(lease_s=900.0)
    sidecar.beats_within(1)
    sidecar.command(lease_s=5)
    sidecar.beats_within(4.5)
    assert sidecar.task().live
    sidecar.beats_within(1)
    assert not sidecar.task().live


async def test_a_short_lease_is_looked_at_when_it_ends_and_makes_no_more_beats(sidecar: Sidecar) -> None:
    sidecar.create(lease_s=5.0)
    times: list[float] = []
    for second in range(120):
        sidecar.command()
        times += [second + passed for passed, _ in sidecar.beats_within(1)]
    assert len(times) <= 1 + 120 / 13 + 1


async def test_a_later_command_revives_a_lost_task(sidecar: Sidecar) -> None:
    sidecar.create(lease_s=5.0)
    sidecar.beats_within(10)
    assert not sidecar.task().live
    sidecar.command()
    assert sidecar.task().live
    (beat,) = sidecar.beats()
    assert beat.evidence is Evidence.COMMAND
    sidecar.beats_within(10)
    assert len(await lost(sidecar)) == 2


@pytest.mark.parametrize("status", [TaskStatus.DONE, TaskStatus.FAILED, TaskStatus.INTERRUPTED])
async def test_nothing_is_vouched_for_after_the_end_and_nobody_is_lost_then(sidecar: Sidecar, status: TaskStatus) -> None:
    sidecar.create(lease_s=5.0)
    sidecar.change(status=status)
    assert sidecar.beats_within(60) == []
    assert await lost(sidecar) == []


async def test_a_beat_that_is_due_when_the_task_ends_is_not_sent(sidecar: Sidecar) -> None:
    sidecar.create()
    sidecar.heartbeats.tick()
    sidecar.heartbeats.make_due(sidecar.task())
    sidecar.change(status=TaskStatus.DONE)
    assert sidecar.beats() == []


async def test_a_watched_process_is_evidence_and_silence_of_ten_minutes_makes_it_stalled(
    sidecar: Sidecar, running: WatchedProcess
) -> None:
    sidecar.create(watched=running)
    beats = sidecar.beats_within(1200)
    assert {(beat.evidence, beat.pid) for _, beat in beats} == {(Evidence.PROCESS, running.pid)}
    assert {beat.stalled for passed, beat in beats if passed <= 600} == {False}
    assert {beat.stalled for passed, beat in beats if passed > 600} == {True}
    sidecar.command()
    assert {beat.stalled for _, beat in sidecar.beats_within(60)} == {False}
    assert await lost(sidecar) == []


async def test_a_process_that_is_held_by_a_signal_is_stalled_at_once_and_alive_when_it_goes_on(
    sidecar: Sidecar, child: asyncio.subprocess.Process, identity: WatchedProcess
) -> None:
    sidecar.create(watched=identity)
    child.send_signal(signal.SIGSTOP)
    await until(lambda: stopped(child.pid))
    assert {(beat.evidence, beat.stalled) for _, beat in sidecar.beats_within(30)} == {(Evidence.PROCESS, True)}
    child.send_signal(signal.SIGCONT)
    await until(lambda: not stopped(child.pid))
    assert {beat.stalled for _, beat in sidecar.beats_within(30)} == {False}


async def test_when_the_watched_process_ends_the_loss_is_reported_whatever_the_lease_says(
    sidecar: Sidecar, child: asyncio.subprocess.Process, identity: WatchedProcess
) -> None:
    sidecar.create(watched=identity, lease_s=3600.0)
    child.kill()
    await child.wait()
    await _until_lost(sidecar)
    assert await lost(sidecar) == [f"process {identity.pid} ended without finishing the task"]
    assert sidecar.beats() == []
    sidecar.command()  # whoever speaks now is evidence by its words alone
    (beat,) = sidecar.beats()
    assert (beat.evidence, beat.pid) == (Evidence.COMMAND, None)


async def test_the_end_of_a_process_that_finished_its_task_is_no_loss(
    sidecar: Sidecar, child: asyncio.subprocess.Process, identity: WatchedProcess
) -> None:
    sidecar.create(watched=identity)
    sidecar.change(status=TaskStatus.DONE)
    child.kill()
    await child.wait()
    await asyncio.sleep(0)
    assert sidecar.beats_within(30) == []
    assert await lost(sidecar) == []


async def test_a_summary_travels_with_the_next_beat_once_and_comes_back_when_that_beat_did_not_get_through(
    sidecar: Sidecar,
) -> None:
    sidecar.create()
    sidecar.beats()
    sidecar.command(summary="writing")
    sidecar.heartbeats.make_due(sidecar.task())
    (beat,) = sidecar.beats()
    assert beat.summary == "writing"
    sidecar.heartbeats.put_back(beat_url := sidecar.task().base_url, [beat])
    assert sidecar.heartbeats.due_count(beat_url) == 1
    (again,) = sidecar.beats()
    assert again.summary == "writing"
    sidecar.heartbeats.put_back(beat_url, [again])
    sidecar.command(summary="testing")  # the newer word is the one to be told
    (newer,) = sidecar.beats()
    assert newer.summary == "testing"
    assert {beat.summary for _, beat in sidecar.beats_within(60)} == {None}


async def test_what_was_spooled_counts_from_when_it_was_said(start: Start, clock: SteppedClock) -> None:
    sidecar = await start()
    said_ms = clock.wall_ms()
    clock.pass_(100)
    task = sidecar.create(seen_ms=said_ms)
    sidecar.command(at_ms=said_ms)
    sidecar.begin()
    (beat,) = sidecar.beats()
    assert beat.agent_seen_at == rfc3339(said_ms)
    sidecar.beats_within(19.5)
    assert sidecar.task().live
    sidecar.beats_within(1)
    assert not sidecar.task().live
    assert task.lease_s == 120.0


async def test_what_was_spooled_before_the_last_word_does_not_make_it_older(sidecar: Sidecar, clock: SteppedClock) -> None:
    sidecar.create()
    clock.pass_(30)
    sidecar.command()
    now_ms = clock.wall_ms()
    sidecar.command(at_ms=now_ms - 20_000)
    assert sidecar.liveness.seen_ms(sidecar.task()) == now_ms


async def test_nobody_is_judged_before_all_that_was_spooled_has_been_heard(
    start: Start, clock: SteppedClock, dead: WatchedProcess
) -> None:
    sidecar = await start()
    sidecar.create(watched=dead)
    await asyncio.sleep(0)
    sidecar.change(status=TaskStatus.DONE)
    sidecar.begin()
    sidecar.beats_within(5)
    assert await lost(sidecar) == []


async def test_while_the_disk_takes_nothing_a_loss_is_tried_again_with_pauses(
    start: Start, dead: WatchedProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    sidecar = await start()
    sidecar.create(watched=dead)
    await sidecar.events()
    tries = 0

    def fail(store: Store, group: CommitGroup) -> None:
        del store, group
        nonlocal tries
        tries += 1
        raise StorageFailed("disk full")

    with monkeypatch.context() as broken:
        broken.setattr(Store, "commit", fail)
        sidecar.begin()
        for _ in range(200):
            assert sidecar.beats() == []  # and nothing is vouched for meanwhile
            await asyncio.sleep(0.001)
        assert 1 <= tries <= 3
    await until(lambda: sidecar.outbox.storage_error is None)
    await _until_lost(sidecar)
    assert len(await lost(sidecar)) == 1


async def _until_lost(sidecar: Sidecar) -> None:
    async with asyncio.timeout(10):
        while sidecar.task().live:
            sidecar.heartbeats.tick()
            sidecar.clock.pass_(0.1)
            await asyncio.sleep(0.001)


async def test_before_the_spool_is_read_at_a_start_only_a_process_that_runs_is_vouched_for(
    start: Start, identity: WatchedProcess, child: asyncio.subprocess.Process
) -> None:
    starting = await start()
    starting.create("lives", watched=identity)
    starting.create("gone", watched=WatchedProcess(child.pid, started_ticks=-1))
    assert {beat.task_id for beat in starting.beats()} == {"lives"}
    assert starting.beats_within(60) != []
    assert starting.task("gone").live  # what the spool holds may say how it went on
    starting.begin()
    await until(lambda: not (starting.beats() or starting.task("gone").live))


async def test_no_agent_is_declared_lost_while_something_of_it_waits_to_be_read(sidecar: Sidecar) -> None:
    waiting = {"t"}
    sidecar.liveness.waits_unread = waiting.__contains__
    sidecar.create(lease_s=5.0)
    sidecar.beats_within(60)
    assert sidecar.task().live
    waiting.clear()
    sidecar.beats_within(10)
    assert await lost(sidecar) == ["no word from the agent within its lease of 5 s"]
