"""What is known of a stop is never older than it is said to be, and each stage of it is told once."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from clawlogd.errors import StorageFailed
from clawlogd.interrupts.state import ControlQuery, InterruptPhase, InterruptStatus
from clawlogd.model import EventKind, TaskStatus
from clawlogd.outbox.records import CommitGroup
from clawlogd.outbox.store import Store
from clawlogd.upstream.controls import Control
from support.running_daemon import until
from support.sidecar import Sidecar, SteppedClock
from unit.daemon.conftest import Start

RECEIPTS = (EventKind.INTERRUPT_SEEN, EventKind.INTERRUPT_DELIVERED)
NO = Control(interrupt_requested=False)


def stop(interrupt_id: str | None = "s1", requested_at: str | None = "2026-02-28T09:00:00.000Z") -> Control:
    return Control(True, "soft_stop", interrupt_id, "wrong host", requested_at)


def observe(sidecar: Sidecar, control: Control, asked: ControlQuery | None = None) -> bool:
    return sidecar.interrupts.observe(sidecar.task(), control, asked)


def phase(sidecar: Sidecar, max_age_s: float | None = None) -> InterruptPhase:
    return sidecar.interrupts.status(sidecar.task(), max_age_s).state


async def receipts(sidecar: Sidecar) -> list[tuple[EventKind, str | None]]:
    return [(event.kind, event.interrupt_id) for event in await sidecar.events() if event.kind in RECEIPTS]


def acknowledge(sidecar: Sidecar) -> None:
    known = sidecar.task().interrupt
    assert known is not None
    sidecar.change(status=TaskStatus.INTERRUPTED, interrupt=msgspec.structs.replace(known, delivered=True, acknowledged=True))


async def test_no_is_said_only_from_knowledge_that_is_young_enough_and_a_stop_from_any(
    sidecar: Sidecar, clock: SteppedClock
) -> None:
    sidecar.create()
    assert phase(sidecar, 5) is InterruptPhase.UNKNOWN
    assert sidecar.interrupts.status(sidecar.task(), 5).age_s is None
    observe(sidecar, NO)
    assert phase(sidecar, 5) is InterruptPhase.NONE
    clock.pass_(5.5)
    known = sidecar.interrupts.status(sidecar.task(), 5)
    assert (known.state, known.interrupt_requested, known.age_s) == (InterruptPhase.UNKNOWN, False, 5.5)
    observe(sidecar, stop())
    clock.pass_(3600)
    assert phase(sidecar, 5) is InterruptPhase.REQUESTED


async def test_the_age_counts_from_the_question_not_from_the_answer(sidecar: Sidecar, clock: SteppedClock) -> None:
    sidecar.create()
    asked = sidecar.interrupts.begin_query("t")
    clock.pass_(4)  # a slow answer tells how things stood, at the earliest, when it was asked for
    observe(sidecar, NO, asked)
    assert sidecar.interrupts.status(sidecar.task()).age_s == 4


async def test_each_stage_has_one_receipt_however_often_it_is_heard_or_told(sidecar: Sidecar) -> None:
    sidecar.create()
    assert observe(sidecar, stop())
    assert not observe(sidecar, stop())
    assert sidecar.interrupts.mark_delivered("t")
    assert not sidecar.interrupts.mark_delivered("t")
    assert not observe(sidecar, stop())
    acknowledge(sidecar)
    assert not observe(sidecar, stop())  # the backend does not have the acknowledgement yet
    assert phase(sidecar) is InterruptPhase.ACKNOWLEDGED
    assert await receipts(sidecar) == [(RECEIPTS[0], "s1"), (RECEIPTS[1], "s1")]


async def test_a_new_request_after_an_acknowledgement_is_a_new_stop(sidecar: Sidecar) -> None:
    sidecar.create()
    observe(sidecar, stop("s1"))
    sidecar.interrupts.mark_delivered("t")
    acknowledge(sidecar)
    sidecar.change(status=TaskStatus.RUNNING)
    assert observe(sidecar, stop("s2"))
    assert phase(sidecar) is InterruptPhase.REQUESTED
    sidecar.interrupts.mark_delivered("t")
    assert [interrupt_id for _, interrupt_id in await receipts(sidecar)] == ["s1", "s1", "s2", "s2"]


@pytest.mark.parametrize("requested_at", ["2026-02-28T09:00:00.000Z", None])
async def test_on_a_server_without_ids_a_new_request_after_an_acknowledgement_is_a_new_stop_too(
    sidecar: Sidecar, requested_at: str | None
) -> None:
    sidecar.create()
    await sidecar.events()
    observe(sidecar, stop(None, requested_at))
    acknowledge(sidecar)
    sidecar.change(status=TaskStatus.RUNNING)
    asked = sidecar.interrupts.begin_query("t")
    assert asked.ack_in_flight  # the receipt at least waits for the backend
    assert not observe(sidecar, stop(None, requested_at), asked)
    sidecar.outbox.counts.by_task.clear()  # all is delivered
    assert observe(sidecar, stop(None, requested_at), sidecar.interrupts.begin_query("t"))
    assert phase(sidecar) is InterruptPhase.REQUESTED
    acknowledge(sidecar)
    sidecar.change(status=TaskStatus.RUNNING)
    observe(sidecar, NO)
    assert observe(sidecar, stop(None, requested_at))
    assert {interrupt_id for _, interrupt_id in await receipts(sidecar)} == {None}


async def test_an_answer_from_before_a_stop_does_not_withdraw_it_and_a_later_one_does(
    sidecar: Sidecar, clock: SteppedClock
) -> None:
    sidecar.create()
    asked_before = sidecar.interrupts.begin_query("t")
    clock.pass_(1)
    observe(sidecar, stop())
    assert not observe(sidecar, NO, asked_before)
    assert phase(sidecar) is InterruptPhase.REQUESTED
    clock.pass_(1)
    assert observe(sidecar, NO)
    assert phase(sidecar) is InterruptPhase.NONE


async def test_a_task_that_ended_has_nothing_to_stop_until_it_is_reopened(sidecar: Sidecar) -> None:
    sidecar.create()
    observe(sidecar, stop())
    sidecar.change(status=TaskStatus.DONE)
    assert phase(sidecar, 5) is InterruptPhase.NONE
    assert not sidecar.interrupts.mark_delivered("t")
    sidecar.change(status=TaskStatus.RUNNING)
    assert phase(sidecar, 5) is InterruptPhase.REQUESTED


async def test_a_stop_survives_a_restart_with_what_was_told_of_it(start: Start) -> None:
    first: Sidecar = await start()
    first.begin()
    first.create()
    observe(first, stop())
    first.interrupts.mark_delivered("t")
    before = await receipts(first)
    await first.close()
    second: Sidecar = await start()
    second.begin()
    assert phase(second, 5) is InterruptPhase.REQUESTED
    assert not observe(second, stop())
    assert not second.interrupts.mark_delivered("t")
    assert await receipts(second) == before


async def test_those_who_wait_are_told_of_each_change_once_and_no_more_after_they_left(sidecar: Sidecar) -> None:
    sidecar.create()
    told: list[InterruptStatus] = []
    also: list[InterruptStatus] = []
    leave = sidecar.interrupts.subscribe("t", told.append)
    sidecar.interrupts.subscribe("t", also.append)
    observe(sidecar, NO)
    observe(sidecar, stop())
    sidecar.interrupts.mark_delivered("t")
    leave()
    leave()
    acknowledge(sidecar)
    assert [each.state for each in told] == [InterruptPhase.REQUESTED]
    assert [each.state for each in also] == [InterruptPhase.REQUESTED, InterruptPhase.ACKNOWLEDGED]


async def test_the_file_stands_for_as_long_as_the_stop_does_and_a_stale_one_is_removed_at_the_start(
    start: Start, tmp_path: Path
) -> None:
    first: Sidecar = await start()
    first.begin()
    folder = tmp_path / "state" / "run" / "stop"
    first.create("a")
    first.create("b")
    for task_id in ("a", "b"):
        first.interrupts.observe(first.task(task_id), stop(f"stop-{task_id}"))
    assert sorted(path.name for path in folder.iterdir()) == ["a", "b"]
    assert (folder / "a").read_text(encoding="utf-8") == "stop-a\nwrong host\n"
    first.change("b", status=TaskStatus.DONE)
    assert [path.name for path in folder.iterdir()] == ["a"]
    await first.events()
    await first.close()
    (folder / "stale").touch()
    (folder / "a").unlink()
    second: Sidecar = await start()
    second.begin()
    assert [path.name for path in folder.iterdir()] == ["a"]


async def test_a_stop_that_the_disk_does_not_take_is_one_all_the_same_and_is_told_again(
    sidecar: Sidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(store: Store, group: CommitGroup) -> None:
        del store, group
        raise StorageFailed("disk full")

    sidecar.create()
    await sidecar.events()
    with monkeypatch.context() as broken:
        broken.setattr(Store, "commit", fail)
        observe(sidecar, stop())
        assert sidecar.interrupts.mark_delivered("t")
        await until(lambda: sidecar.outbox.storage_error is not None)
        assert phase(sidecar) is InterruptPhase.REQUESTED
    await until(lambda: sidecar.outbox.storage_error is None)
    assert sidecar.interrupts.mark_delivered("t")
    assert await receipts(sidecar) == [(RECEIPTS[1], "s1")]
