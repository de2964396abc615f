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
