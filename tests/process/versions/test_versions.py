"""Programs and daemons are upgraded apart: no call fails that worked before, whichever of them is the earlier one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from process.versions.conftest import WHEEL, Version
from support.installation import Installation, Ran

KNOWN_BEFORE: list[list[str]] = [
    ["--step-id", "1", "--step-status", "running", "--step-summary", "begun"],
    ["--step-id", "eins", "--step-status", "done", "--check-interrupt", "--max-age", "5"],
    ["--heartbeat", "--heartbeat-summary", "412 of 900", "--lease", "60"],
    ["--task-status", "running", "--task-summary", "going on", "--json"],
    ["--task-status", "done", "--wait", "20"],
]
"""What could be said to a daemon of the earlier version."""

NEW: list[tuple[list[str], str]] = [
    (["--add-step", "drei", "--after", "1"], "step.add"),
    (["--step-id", "2", "--step-status", "running", "--progress", "318/2480"], "progress"),
    (["--link", "log=https://ci.example/7"], "task.link"),
    (["--waiting-for", "drop the column?"], "waiting"),
]
"""What cannot, and the word that is missing."""

PROGRAM = """
import sys, clawlog
with clawlog.Client() as client:
    task = client.create_task("T", ["eins", "zwei"], metadata={"k": "v"}, lease_s=60, summary="s")
    client.update_task(task.task_id, "running")
    client.update_step(task.task_id, 1, "done", summary="well")
    client.heartbeat(task.task_id, summary="on it")
    assert client.check_interrupt(task.task_id).state == "none"
    assert client.get_task(task.task_id)["steps"][0]["status"] == "done"
    assert task.task_id in [each["task_id"] for each in client.list_tasks()["tasks"]]
    assert client.daemon_status()["protocol"] == 1
    client.update_task(task.task_id, "done")
    assert client.flush(timeout_s=20, task_id=task.task_id).flushed
with clawlog.task("U", steps=["eins"], strict=True) as block:
    with block.step("eins"):
        block.heartbeat("reading")
    block.checkpoint()
"""

COMMANDS = """
import sys
from clawlog.cli.main import run
for command in (["status"], ["tasks"], ["show", sys.argv[1]], ["flush"], ["dead-letter", "list"]):
    for more in ([], ["--json"]):
        assert run([*command, *more]) == 0, command
"""

CREATE = ["--title", "T", "--step", "eins", "--step", "zwei", "--summary", "s", "--lease", "60", "--metadata", "k=v"]


def created(version: Version, where: Installation) -> str:
    ran = version.script(where, "create_task", *CREATE)
    assert (ran.status, ran.stderr) == (0, "")
    return str(ran.json["task_id"])


def update(version: Version, where: Installation, task_id: str, *arguments: str) -> Ran:
    ran = version.script(where, "update_status", "--task-id", task_id, *arguments)
    assert ran.status == 0, ran.stderr
    return ran


def at_backend(where: Installation, task_id: str) -> Any:
    return where.backend.task_answer(task_id)


def check_known_calls(version: Version, where: Installation) -> None:
    """Says all that both versions know, by the scripts, the library and the command."""
    task_id = created(version, where)
    for arguments in KNOWN_BEFORE:
        assert update(version, where, task_id, *arguments).stderr == ""
    shown = at_backend(where, task_id)
    assert (shown["status"], shown["title"], [each["status"] for each in shown["steps"]]) == ("done", "T", ["done", "pending"])
    assert version.python(where, "-c", PROGRAM) == Ran(0, "", "")
    stopped = created(version, where)
    update(version, where, stopped, "--step-id", "1", "--step-status", "running", "--wait")
    assert version.clawlog(where, "stop", stopped, "--reason", "typo").status == 0
    ran = version.script(where, "poll_interrupt", "--task-id", stopped, "--timeout", "20")
    assert (ran.status, ran.json["reason"]) == (20, "typo")
    update(version, where, stopped, "--ack-interrupt", "--wait")
    assert at_backend(where, stopped)["status"] == "interrupted"
    ran = version.python(where, "-c", COMMANDS, stopped)
    assert ran.status == 0, ran.stderr


@pytest.mark.parametrize("servers", ["all_earlier", "earlier_backend"])
def test_what_is_new_now_says_to_earlier_servers_what_it_always_said(
    present: Version, servers: str, request: pytest.FixtureRequest
) -> None:
    check_known_calls(present, request.getfixturevalue(servers))


@pytest.mark.parametrize("servers", ["all_present", "earlier_daemon"])
def test_what_was_installed_earlier_goes_on_with_servers_of_now(
    earlier: Version, servers: str, request: pytest.FixtureRequest
) -> None:
    check_known_calls(earlier, request.getfixturevalue(servers))


def test_an_earlier_daemon_is_told_what_is_new_in_words_that_it_has(present: Version, all_earlier: Installation) -> None:
    where = all_earlier
    task_id = created(present, where)
    for arguments, word in NEW:
        ran = update(present, where, task_id, *arguments)
        (line,) = ran.stderr.splitlines()
        assert line.startswith("update_status.py: warning: clawlogd is older than this program")
        assert repr(word) in line
        assert "upgrade" in line
    with where.client() as client:
        task = client.get_task(task_id)
    assert (task["status"], task["summary"]) == ("running", "drop the column?")
    assert [each["status"] for each in task["steps"]] == ["pending", "running"]
    assert task["steps"][1]["summary"] == "318/2480"


def test_an_earlier_backend_gets_what_is_new_in_words_that_it_has(present: Version, earlier_backend: Installation) -> None:
    task_id = created(present, earlier_backend)
    for arguments, _ in NEW:
        assert update(present, earlier_backend, task_id, *arguments).stderr == ""
    update(present, earlier_backend, task_id, "--heartbeat", "--wait")
    assert at_backend(earlier_backend, task_id)["summary"] == "drop the column?"
    told = json.dumps(at_backend(earlier_backend, task_id), ensure_ascii=False)
    for words in ("drei", "318/2480", "https://ci.example/7", "drop the column?"):
        assert words in told
    with earlier_backend.client() as client:
        assert client.list_dead_letters()["dead_letters"] == []
        assert client.get_task(task_id)["status"] == "waiting"


def test_the_wheel_stays_small() -> None:
    assert Path(WHEEL).stat().st_size < 500_000
