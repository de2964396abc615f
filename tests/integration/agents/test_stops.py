"""A person's stop holds a session's tools without its model's consent, and is acknowledged by what its agent then does."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from clawlogd.agents.watching import is_headless
from clawlogd.settings import Agents
from support.backend_process import BackendProcess
from support.running_daemon import QUICK, RunningDaemon, until
from support.sessions import PlayedSession, a_moment_later

Play = Callable[..., PlayedSession]


def receipts(task: dict[str, Any]) -> list[tuple[str, str | None]]:
    """The stages of the stops of a task, each with its summary."""
    return [(each["kind"], each.get("summary")) for each in task["events"] if each["kind"].startswith("interrupt_")]


async def stop_at_work(hook: PlayedSession) -> str:
    """A stop in the middle of a turn."""
    await hook("prompt", prompt="Count to five")
    interrupt_id = await hook.stop('not "this" branch')
    assert hook.hold.exists()
    return interrupt_id


@pytest.mark.parametrize("agent", ["claude-code", "gemini-cli", "qwen-code", "opencode"])
async def test_where_a_hook_can_end_the_loop_the_first_tool_held_back_acknowledges(
    play: Play, daemon: RunningDaemon, agent: str
) -> None:
    hook = play(daemon, agent)
    interrupt_id = await stop_at_work(hook)
    answer = await hook("tool.before", tool="Bash")
    assert (answer["decision"], answer["interrupt_id"], answer["reason"]) == ("stop", interrupt_id, 'not "this" branch')
    task = await hook.at_backend()
    assert receipts(task) == [
        ("interrupt_requested", None),
        ("interrupt_seen", None),
        ("interrupt_delivered", "held back: Bash"),
        ("interrupt_ack", "held back at Bash"),
    ]
    assert (task["status"], await hook.steps()) == ("interrupted", [("Count to five", "skipped")])
    await hook("session.ended", reason="other")
    assert (await hook.at_backend())["status"] == "interrupted"
    assert not hook.hold.exists()


async def test_a_tool_that_was_held_back_is_told_of_though_the_sessions_end_was_heard_first(hook: PlayedSession) -> None:
    await stop_at_work(hook)
    await a_moment_later()
    held_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    await a_moment_later()
    await hook("session.ended", reason="other")
    await hook("tool.before", tool="Bash", at=held_at)
    task = await hook.at_backend()
    assert receipts(task)[2:] == [("interrupt_ack", "the session is over"), ("interrupt_delivered", "held back: Bash")]
    assert task["stop"]["delivered_at"] < task["stop"]["acknowledged_at"]
    assert task["status"] == "interrupted"
    await hook("tool.before", tool="Bash", at=held_at)
    assert len(receipts(await hook.at_backend())) == 4


async def test_a_tool_that_was_held_back_is_told_of_though_its_turns_end_was_heard_first(hook: PlayedSession) -> None:
    await stop_at_work(hook)
    await a_moment_later()
    held_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    await a_moment_later()
    await hook("turn.ended")
    assert (await hook("tool.before", tool="Bash", at=held_at))["decision"] == "stop"
    task = await hook.at_backend()
    assert receipts(task)[2:] == [("interrupt_ack", "the turn is over"), ("interrupt_delivered", "held back: Bash")]
    assert task["stop"]["delivered_at"] < task["stop"]["acknowledged_at"]
    assert hook.hold.exists()
    await hook("tool.before", tool="Bash", at=held_at)
    assert len(receipts(await hook.at_backend())) == 4


@pytest.mark.parametrize("agent", ["codex", "copilot-cli", "openclaw", "cursor", "of-my-own"])
async def test_elsewhere_each_tool_is_refused_and_the_end_of_the_turn_acknowledges(
    play: Play, daemon: RunningDaemon, agent: str
) -> None:
    hook = play(daemon, agent)
    await stop_at_work(hook)
    for tool in ("Bash", "Edit", "Bash"):
        assert (await hook("tool.before", tool=tool))["decision"] == "stop"
    task = await hook.at_backend()
    assert receipts(task)[2:] == [("interrupt_delivered", "held back: Bash")]
    assert task["status"] == "running"
    await hook("turn.ended")
    task = await hook.at_backend()
    assert receipts(task)[3:] == [("interrupt_ack", "the turn is over")]
    assert task["status"] == "interrupted"
    assert (await hook("tool.before", tool="late"))["decision"] == "stop"


async def test_the_hold_says_who_stopped_and_why_in_three_lines(hook: PlayedSession) -> None:
    interrupt_id = await stop_at_work(hook)
    first, second, third, rest = hook.hold.read_text().split("\n")
    assert first == interrupt_id
    assert 'not "this" branch' in second
    assert json.loads(third) == second
    assert rest == ""
    assert hook.hold.parent.stat().st_mode & 0o777 == 0o700


async def test_a_persons_next_prompt_lifts_the_hold_and_goes_on(hook: PlayedSession) -> None:
    await stop_at_work(hook)
    await hook("tool.before", tool="Bash")
    assert hook.hold.exists()
    await a_moment_later()
    assert (await hook("prompt", prompt="Then do it otherwise"))["decision"] == "go"
    assert not hook.hold.exists()
    assert (await hook("tool.before", tool="Bash"))["decision"] == "go"
    assert (await hook.at_backend())["status"] == "running"
    assert await hook.steps() == [("Count to five", "skipped"), ("Then do it otherwise", "running")]


async def test_a_prompt_before_any_tool_acknowledges_the_stop(hook: PlayedSession) -> None:
    await stop_at_work(hook)
    await a_moment_later()
    await hook("prompt", prompt="Otherwise")
    task = await hook.at_backend()
    assert receipts(task)[-1] == ("interrupt_ack", "a new prompt")
    assert task["status"] == "running"


async def test_a_stop_between_two_turns_is_acknowledged_at_once_and_still_holds(hook: PlayedSession) -> None:
    await hook("prompt", prompt="Go")
    await hook("turn.ended")
    await hook.stop()
    await until(hook.hold.exists)
    await until(lambda: hook.task.status.ended)
    task = await hook.at_backend()
    assert (task["status"], receipts(task)[-1]) == ("interrupted", ("interrupt_ack", "stopped between two turns"))
    assert (await hook("tool.before", tool="of the background"))["decision"] == "stop"
    await hook("turn.ended")
    assert (await hook.at_backend())["status"] == "interrupted"


async def test_a_subagents_tool_is_held_back_and_its_session_goes_on_to_be(hook: PlayedSession) -> None:
    await stop_at_work(hook)
    assert (await hook("tool.before", tool="Bash", subagent_id="a1"))["decision"] == "stop"
    task = await hook.at_backend()
    assert (task["status"], receipts(task)[-1]) == ("running", ("interrupt_delivered", "held back: Bash"))
    await hook("tool.before", tool="prompt")
    assert receipts(await hook.at_backend())[-1] == ("interrupt_ack", "held back at prompt")


async def test_a_tool_that_ran_before_the_stop_was_not_held_back(hook: PlayedSession) -> None:
    await stop_at_work(hook)
    await hook("tool.before", tool="Bash", at="2026-01-02T03:04:05.678Z")
    assert [kind for kind, _ in receipts(await hook.at_backend())] == ["interrupt_requested", "interrupt_seen"]


async def test_a_hold_outlasts_a_restart_and_a_lost_folder(daemon: RunningDaemon, hook: PlayedSession) -> None:
    interrupt_id = await stop_at_work(hook)
    stray = hook.hold.with_name("stray")
    await daemon.stop()
    stray.write_text("of an earlier run\n")
    hook.hold.unlink()
    await daemon.start()
    assert hook.hold.read_text().startswith(f"{interrupt_id}\n")
    assert not stray.exists()
    hook.hold.unlink()
    hook.hold.parent.rmdir()
    daemon.services.sessions.holds.restore_files()
    assert hook.hold.exists()
    await hook("tool.before", tool="Bash")
    await daemon.stop()
    await daemon.start()
    assert hook.hold.exists()  # acknowledged, and nobody has spoken to it since


async def test_a_session_whose_id_is_no_files_name_is_held_by_its_digest(play: Play, daemon: RunningDaemon) -> None:
    hook = play(daemon, session_id="../../escape me")
    await stop_at_work(hook)
    assert hook.hold.name.startswith("sha256-")
    assert hook.signs.exists()


async def test_a_headless_agent_that_goes_on_is_interrupted_where_that_is_wanted(
    new_daemon: Callable[..., RunningDaemon], play: Play, embedded: BackendProcess
) -> None:
    settings = msgspec.structs.replace(QUICK, base_url=embedded.url, agents=Agents(interrupt_after_s=0.001))
    daemon = new_daemon(settings)
    await daemon.start()
    program = "import signal, sys; signal.signal(signal.SIGINT, lambda *_: sys.exit(7)); print(flush=True); signal.pause()"
    agent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert agent.stdout is not None
        await agent.stdout.readline()
        for name in ("gemini-cli", "codex"):
            hook = play(daemon, name)
            await hook("prompt", prompt="Go", pid=agent.pid)
            await hook.stop()
            assert (await hook("tool.before", tool="Bash"))["decision"] == "stop"
        async with asyncio.timeout(10):
            assert await agent.wait() == 7
    finally:
        if agent.returncode is None:
            agent.send_signal(signal.SIGKILL)
            await agent.wait()


async def test_a_process_before_a_terminal_is_not_headless() -> None:
    ours, theirs = os.openpty()
    for stdin, headless in ((theirs, False), (asyncio.subprocess.DEVNULL, True)):
        process = await asyncio.create_subprocess_exec("sleep", "600", stdin=stdin)
        assert is_headless(process.pid) is headless
        process.kill()
        await process.wait()
    os.close(ours)
    os.close(theirs)
