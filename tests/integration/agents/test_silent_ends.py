"""Agents that do not say that a session is over: their process says it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from clawlogd.model import TaskStatus
from support.running_daemon import RunningDaemon, until
from support.sessions import PlayedSession, a_moment_later

Play = Callable[..., PlayedSession]


@pytest.fixture
def agent() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is there until it is killed."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with process:
        yield process
        process.kill()


@pytest.mark.parametrize("restarts", [False, True], ids=["", "over a restart"])
async def test_a_session_that_waits_for_a_prompt_is_done_when_its_silent_agent_ends(
    play: Play, daemon: RunningDaemon, agent: subprocess.Popen[bytes], restarts: bool
) -> None:
    session = play(daemon, "qwen-code")
    await session("prompt", prompt="Go", pid=agent.pid)
    await a_moment_later()
    await session("turn.ended", reason="completed", pid=agent.pid)
    if restarts:
        await daemon.stop()
        await daemon.start()
    assert session.task.status is TaskStatus.WAITING
    agent.kill()
    agent.wait()
    await until(lambda: session.task.status is TaskStatus.DONE)
    assert (await session.at_backend())["status"] == "done"
    assert await session.steps() == [("Go", "done")]
    await a_moment_later()
    await session("prompt", prompt="Go on")  # it goes on in its task, as after every end
    assert session.task.status is TaskStatus.RUNNING


async def test_one_that_is_killed_at_work_is_lost(play: Play, daemon: RunningDaemon, agent: subprocess.Popen[bytes]) -> None:
    session = play(daemon, "qwen-code")
    await session("prompt", prompt="Go", pid=agent.pid)
    agent.kill()
    agent.wait()
    await until(lambda: session.task.lost_ms is not None)
    assert not session.task.status.ended
