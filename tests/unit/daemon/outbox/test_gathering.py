"""Who is let into a group that waits for its commit."""

from __future__ import annotations

import asyncio
from typing import Any

from clawlogd.outbox.gathering import gather_more
from clawlogd.outbox.records import CommitGroup


def event(number: int) -> Any:
    return (number, b"", 1, "t", 0, 0, 0, b"", None, 0)


def group(events: int) -> CommitGroup:
    made = CommitGroup(asyncio.get_running_loop().create_future())
    made.events += [event(number) for number in range(events)]
    return made


async def test_who_answers_within_a_turn_or_two_is_in_the_group_that_waits() -> None:
    waiting, loop = group(1), asyncio.get_running_loop()
    loop.call_soon(lambda: loop.call_soon(waiting.events.append, event(2)))  # a reply leaves, and what it brings is read
    await gather_more(lambda: waiting)
    assert len(waiting.events) == 2


async def test_a_large_group_and_one_that_is_not_there_are_not_held_up() -> None:
    turns: list[int] = []
    asyncio.get_running_loop().call_soon(turns.append, 1)
    large = group(64)
    await gather_more(lambda: large)
    await gather_more(lambda: None)
    assert turns == []
