"""``clawlog mcp`` as the inspector's command line sees it: the reference program that checks servers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agents.real import cache
from clawlog.cli.commands.mcp.tools import TOOLS
from support.installation import Ran, temporary_installation

TOOL_FAILED = 5
CLAWLOG = str(Path(sys.executable).with_name("clawlog"))

pytestmark = pytest.mark.agents


@pytest.fixture
def inspect() -> Callable[..., Ran]:
    """Runs the inspector on a server that finds no daemon."""
    if reason := cache.missing("inspector"):
        pytest.skip(reason)
    node, program = cache.packages()["node"].find(), cache.packages()["inspector"].find()

    def run(*arguments: str) -> Ran:
        with temporary_installation() as made:
            handed_on = [f"{name}={made.env[name]}" for name in ("CLAWLOG_STATE_DIR", "CLAWLOG_AUTOSTART", "HOME")]
            options = [each for pair in handed_on for each in ("-e", pair)]
            command = [str(node), str(program), "--cli", *options, CLAWLOG, "mcp", *arguments]
            ran = subprocess.run(
                command, env=made.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=50, check=False
            )
            return Ran(ran.returncode, ran.stdout, ran.stderr)

    return run


def test_it_lists_the_tools(inspect: Callable[..., Ran]) -> None:
    ran = inspect("--method", "tools/list")
    assert ran.status == 0, ran.stderr
    assert [tool["name"] for tool in ran.json["tools"]] == list(TOOLS)


def test_it_calls_them_and_sees_which_answer_is_an_error(inspect: Callable[..., Ran]) -> None:
    ran = inspect("--method", "tools/call", "--tool-name", "create_task", "--tool-arg", "title=Hello", 'steps=["a", "b"]')
    assert ran.status == 0, ran.stderr
    assert [step["title"] for step in ran.json["structuredContent"]["steps"]] == ["a", "b"]
    failed = inspect("--method", "tools/call", "--tool-name", "update_step", "--tool-arg", "step=a", "status=done")
    assert failed.status == TOOL_FAILED
    assert "Call create_task first" in json.loads(failed.stdout)["content"][0]["text"]
