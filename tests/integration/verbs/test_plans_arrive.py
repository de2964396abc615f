"""A thousand changes of plans, through the daemon and in batches to the embedded backend: both sides have the same plans."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from clawlog.protocol import vocabulary
from support.backend_process import BackendProcess
from support.running_daemon import RunningDaemon

TITLES = ("look", "write", "test", "ship", "2", "写")
TASKS, CHANGES = 40, 32


def change(chance: random.Random, known: list[dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """One change of a task's plan: mostly a new list, in which steps are added, moved, renamed, dropped and ended."""
    if known and chance.random() < 0.1:
        return "step.update", {"step": chance.choice(known)["step_id"], "status": chance.choice(vocabulary.STEP_STATUSES)}
    if chance.random() < 0.1:
        after = {"after": chance.randint(1, len(known))} if known and chance.random() < 0.7 else {}
        return "step.add", {"title": chance.choice(TITLES), **after}
    steps: list[Any] = []
    ids = [each["step_id"] for each in chance.sample(known, min(len(known), 7))]
    for _ in range(chance.randint(0, 7)):
        step: dict[str, Any] = {"title": chance.choice(TITLES)}
        if ids and chance.random() < 0.3:
            step["step_id"] = ids.pop()
        if chance.random() < 0.3:
            step["status"] = chance.choice(vocabulary.STEP_STATUSES)
        steps.append(step if len(step) > 1 else step["title"])
    return "task.plan", {"steps": steps}


def plan_of(task: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [(each["step_id"], each["position"], each["title"], each["status"]) for each in task["steps"]]


async def test_a_thousand_changed_plans_are_the_same_on_both_sides(daemon: RunningDaemon, embedded: BackendProcess) -> None:
    chance, plans = random.Random(20261126), 0
    for number in range(TASKS):
        task_id = f"plans-{number}"
        known = (await daemon.call("task.create", title="T", task_id=task_id, steps=["look"], base_url=embedded.url))["steps"]
        for _ in range(CHANGES):
            verb, params = change(chance, known)
            changed = await daemon.call(verb, task_id=task_id, **params)
            known = changed.get("steps", known) + ([changed["step"]] if "step" in changed else [])
            plans += verb == "task.plan"
    await daemon.flush()
    assert plans >= 1000
    for number in range(TASKS):
        here = await daemon.call("task.get", task_id=f"plans-{number}")
        there = await asyncio.to_thread(embedded.call, "GET", f"/api/tasks/plans-{number}")
        assert plan_of(there) == plan_of(here)
