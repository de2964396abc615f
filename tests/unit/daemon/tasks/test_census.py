"""Counts of tasks and their order by age, against a walk over all of them."""

from __future__ import annotations

import random

import msgspec

from clawlogd.model import Interrupt, Task, TaskStatus
from clawlogd.tasks.census import Census, place_of

STATUSES = (TaskStatus.RUNNING, TaskStatus.WAITING, TaskStatus.DONE, TaskStatus.FAILED)


def changed(task: Task, draw: random.Random) -> Task:
    status = draw.choice(STATUSES)
    return msgspec.structs.replace(
        task,
        status=status,
        ended_ms=draw.randrange(100) if status.ended else None,
        lost_ms=task.lost_ms if status.ended else draw.choice([None, 5]),
        interrupt=draw.choice([None, Interrupt("i")]),
    )


def check(census: Census, tasks: dict[str, Task]) -> None:
    going_on = [task for task in tasks.values() if not task.status.ended]
    assert census.live == sum(task.live for task in tasks.values())
    assert census.stopping == sum(task.interrupt_pending for task in tasks.values())
    assert set(census.lost) == {task.task_id for task in going_on if task.lost_ms is not None}
    assert set(census.ended) == {task.task_id for task in tasks.values() if task.status.ended}
    assert set(census.going_on) == {task.base_url for task in going_on}
    for active in (None, True, False):
        chosen = [task for task in tasks.values() if active is None or task.status.ended is not active]
        by_age = [task.task_id for task in sorted(chosen, key=place_of, reverse=True)]
        assert list(census.newest_first(active=active)) == by_age
        middle = len(by_age) // 2
        assert list(census.newest_first(place_of(tasks[by_age[middle]]), active=active)) == by_age[middle + 1 :]


def test_what_is_kept_is_what_a_walk_over_all_tasks_finds() -> None:
    for seed in range(5):
        draw = random.Random(seed)
        census, tasks = Census(), dict[str, Task]()
        for _ in range(300):
            task_id = f"t{draw.randrange(40)}"
            before = tasks.pop(task_id, None)
            if before is None or draw.random() < 0.8:
                tasks[task_id] = changed(before or Task(task_id, "T", f"http://{task_id[-1]}", draw.randrange(9)), draw)
            census.change(before, tasks.get(task_id))
        check(census, tasks)
        loaded = Census()
        loaded.load(tasks.values())
        check(loaded, tasks)


def test_after_a_load_those_that_ended_first_come_first() -> None:
    tasks = [Task(f"t{at}", "T", "http://x", 0, status=TaskStatus.DONE, ended_ms=at) for at in (3, 1, 2)]
    census = Census()
    census.load(tasks)
    assert list(census.ended) == ["t1", "t2", "t3"]
