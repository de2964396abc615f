"""Which events go into the next request: the oldest first, in order within a task, and a share for newcomers in a backlog."""

from __future__ import annotations

from itertools import count

import pytest

from clawlogd.delivery.selection import Selection
from clawlogd.outbox.queue import Outbox
from clawlogd.outbox.records import StoredEvent
from unit.daemon.conftest import URL, event

MUCH = 10**6


class Queue:
    """Adds events, and takes batches as a lane does."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._numbers = count(1)
        self._selection = Selection(outbox=outbox, lane=outbox.lane(URL))

    async def add(self, *task_ids: str, summary: str = "") -> None:
        for task_id in task_ids:
            self._outbox.add(event(next(self._numbers), task_id, summary=summary), 1000, URL)
        await self._outbox.committed()

    async def batch(self, limit: int, max_bytes: int = MUCH, without: set[str] | None = None) -> list[StoredEvent]:
        """The next batch, delivered."""
        found = await self._selection.next(limit, max_bytes, without or set())
        for each in found:
            self._outbox.settle(each.seq, each.task_id, self._outbox.lane(URL), each.size_bytes)
        await self._outbox.committed()
        return found


@pytest.fixture
def queue(outbox: Outbox) -> Queue:
    return Queue(outbox)


def tasks(batch: list[StoredEvent]) -> list[str]:
    return [each.task_id for each in batch]


async def test_the_oldest_come_first(queue: Queue) -> None:
    await queue.add("a", "b", "a", "c")
    assert tasks(await queue.batch(3)) == ["a", "b", "a"]
    assert tasks(await queue.batch(3)) == ["c"]


async def test_tasks_that_are_set_aside_are_passed_over(queue: Queue) -> None:
    await queue.add("a", "b", "a", "c")
    assert tasks(await queue.batch(10, without={"a"})) == ["b", "c"]


async def test_a_batch_keeps_its_bytes_but_a_single_event_always_goes(queue: Queue) -> None:
    await queue.add("a", "a", "a", summary="x" * 1000)
    assert len(await queue.batch(10, max_bytes=2500)) == 2
    assert len(await queue.batch(10, max_bytes=10)) == 1


async def test_in_a_backlog_new_tasks_have_a_share(queue: Queue) -> None:
    await queue.add(*["old"] * 40)
    assert tasks(await queue.batch(8)) == ["old"] * 8
    await queue.add("new", "old", "new", "newer", "new")
    assert tasks(await queue.batch(8)) == ["old"] * 6 + ["new"] * 2
    assert tasks(await queue.batch(8)) == ["old"] * 6 + ["newer", "new"]
    assert tasks(await queue.batch(8)) == ["old"] * 8


async def test_new_events_of_a_task_in_the_backlog_stay_behind_its_old_ones(queue: Queue) -> None:
    await queue.add(*["a", "b"] * 20)
    await queue.batch(8)
    await queue.add("a", "b", "new")
    seen: list[StoredEvent] = []
    while batch := await queue.batch(8):
        seen += batch
    for task_id in ("a", "b"):
        numbers = [each.seq for each in seen if each.task_id == task_id]
        assert numbers == sorted(numbers)
    assert tasks(seen).index("new") < 8
    assert len(seen) == len({each.seq for each in seen}) == 40 - 8 + 3


async def test_newcomers_that_are_set_aside_have_no_share(queue: Queue) -> None:
    await queue.add(*["old"] * 30)
    await queue.batch(8)
    await queue.add("new")
    assert tasks(await queue.batch(8, without={"new"})) == ["old"] * 8


async def test_newcomers_have_their_share_of_the_bytes_alone(queue: Queue) -> None:
    await queue.add(*["old"] * 30, summary="x" * 1000)
    await queue.batch(8, max_bytes=9600)
    await queue.add(*["new"] * 4, summary="x" * 1000)
    batch = await queue.batch(8, max_bytes=9600)
    assert tasks(batch) == ["old"] * 6 + ["new"] * 2
    assert sum(len(each.body) for each in batch) < 9600
