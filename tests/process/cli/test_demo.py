"""``clawlog demo``: it ends by itself with status 0, and with another when any part of it is taken away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from clawlog.cli.commands.demo.scripts import Scripts
from clawlog.cli.errors import CommandError
from support.installation import Installation, is_running, wait_until


def test_it_runs_a_task_up_to_an_acknowledged_stop_and_leaves_nothing_behind(fresh: Installation) -> None:
    folder = fresh.folder / "tmp"
    folder.mkdir()
    ran = fresh.clawlog("demo", "--json", env={"TMPDIR": str(folder), "CLAWLOG_SOCKET": "/nonexistent/clawlogd.sock"})
    assert (ran.status, ran.stderr) == (0, "")
    *timeline, result = ran.json_lines
    assert result["event"] == "result"
    assert result["ok"] is True
    assert all(check["holds"] for check in result["checks"])
    assert result["took_s"] < 28
    assert {entry["actor"] for entry in timeline} == {"demo", "backend", "daemon", "agent", "person"}
    texts = [entry["text"] for entry in timeline]
    asked = next(fresh for fresh, text in enumerate(texts) if text.startswith("presses Stop"))
    told = next(fresh for fresh, text in enumerate(texts) if "→ 20: a stop is requested" in text)
    acknowledged = next(fresh for fresh, text in enumerate(texts) if "--ack-interrupt" in text)
    assert asked < told < acknowledged
    assert list(folder.iterdir()) == []
    assert [path.name for path in fresh.folder.iterdir()] == ["tmp"]
    assert not any(is_running(entry["pid"]) for entry in timeline if "pid" in entry)


class Interrupted:
    """A demo that is interfered with while it runs."""

    def __init__(self, fresh: Installation) -> None:
        self.process = fresh.start_clawlog("demo", "--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.pids: dict[str, int] = {}

    def until(self, seen: Callable[[dict[str, Any]], bool]) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            entry = json.loads(line)
            if "pid" in entry:
                self.pids[entry["actor"]] = entry["pid"]
            if seen(entry):
                return
        raise AssertionError("the demo ended before")

    def ends(self) -> tuple[int, str]:
        _, stderr = self.process.communicate(timeout=30)
        wait_until(lambda: not any(map(is_running, self.pids.values())), "all that it started has ended")
        return self.process.returncode, stderr.decode()


def long_step_runs(entry: dict[str, Any]) -> bool:
    return "--step-id 3 --step-status running" in entry["text"]


@pytest.mark.parametrize("victim", ["backend", "daemon"])
def test_it_fails_and_says_why_when_a_server_is_killed_in_the_middle(fresh: Installation, victim: str) -> None:
    demo = Interrupted(fresh)
    demo.until(long_step_runs)
    os.kill(demo.pids[victim], signal.SIGKILL)
    status, stderr = demo.ends()
    assert status == 1
    assert stderr.startswith(f"clawlog: the {victim} was ended by signal 9")
    assert "Traceback" not in stderr


def test_ctrl_c_ends_it_and_all_that_it_started(fresh: Installation) -> None:
    demo = Interrupted(fresh)
    demo.until(long_step_runs)
    demo.process.send_signal(signal.SIGINT)
    assert demo.ends() == (130, "")


def test_it_says_so_when_there_is_no_room_for_its_state(fresh: Installation) -> None:
    deep = fresh.folder / ("x" * 100)
    deep.mkdir()
    ran = fresh.clawlog("demo", env={"TMPDIR": str(deep)})
    assert ran.status == 1
    assert "CLAWLOG_SOCKET" in ran.stderr


async def test_the_programs_of_the_package_serve_where_there_are_no_scripts(running: Installation) -> None:
    scripts = Scripts(running.env, None)
    created = await scripts.call("create_task", "--title", "从包里运行", "--step", "一")
    assert created.status == 0
    updated = await scripts.call("update_status", "--task-id", created.task_id, "--step-id", "1", "--step-status", "done")
    assert len(updated.event_ids) == 1
    with pytest.raises(CommandError, match="ended with status 65"):
        await scripts.call("update_status", "--task-id", created.task_id, "--step-id", "7", "--step-status", "done")
