"""A call from a sandbox costs hardly more than any other: nothing dear is loaded."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from process.sandbox.conftest import Inside
from process.scripts.conftest import SCRIPTS, python_of_scripts
from process.scripts.test_fast_path import TOO_DEAR
from support.daemon_process import DaemonProcess
from support.running_daemon import until
from support.sandbox import Sandbox


@pytest.mark.parametrize(
    "arguments",
    [["--heartbeat"], ["--step-id", "1", "--step-status", "done", "--step-summary", 'with "quotes"'], ["--check-interrupt"]],
)
async def test_nothing_dear_is_loaded(outside: DaemonProcess, inside: Inside, tmp: Path, arguments: list[str]) -> None:
    task_id = f"speed{arguments[0]}"
    await asyncio.to_thread(inside, "create_task", "--title", "t", "--task-id", task_id, "--step", "a")
    view = outside.state_dir / "run" / "view" / task_id
    await until(lambda: view.exists() and '"none"' in view.read_text())

    async def loaded(*command: str) -> set[str]:
        box = Sandbox(None, [tmp])
        ran = await asyncio.to_thread(box.run, [python_of_scripts(), "-X", "importtime", *command], inside.env, inside.project)
        assert ran.returncode == 0, ran.stderr
        return {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines() if line.startswith("import time:")}

    found = await loaded(str(SCRIPTS / "update_status.py"), "--task-id", task_id, *arguments) - await loaded("-c", "pass")
    assert "clawlog.scripting.sandboxed" in found
    assert not {name.partition(".")[0] for name in found} & TOO_DEAR
    assert len(found) <= 17, sorted(found)
