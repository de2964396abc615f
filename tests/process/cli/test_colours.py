"""Colour is for terminals, and never with ``NO_COLOR``; what goes into a pipe is text and nothing else."""

from __future__ import annotations

import os
import re

import pytest

from process.cli.conftest import Clawlog
from support.installation import CLAWLOG, Installation
from support.terminal import on_terminal

ESCAPE = "\x1b"
COLOUR = re.compile(r"\x1b\[(?:[0-9]+;)*(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])[;m]")


@pytest.fixture(scope="module")
def task_id(running: Installation) -> str:
    with running.client() as client:
        task = client.create_task("彩色", ["一", "二"], watch_pid=os.getpid())
        client.update_step(task.task_id, 1, "running")
        assert client.flush().flushed
    return task.task_id


def on_a_terminal(fresh: Installation, *arguments: str) -> str:
    """All that a command writes to a terminal."""
    with on_terminal(fresh, *CLAWLOG, *arguments) as screen:
        screen.until_it_ends()
        return screen.shown


@pytest.mark.parametrize("command", ["status", "tasks", "show", "doctor", "contract show"])
def test_colour_is_there_on_a_terminal_and_not_with_no_color(
    running: Installation, task_id: str, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    arguments = [command, task_id] if command == "show" else command.split()
    monkeypatch.setitem(running.env, "TERM", "xterm-256color")
    assert COLOUR.search(on_a_terminal(running, *arguments))
    monkeypatch.setitem(running.env, "NO_COLOR", "1")
    shown = on_a_terminal(running, *arguments)
    assert shown.strip()
    assert not COLOUR.search(shown)


def test_the_live_screen_is_without_colour_too(running: Installation, task_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(running.env, "TERM", "xterm-256color")
    monkeypatch.setitem(running.env, "NO_COLOR", "1")
    with on_terminal(running, *CLAWLOG, "top") as screen:
        screen.until(lambda shown: "s stop" in shown, "the whole screen")
        screen.type("q")
        screen.until_it_ends()
        assert "彩色" in screen.shown
        assert not COLOUR.search(screen.shown)


@pytest.mark.parametrize(
    "arguments",
    [
        "status",
        "tasks",
        "show TASK",
        "doctor",
        "doctor --settings",
        "flush",
        "contract show",
        "contract show --toml",
        "completion bash",
        "status --json",
        "--help",
    ],
)
def test_a_pipe_gets_text_alone(running: Installation, task_id: str, clawlog: Clawlog, arguments: str) -> None:
    running.env["FORCE_COLOR"] = "1"  # some environments set it for everything
    try:
        ran = clawlog(running, *arguments.replace("TASK", task_id).split())
    finally:
        del running.env["FORCE_COLOR"]
    assert (ran.status, ran.stderr) == (0, "")
    assert ran.stdout.strip()
    assert not set(ran.stdout) & {ESCAPE, "\r", "\b"}
    assert all(line == line.rstrip() for line in ran.stdout.splitlines())
