"""Which events go into the next request: the oldest first, in order within a task, and a share for newcomers in a backlog."""

from __future__ import annotations

import asyncio
from itertools import count
from random import Random

import pytest

from clawlogd.delivery.selection import Selection
from clawlogd.outbox.queue import Outbox
from clawlogd.outbox.records import StoredEvent
from support.events import URL, event

MUCH = 10**6


class Queue:
    """Adds events, and takes batches as a lane does."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._numbers = count(1)
        self.selection = Selection(outbox=outbox, lane=outbox.lane(URL))

    async def add(self, *task_ids: str, summary: str = "") -> None:
        for task_id in task_ids:
            self._outbox.add(event(next(self._numbers), task_id, summary=summary), 1000, URL)
        await self._outbox.committed()

    async def batch(self, limit: int, max_bytes: int = MUCH, without: set[str] | None = None) -> list[StoredEvent]:
        """The next batch, delivered."""
        found = await self.selection.next(limit, max_bytes, without or set())
        for each in found:
            self._outbox.settle(each.seq, each.task_id, self._outbox.lane(URL), each.size_bytes)
        await self._outbox.committed()
        return found

    async def drain(self, limit: int, arrivals: Random) -> list[StoredEvent]:
        """Everything, each batch read while the one before is on its way and settled behind it; more comes meanwhile."""
        lane, seen, committed = self._outbox.lane(URL), [], None
        while self._outbox.counts.pending[lane]:
            found = await self.selection.next_ahead(limit, MUCH, set())
            if found is None:
                if committed is not None:
                    await committed
                found = await self.selection.next(limit, MUCH, set())
            self.selection.read_ahead()
            for _ in range(arrivals.randrange(4)):
                self._outbox.add(event(next(self._numbers), arrivals.choice("abcdefgh"), summary=""), 1000, URL)
            for _ in range(arrivals.randrange(20)):
                await asyncio.sleep(0)
            if arrivals.random() < 0.1:
                self.selection.drop_ahead()  # not delivered
                continue
            seen += found
            for each in found:
                self._outbox.settle(each.seq, each.task_id, lane, each.size_bytes)
            before, committed = committed, self._outbox.committed()
            if before is not None:
                await before
            if arrivals.random() < 0.5:
                await committed
        return seen


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


@pytest.mark.parametrize("seed", range(30))
async def test_what_is_read_ahead_comes_once_and_in_order(queue: Queue, seed: int) -> None:
    arrivals = Random(seed)
    await queue.add(*(arrivals.choice("abc") for _ in range(60)))
    seen = await queue.drain(8, arrivals)
    assert sorted(each.seq for each in seen) == list(range(1, len(seen) + 1))
    for task_id in "abcdefgh":
        numbers = [each.seq for each in seen if each.task_id == task_id]
        assert numbers == sorted(numbers)


async def test_what_was_read_ahead_serves_only_for_what_it_was_asked_for(queue: Queue) -> None:
    await queue.add(*["a", "b"] * 20)
    assert len(await queue.batch(8)) == 8
    for limit, without in ((7, set[str]()), (8, {"a"})):
        queue.selection.read_ahead()
        assert queue.selection.is_ahead
        assert await queue.selection.next_ahead(limit, MUCH, without) is None
    queue.selection.read_ahead()
    assert [each.seq for each in await queue.selection.next_ahead(8, MUCH, set()) or ()] == list(range(9, 17))


async def test_behind_the_last_batch_nothing_is_read_ahead(queue: Queue) -> None:
    await queue.add("a", "b")
    await queue.batch(8)
    queue.selection.read_ahead()
    assert not queue.selection.is_ahead
