"""What agents say of changing plans, questions, progress, links and parents: from the script through the daemon to a backend.

First to the embedded backend, which has a word for each; then to a server of the plain profile that has none of them.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from process.scripts.conftest import SCRIPTS
from support.installation import Installation, temporary_installation, wait_until
from support.plain_server import PlainServer


def script(where: Installation, name: str, *arguments: str, status: int = 0, **env: str) -> Any:
    """What a script prints; it has to end with this status, and say nothing on stderr."""
    command = [sys.executable, str(SCRIPTS / f"{name}.py"), *arguments]
    ran = subprocess.run(command, env=where.env | env, capture_output=True, text=True, timeout=30, check=False)
    assert (ran.returncode, ran.stderr) == (status, "")
    return json.loads(ran.stdout)


def create(where: Installation, *arguments: str, **env: str) -> str:
    return str(script(where, "create_task", "--title", "T", "--step", "eins", "--step", "zwei", *arguments, **env)["task_id"])


def update(where: Installation, task_id: str, *arguments: str, status: int = 0) -> Any:
    return script(where, "update_status", "--task-id", task_id, *arguments, status=status)


@pytest.fixture(scope="module")
def where() -> Iterator[Installation]:
    with temporary_installation() as made:
        made.start_backend()
        made.start_daemon()
        yield made


def at_backend(where: Installation, task_id: str) -> Any:
    with where.client() as client:
        assert client.flush(timeout_s=20, task_id=task_id).flushed
    return where.backend.task_answer(task_id)


def test_new_steps_stand_where_they_were_put(where: Installation) -> None:
    task_id = create(where)
    added = update(
        where, task_id, "--add-step", "a", "--add-step", "b", "--after", "eins", "--step-id", "a", "--step-status", "done"
    )
    assert [each["step"]["position"] for each in added["new_steps"]] == [2, 3]
    update(where, task_id, "--add-step", "last")
    steps = at_backend(where, task_id)["steps"]
    assert [(each["title"], each["status"]) for each in steps] == [
        ("eins", "pending"),
        ("a", "done"),
        ("b", "pending"),
        ("zwei", "pending"),
        ("last", "pending"),
    ]
    assert steps[1]["step_id"] == added["new_steps"][0]["step"]["step_id"]


def test_progress_is_that_of_its_step(where: Installation) -> None:
    task_id = create(where)
    update(where, task_id, "--step-id", "1", "--step-status", "running", "--progress", "318/2480")
    shown = at_backend(where, task_id)
    assert shown["steps"][0]["measure"] == shown["measure"] == {"done": 318, "total": 2480, "unit": None}


def test_progress_without_a_step_comes_with_a_heartbeat(where: Installation) -> None:
    task_id = create(where)
    update(where, task_id, "--step-id", "1", "--step-status", "running")
    at_backend(where, task_id)
    update(where, task_id, "--progress", "0.5/1")
    wait_until(lambda: where.backend.task_answer(task_id)["measure"] == {"done": 0.5, "total": 1, "unit": None}, "the beat")


def test_a_question_is_shown_until_the_next_report(where: Installation) -> None:
    task_id = create(where)
    update(where, task_id, "--step-id", "1", "--step-status", "running", "--waiting-for", "drop the column?")
    shown = at_backend(where, task_id)
    assert (shown["status"], shown["summary"], shown["attention"]["reason"]) == ("waiting", "drop the column?", "waiting")
    assert shown["steps"][0]["status"] == "running"
    update(where, task_id, "--heartbeat", "--check-interrupt", "--link", "https://ci.example/7")
    assert at_backend(where, task_id)["status"] == "waiting"
    update(where, task_id, "--step-id", "1", "--step-status", "done")
    shown = at_backend(where, task_id)
    assert (shown["status"], shown["attention"], shown["waiting_since"]) == ("running", None, None)


def test_a_stop_reaches_a_task_that_waits(where: Installation) -> None:
    task_id = create(where)
    update(where, task_id, "--waiting-for", "go on?")
    at_backend(where, task_id)
    where.backend.request_stop(task_id, reason="no")
    wait_until(lambda: _is_stopped(where, task_id), "the stop arrives")
    update(where, task_id, "--ack-interrupt")
    assert at_backend(where, task_id)["status"] == "interrupted"


def _is_stopped(where: Installation, task_id: str) -> bool:
    with where.client() as client:
        return client.check_interrupt(task_id).interrupt_requested


def test_links_are_kept_with_their_names(where: Installation) -> None:
    task_id = create(where)
    update(where, task_id, "--link", "log=https://ci.example/7?a=b", "--link", "https://git.example/pulls/7")
    links = at_backend(where, task_id)["links"]
    assert [(each["name"], each["url"]) for each in links] == [
        ("log", "https://ci.example/7?a=b"),
        (None, "https://git.example/pulls/7"),
    ]


def test_a_task_made_within_another_is_its_part(where: Installation) -> None:
    outer = create(where)
    inner = create(where, CLAWLOG_TASK_ID=outer)
    assert at_backend(where, inner)["parent"] == {"task_id": outer, "title": "T", "status": "pending"}
    assert [each["task_id"] for each in at_backend(where, outer)["subtasks"]] == [inner]
    update(where, outer, "--task-status", "done")
    assert at_backend(where, create(where, CLAWLOG_TASK_ID=outer))["parent"] is None  # a shell that forgot about it
    assert at_backend(where, create(where, "--parent", outer))["parent"]["task_id"] == outer


def test_a_task_says_where_it_runs_and_who_does_it(where: Installation) -> None:
    metadata = at_backend(where, create(where, "--metadata", "branch=mine", CLAUDECODE="1"))["metadata"]
    assert (metadata["agent"], metadata["cwd"], metadata["branch"]) == ("claude-code", os.getcwd(), "mine")  # noqa: PTH109 - as the script says it
    assert {"host", "user"} <= metadata.keys()


def test_a_command_under_clawlog_run_is_a_part_of_the_task_around_it(where: Installation) -> None:
    outer = create(where)
    show = "import os; print(os.environ['CLAWLOG_TASK_ID'])"
    ran = where.clawlog("run", "--", sys.executable, "-c", show, env={"CLAWLOG_TASK_ID": outer, "CLAUDECODE": "1"})
    shown = at_backend(where, ran.stdout.strip())
    assert (shown["parent"]["task_id"], shown["status"]) == (outer, "done")
    assert (shown["metadata"]["agent"], shown["metadata"]["cwd"]) == ("claude-code", os.getcwd())  # noqa: PTH109 - as above
    assert shown["metadata"]["command"].startswith("python")
    assert "-c" not in shown["metadata"]["command"]


@pytest.fixture
async def plain() -> AsyncIterator[PlainServer]:
    server = await PlainServer().start()
    yield server
    await server.stop()


@pytest.fixture
async def beside_plain(plain: PlainServer) -> AsyncIterator[Installation]:
    with temporary_installation() as made:
        made.env["CLAWLOG_BASE_URL"] = plain.url
        await asyncio.to_thread(made.start_daemon)
        yield made
        await asyncio.to_thread(made.close)


async def test_a_server_without_these_words_is_told_in_the_nearest_that_it_has(
    plain: PlainServer, beside_plain: Installation
) -> None:
    outer = await asyncio.to_thread(create, beside_plain)
    task_id = await asyncio.to_thread(create, beside_plain, "--parent", outer)
    for arguments in (
        ("--add-step", "found on the way"),
        ("--step-id", "1", "--step-status", "running", "--progress", "318/2480", "--step-summary", "reading"),
        ("--link", "log=https://ci.example/7"),
        ("--waiting-for", "drop the column?"),
        ("--wait", "20"),
    ):
        await asyncio.to_thread(update, beside_plain, task_id, *arguments)
    task = plain.tasks[max(plain.tasks)]
    assert (task.status, task.summary) == ("running", "drop the column?")
    assert (task.steps[0].status, task.steps[0].summary) == ("running", "318/2480: reading")
    told = json.dumps([each.body for each in plain.requests], ensure_ascii=False)
    for words in ("found on the way", "https://ci.example/7", outer, '"progress": {"done": 318, "total": 2480}'):
        assert words in told
    with beside_plain.client() as client:
        assert (await asyncio.to_thread(client.list_dead_letters))["dead_letters"] == []
        assert (await asyncio.to_thread(client.get_task, task_id))["status"] == "waiting"
