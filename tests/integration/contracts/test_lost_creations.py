"""A creation whose answer was lost is looked for before it is repeated, where the server does not know a repetition."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from support.foreign.held import Step, Task
from support.foreign.lossy import lossy
from support.foreign.running import served
from support.foreign.written import EnvelopedServer, StrictServer
from support.running_daemon import RunningDaemon

CREATION = b"POST /api"


async def test_the_task_that_a_lost_creation_made_is_found_and_not_made_again(
    daemon: RunningDaemon, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server = StrictServer()
    long_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    with served(server.app) as there:
        async with lossy(there) as (way, url):
            await daemon.call("task.create", title="nightly", steps=["one", "two"], base_url=url)  # one that is ours already
            await daemon.flush()
            server.held.add(Task(uuid4(), "nightly", [Step(uuid4(), "one")], created_at=long_ago))  # somebody's, of before
            way.loses, way.left = CREATION, 2
            created = [
                (await daemon.call("task.create", title="nightly", steps=["one", "two"], base_url=url))["task_id"]
                for _ in range(2)  # two at once of one title
            ]
            for task_id in created:
                await daemon.call("step.update", task_id=task_id, step=2, status="done", summary=task_id)
            await daemon.flush()
            tasks = [each for each in server.held.tasks.values() if len(each.steps) == 2]
            assert len(tasks) == 3
            assert way.left == 0
            told = [task.steps[1].told for task in tasks]
            assert sorted(each[-1][1] or "" for each in told if each) == sorted(created)
            assert server.held.misused == []
    assert caplog.text.count("creation_found") == 2


async def test_a_creation_that_cannot_be_found_there_is_repeated_and_the_log_says_so(
    daemon: RunningDaemon, caplog: pytest.LogCaptureFixture
) -> None:
    server = EnvelopedServer()  # whose list does not say when a task was created: it could be anybody's
    with served(server.app) as there:
        async with lossy(there) as (way, url):
            way.loses, way.left = CREATION, 1
            task_id = (await daemon.call("task.create", title="T", steps=["one"], base_url=url))["task_id"]
            await daemon.call("step.update", task_id=task_id, step=1, status="running")
            await daemon.flush()
            first, second = server.held.tasks.values()
            assert (first.steps[0].status, second.steps[0].status) == ("pending", "running")
    log = caplog.text
    assert "creation_repeated" in log
    assert "creation_found" not in log
