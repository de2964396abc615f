"""What agents and people say appears nowhere beyond what is documented: looked for in all that the daemon writes or sends."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from clawlogd.settings import Agents
from support.hostile_server import HostileServer
from support.running_daemon import QUICK, RunningDaemon
from support.sessions import PlayedSession

CANARY = "canary-5d1f"
SECRET = "sk-ant-" + "a" * 40

Play = Callable[..., PlayedSession]


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def say_everything(hook: PlayedSession) -> None:
    """A session in which each text that can be private is a canary of its own."""
    await hook("session.started", cwd="/nowhere", resumed=False)
    await hook("prompt", prompt=f"{CANARY}-first {SECRET}\n{CANARY}-second")
    await hook("tool.before", tool=f"Bash {CANARY}-input")
    await hook("waiting", question=f"{CANARY}-question", tool=f"Bash {CANARY}-asked")
    await hook("tool.after", tool=f"Bash {CANARY}-output")
    await hook("prompt", prompt=f"\n\n  {CANARY}-third")
    await hook("session.started", subagent_id="a1", prompt=f"{CANARY}-subagent")
    await hook("turn.ended")
    await hook("session.ended")


async def run(daemon: RunningDaemon, hook: PlayedSession, caplog: pytest.LogCaptureFixture) -> bytes:
    caplog.set_level(logging.DEBUG)
    await say_everything(hook)
    told = str(await daemon.call("task.get", task_id=hook.task_id)) + str(await daemon.call("daemon.status"))
    await daemon.stop()
    return everything_in(daemon.state_dir) + told.encode() + caplog.text.encode()


async def test_a_backend_elsewhere_learns_nothing_that_anybody_said(
    new_daemon: Callable[..., RunningDaemon],
    play: Play,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    new_hostile: Callable[..., Awaitable[HostileServer]],
) -> None:
    monkeypatch.setattr("clawlogd.agents.report.is_this_machine", lambda _: False)
    daemon = new_daemon()  # whose backend is down: all that it is to be told waits in the outbox
    await daemon.start()
    found = await run(daemon, play(daemon), caplog)
    assert b"Turn 1" in found
    assert CANARY.encode() not in found
    assert SECRET.encode() not in found
    server = await new_hostile()
    daemon.settings = msgspec.structs.replace(QUICK, base_url=server.url)
    await daemon.start()
    await say_everything(hook := play(daemon))
    assert (await daemon.call("daemon.flush", timeout_s=20, task_id=hook.task_id))["flushed"]
    assert "Turn 1" in str(server.requests)
    assert CANARY not in str(server.requests)


async def test_a_backend_here_learns_first_lines_alone_without_credentials(
    new_daemon: Callable[..., RunningDaemon],
    play: Play,
    caplog: pytest.LogCaptureFixture,
) -> None:
    daemon = new_daemon()
    await daemon.start()
    found = (await run(daemon, play(daemon), caplog)).decode("utf-8", "replace")
    for part in ("first", "question", "third", "subagent"):
        assert f"{CANARY}-{part}" in found
    for part in ("second", "input", "asked", "output"):
        assert f"{CANARY}-{part}" not in found
    assert SECRET not in found
    assert f"{CANARY}" not in caplog.text


async def test_prompts_go_elsewhere_where_that_is_wanted(
    daemon: RunningDaemon, hook: PlayedSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clawlogd.agents.report.is_this_machine", lambda _: False)
    live = daemon.services.live_settings
    live.now = msgspec.structs.replace(live.now, agents=Agents(share_prompts=True))
    await hook("prompt", prompt="Fix the parser")
    assert (await hook.at_backend())["title"] == "Fix the parser"
