"""``task.list`` in pages: a caller need not take fifty thousand tasks at once."""

from __future__ import annotations

from typing import Any

import pytest

from clawlog.protocol.errors import INVALID_PARAMS, RpcError
from support.callers import Caller, call

COUNT = 25


@pytest.fixture
async def tasks(any_caller: Caller) -> Caller:
    for number in range(COUNT):
        await call(any_caller, "task.create", title=f"Task {number}", task_id=f"t{number}")
        if number % 5 == 0:
            await call(any_caller, "task.update", task_id=f"t{number}", status="done")
    return any_caller


async def pages(caller: Caller, **params: Any) -> list[list[str]]:
    found: list[list[str]] = []
    cursor: dict[str, Any] = {}
    while True:
        page = await call(caller, "task.list", **params, **cursor)
        found.append([task["task_id"] for task in page["tasks"]])
        if page.get("next_cursor") is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


async def ids(caller: Caller, **params: Any) -> list[str]:
    return [task["task_id"] for task in (await call(caller, "task.list", **params))["tasks"]]


async def test_without_a_limit_all_come_and_pages_are_not_spoken_of(tasks: Caller) -> None:
    whole = await call(tasks, "task.list")
    assert (len(whole["tasks"]), list(whole)) == (COUNT, ["tasks"])


@pytest.mark.parametrize("limit", [1, 7, 24, 25, 100])
async def test_the_pages_together_are_the_whole_list_in_its_order(tasks: Caller, limit: int) -> None:
    found = await pages(tasks, limit=limit)
    assert [task for page in found for task in page] == await ids(tasks)
    assert all(len(page) == limit for page in found[:-1])
    assert 0 < len(found[-1]) <= limit


@pytest.mark.parametrize("active", [True, False])
async def test_a_filter_goes_with_pages(tasks: Caller, active: bool) -> None:
    found = await pages(tasks, limit=4, active=active)
    assert [task for page in found for task in page] == await ids(tasks, active=active)


async def test_what_comes_between_two_pages_moves_none_of_the_others(tasks: Caller) -> None:
    before = await ids(tasks)
    first = await call(tasks, "task.list", limit=10)
    await call(tasks, "task.create", title="Newer", task_id="newer")
    rest = await call(tasks, "task.list", cursor=first["next_cursor"])
    assert [task["task_id"] for task in first["tasks"] + rest["tasks"]] == before


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": -1}, "limit"),
        ({"limit": "ten"}, "limit"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"cursor": ""}, "cursor"),
        ({"cursor": "²"}, "cursor"),
        ({"cursor": "9" * 400}, "cursor"),
        ({"cursor": 7}, "cursor"),
    ],
)
async def test_a_page_that_cannot_be_is_refused(any_caller: Caller, params: dict[str, Any], field: str) -> None:
    with pytest.raises(RpcError) as refused:
        await call(any_caller, "task.list", **params)
    assert (refused.value.code, refused.value.data["field"]) == (INVALID_PARAMS, field)
