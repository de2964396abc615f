"""What a server's own contract has routes for beyond the needed ones goes there; what it has none for is told in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest

from clawlogd.settings import Backend
from support.foreign.held import Step
from support.foreign.running import served
from support.foreign.written import StrictServer
from support.running_daemon import QUICK, RunningDaemon

CONTRACT = (Path(__file__).parents[2] / "support" / "foreign" / "contracts" / "strict.toml").read_text(encoding="utf-8")
ADDITIONS = """
[plan]
method = "PUT"
path = "/api/v1/tasks/{task_id}/steps"
body = [{ id = "{step.step_id}", title = "{step.title}", status = "{step.status}" }]

[metadata]
method = "POST"
path = "/api/v1/tasks/{task_id}/tags"
body = { set = "{metadata}" }

[link]
method = "POST"
path = "/api/v1/tasks/{task_id}/refs"
body = { href = "{url}", label = "{name}" }
"""


class AddingServer(StrictServer):
    """A server that also takes whole plans, tags and references; a step whose id it does not know is given one."""

    def __init__(self) -> None:
        super().__init__()
        self.added: list[Any] = []
        self.plans = 0

        @self.app.put("/api/v1/tasks/{task_id}/steps", response_model=self.TaskView)
        def replace_steps(task_id: UUID, plan: list[dict[str, str]]) -> Any:
            self.plans += 1
            task = self.held.find(task_id)
            known = {str(each.key): each for each in task.steps}
            task.steps = [known.get(each["id"]) or Step(uuid4(), each["title"]) for each in plan]
            for step, each in zip(task.steps, plan, strict=True):
                step.status = self._WORDS[each["status"]]
            self.steps.update({step.key: (task, step) for step in task.steps})
            return self._view(task)

        for name in ("tags", "refs"):
            self.app.post(f"/api/v1/tasks/{{task_id}}/{name}")(self._add)

    def _add(self, task_id: UUID, body: dict[str, Any]) -> dict[str, str]:
        self.held.find(task_id)
        self.added.append(body)
        return {}


async def said(daemon: RunningDaemon, url: str) -> None:
    task_id = (await daemon.call("task.create", title="T", steps=["check", "build"], base_url=url))["task_id"]
    await daemon.call("step.update", task_id=task_id, step="check", status="done", summary="ok")
    await daemon.flush()
    await daemon.call("task.plan", task_id=task_id, steps=[{"title": "check", "status": "done"}, "ship", "build"])
    await daemon.call("step.update", task_id=task_id, step="ship", status="running", summary="shipping")
    await daemon.call("task.annotate", task_id=task_id, metadata={"host": "b"})
    await daemon.call("task.link", task_id=task_id, url="http://ci.test/7", name="build log")
    await daemon.flush()
    await daemon.call("step.add", task_id=task_id, title="measure", after="check")
    await daemon.flush()
    assert (await daemon.call("deadletter.list"))["dead_letters"] == []


@pytest.mark.parametrize("has_them", [True, False])
async def test_plans_metadata_and_links_go_where_the_contract_says_or_into_words(has_them: bool, tmp_path: Path) -> None:
    server = AddingServer()
    contract = tmp_path / "contract.toml"
    contract.write_text(CONTRACT + ADDITIONS * has_them, encoding="utf-8")
    with served(server.app) as url:
        daemon = RunningDaemon(tmp_path, msgspec.structs.replace(QUICK, backend=(Backend(url, contract=str(contract)),)))
        await daemon.start()
        await said(daemon, url)
        await daemon.stop()
    (task,) = server.held.tasks.values()
    steps, words = [(each.title, each.status) for each in task.steps], "\n".join(task.summaries)
    assert server.held.misused == []
    assert "step added: measure" in words  # how the steps stand there is not asked in the server's own words
    if has_them:
        assert steps == [("check", "done"), ("ship", "running"), ("build", "pending")]
        assert server.added == [{"set": {"host": "b"}}, {"href": "http://ci.test/7", "label": "build log"}]
        assert (server.plans, "plan:" in words) == (1, False)
    else:
        assert steps == [("check", "done"), ("build", "pending")]
        assert (server.added, server.plans) == ([], 0)
        assert all(each in words for each in ("not listed here: ship", "shipping", "host = b", "http://ci.test/7"))
