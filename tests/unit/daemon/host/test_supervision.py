"""A long-lived task that ends by itself, in whatever way, brings the daemon down under its name."""

from __future__ import annotations

import asyncio

import pytest

from clawlogd.clock import SystemClock
from clawlogd.faults import Faults
from clawlogd.host.supervision import EndedUnexpectedly, supervised


async def wait_for_ever() -> None:
    await asyncio.Event().wait()


async def test_a_task_that_returns_ends_the_others_and_is_named(caplog: pytest.LogCaptureFixture) -> None:
    async def returns() -> None:
        return

    with pytest.RaisesGroup(pytest.RaisesExc(EndedUnexpectedly, match="'heartbeats' returned")):
        async with supervised(Faults(SystemClock())) as supervisor:
            supervisor.spawn("lane", wait_for_ever)
            supervisor.spawn("heartbeats", returns)
            await wait_for_ever()
    (record,) = [record for record in caplog.records if record.getMessage() == "task_failed"]
    assert record.__dict__["fields"]["task"] == "heartbeats"


async def test_a_task_that_raises_ends_the_others_and_is_named(caplog: pytest.LogCaptureFixture) -> None:
    async def fails() -> None:
        raise ZeroDivisionError

    with pytest.RaisesGroup(ZeroDivisionError):
        async with supervised(Faults(SystemClock())) as supervisor:
            supervisor.spawn("lane", wait_for_ever)
            supervisor.spawn("watcher", fails)
            await wait_for_ever()
    (record,) = [record for record in caplog.records if record.getMessage() == "task_failed"]
    assert record.__dict__["fields"]["task"] == "watcher"
    assert record.exc_info is not None


async def test_tasks_that_are_cancelled_at_the_end_are_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    async with supervised(Faults(SystemClock())) as supervisor:
        supervisor.spawn("lane", wait_for_ever)
        await asyncio.sleep(0)
    assert caplog.records == []


async def test_an_isolated_task_that_raises_begins_anew_and_its_fault_is_noted(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    faults, running, tries = Faults(SystemClock()), asyncio.Event(), 0

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def fails_twice() -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise ZeroDivisionError("no")
        running.set()
        await wait_for_ever()

    monkeypatch.setattr("clawlogd.host.supervision.anyio.sleep", sleep)
    async with supervised(faults) as supervisor:
        supervisor.spawn("outbox", wait_for_ever)
        supervisor.spawn_isolated("lane", fails_twice)
        await running.wait()
    (fault,) = faults.report()
    assert (fault.part, fault.times, pauses) == ("lane", 2, [1.0, 2.0])
    assert "test_supervision.py" in fault.detail
    assert fault.detail.endswith("ZeroDivisionError: no")
    assert [record.getMessage() for record in caplog.records] == ["fault"], "one line, though it came twice"


async def test_an_isolated_task_that_returns_is_missed_as_any_other() -> None:
    async def returns() -> None:
        return

    with pytest.RaisesGroup(pytest.RaisesExc(EndedUnexpectedly, match="'lane' returned")):
        async with supervised(Faults(SystemClock())) as supervisor:
            supervisor.spawn_isolated("lane", returns)
            await wait_for_ever()
