"""Three programs as users write them, run as they are: real processes, a real daemon, and the real backend, which is asked.

They start a daemon and a backend each, two seconds in all, because what they show is that nothing in between loses a word.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from support.backend_process import BackendProcess
from support.daemon_process import DaemonProcess

PROGRAMS = Path(__file__).parent / "programs"


class Stage:
    """A daemon, its backend, and the programs that are run there."""

    def __init__(self, daemon: DaemonProcess, backend: BackendProcess) -> None:
        self.daemon = daemon
        self.backend = backend

    async def begin(self, program: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-W",
            "error",
            str(PROGRAMS / program),
            env=self.daemon.env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def end(self, process: asyncio.subprocess.Process) -> list[str]:
        """Lets a program come to its good end, and the backend have all of it; returns what it printed."""
        async with asyncio.timeout(40):
            out, err = await process.communicate()
        assert (process.returncode, err.decode()) == (0, ""), out.decode()
        assert (await self.daemon.call("daemon.flush", timeout_s=20))["flushed"]
        return out.decode().splitlines()

    async def get(self, path: str) -> Any:
        return await asyncio.to_thread(self.backend.call, "GET", path)

    async def parts_of(self, task_id: str) -> list[dict[str, Any]]:
        """The subtasks of a task."""
        return (await self.get(f"/api/tasks?parent={task_id}"))["tasks"]  # type: ignore[no-any-return]


@pytest.fixture
async def stage(folder: Path, new_process: Callable[..., DaemonProcess]) -> AsyncIterator[Stage]:
    backend = BackendProcess(folder)
    await asyncio.to_thread(backend.start)
    yield Stage(await new_process(CLAWLOG_BASE_URL=backend.url).start(), backend)
    await asyncio.to_thread(backend.stop)


def steps_of(task: dict[str, Any]) -> dict[str, tuple[str, str | None]]:
    return {step["title"]: (step["status"], step["summary"]) for step in task["steps"]}


async def test_a_training_with_a_plan_that_changes(stage: Stage) -> None:
    (line,) = await stage.end(await stage.begin("train.py"))
    task_id, url = line.split()
    task = await stage.get(f"/api/tasks/{task_id}")
    assert url in ("None", f"{stage.backend.url}/tasks/{task_id}"), "None until the daemon has met this backend"
    assert (task["title"], task["status"], task["summary"]) == ("Train the classifier", "done", "accuracy 0.93")
    assert list(steps_of(task).items()) == [
        ("load", ("done", "500 rows")),
        ("train", ("done", None)),
        ("evaluate", ("done", None)),
        ("publish", ("done", None)),
        ("tell the others", ("pending", None)),
        ("look for odd rows", ("skipped", "left after 99 of 500")),
        ("repair them", ("failed", "an exception, left after 0 of 1")),
    ], "what the last plan did not list stands behind it"
    measures = {step["title"]: step["measure"] for step in task["steps"]}
    assert measures["train"] == {"done": 3, "total": 3, "unit": "epochs"}
    assert measures["look for odd rows"] == {"done": 99, "total": 500, "unit": "rows"}
    assert [(link["name"], link["url"]) for link in task["links"]] == [("the model", "https://models.example/tiny/7")]
    metadata = task["metadata"]
    assert (metadata["model"], metadata["epoch"], metadata["loss"]) == ("tiny", "3", "0.125")
    assert metadata["command"].endswith("train.py")
    assert metadata["project"]
    history = [(event["kind"], event.get("status"), event.get("summary")) for event in task["events"]]
    assert ("task_status", "waiting", "Publish the model?") in history


async def test_a_crawl_with_runs_within_it_until_somebody_stops_it(stage: Stage) -> None:
    process = await stage.begin("crawl.py")
    assert process.stdout is not None
    async with asyncio.timeout(30):
        task_id = (await process.stdout.readline()).decode().split()[0]
        await stage.daemon.call("daemon.flush", timeout_s=20)
        while steps_of(await stage.get(f"/api/tasks/{task_id}"))["serve"][0] != "running":  # noqa: ASYNC110 - as a person does
            await asyncio.sleep(0.05)
    stop = {"mode": "soft_stop", "reason": "enough"}
    await asyncio.to_thread(stage.backend.call, "POST", f"/api/tasks/{task_id}/interrupt", stop)
    assert await stage.end(process) == ["stopped: True enough"]

    task = await stage.get(f"/api/tasks/{task_id}")
    assert task["status"] == "interrupted"
    assert list(steps_of(task).items()) == [
        ("fetch", ("done", None)),
        ("fetch the pages", ("done", None)),
        ("index", ("done", "2 of 3 languages")),
        ("serve", ("skipped", "stopped at a safe boundary")),
    ]
    parts = {part["metadata"]["language"]: part for part in await stage.parts_of(task_id)}
    assert {language: part["status"] for language, part in parts.items()} == {"en": "done", "fr": "failed", "zh": "done"}
    french = await stage.get(f"/api/tasks/{parts['fr']['task_id']}")
    assert french["summary"] == "LookupError: no dictionary of French"
    assert steps_of(french)["read"][0] == "failed"
    assert {part["title"] for part in task["subtasks"]} == {"Index"}


async def test_an_evaluation_in_forked_and_in_spawned_processes(stage: Stage) -> None:
    (line,) = await stage.end(await stage.begin("evaluate.py"))
    task_id = line.split()[0]
    task = await stage.get(f"/api/tasks/{task_id}")
    assert (task["status"], task["summary"]) == ("done", "fold 3 is empty"), "by its own process, and by no other"
    assert steps_of(task) == {
        "fold 1": ("done", None),
        "fold 2": ("done", None),
        "fold 3": ("failed", "ValueError: fold 3 is empty"),
        "fold 4": ("done", "Evaluate by process True"),
        "score 3": ("done", None),
        "score 4": ("done", None),
        "a worker that is killed": ("done", "done again by the parent"),
    }
    parts = await stage.parts_of(task_id)
    assert sorted((part["title"], part["status"], part["metadata"]["fold"]) for part in parts) == [
        ("Report on fold", "done", "1"),
        ("Report on fold", "done", "2"),
    ]
