"""The hook itself and the daemon: what an agent's calls of it make of the task that its session is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from agents.replay import Recording, recordings
from clawlog.agents.agent import Place
from clawlog.agents.catalogue import AGENTS
from clawlog.agents.installation import JsonEntry, OwnFile
from support.agent_hook import Hook
from support.running_daemon import RunningDaemon, until
from support.sessions import PlayedSession

Play = Callable[..., PlayedSession]
CLAUDES_PLAN = [("Say one", "done"), ("Say two", "running")]
PLAN = [("Say one", "done"), ("Say two", "running"), ("Report", "pending")]


@pytest.fixture
def installed(folder: Path, daemon: RunningDaemon) -> Hook:
    (folder / "agent").mkdir()
    return Hook(folder / "agent", env={"CLAWLOG_SOCKET": str(daemon.socket_path)}, state=daemon.state_dir)


async def call(hook: Hook, agent: str, *calls: tuple[str, Mapping[str, Any]]) -> list[tuple[int, str]]:
    """Calls the hook for each event, one after the other; returns once all that it reports has arrived."""

    def perform() -> list[tuple[int, str]]:
        with hook.begun() as descriptor:
            ended = [hook.call_only(agent, event, payload, descriptor) for event, payload in calls]
        return [(each.returncode, (each.stdout + each.stderr).decode()) for each in ended]

    return await asyncio.to_thread(perform)


def registered(agent: str) -> set[str]:
    """The events for which an agent's settings name the hook."""
    changes = AGENTS[agent].changes(Place({"HOME": "/"}, "/hooks"))
    files = [json.loads(each.content) for each in changes if isinstance(each, OwnFile)]
    return {each.where[-1] for each in changes if isinstance(each, JsonEntry)}.union(*(each["hooks"] for each in files))


BEGIN = ("SessionStart", "UserPromptSubmit", "BeforeAgent")
END = ("SubagentStop", "Stop", "AfterAgent", "SessionEnd")


def in_order(agent: str) -> list[Recording]:
    """What an agent recorded of one session, in an order in which it may have happened."""
    events = registered(agent)
    found = [each for each in recordings(agent) if each.event in events and "session_id" in each.payload]
    session = next(each.payload["session_id"] for each in found if each.event == "SessionStart")

    def place(each: Recording) -> tuple[int, str]:
        if each.event in BEGIN:
            return BEGIN.index(each.event), each.name
        return (100 + END.index(each.event), each.name) if each.event in END else (50, each.name[-2:])

    return sorted((each for each in found if each.payload["session_id"] == session), key=place)


@pytest.mark.parametrize(
    ("agent", "title", "steps", "status"),
    [
        ("claude-code", "Say one and two", [*CLAUDES_PLAN, ("Subagent: general-purpose", "done")], "done"),
        ("codex", "Say one and two", PLAN, "done"),
        ("gemini-cli", "Say one and two", PLAN, "done"),
        ("qwen-code", "Say one and two", [*PLAN, ("Subagent: general-purpose", "done")], "waiting"),
        ("copilot-cli", "Go", [("Go", "done")], "done"),
    ],
)
async def test_a_recorded_session_becomes_a_task(
    installed: Hook, play: Play, daemon: RunningDaemon, monkeypatch: pytest.MonkeyPatch,
    agent: str, title: str, steps: list[tuple[str, str]], status: str,
) -> None:  # fmt: skip
    monkeypatch.setattr("clawlogd.agents.sessions._OPENING_S", 10.0)  # ended by the prompt, however slow this machine is
    recorded = in_order(agent)
    calls = [(each.event, {**each.payload, "timestamp": None}) for each in recorded]
    assert await call(installed, agent, *calls[:2]) == [(0, "")] * 2  # an agent with a prompt begins with both
    for each in calls[2:]:
        assert await call(installed, agent, each) == [(0, "")]
    (known,) = (await daemon.call("task.list"))["tasks"]
    session = play(daemon, agent, calls[0][1]["session_id"])
    session.task_id = known["task_id"]
    task = await session.at_backend()
    assert (task["title"], task["status"], task["metadata"]["agent"]) == (title, status, agent)
    assert set(steps) <= set(await session.steps())


async def test_a_stop_reaches_the_tool_through_the_hook_and_is_acknowledged_by_it(
    installed: Hook, play: Play, daemon: RunningDaemon
) -> None:
    session = play(daemon)
    payload = {"session_id": session.session_id, "cwd": str(installed.folder), "tool_name": "Bash", "prompt": "Count to five"}
    assert await call(installed, "claude-code", ("UserPromptSubmit", payload)) == [(0, "")]
    session.task_id = (await daemon.call("task.list"))["tasks"][0]["task_id"]
    assert await call(installed, "claude-code", ("PreToolUse", payload), ("PostToolUse", payload)) == [(0, "")] * 2
    assert session.signs.read_text() == "before Bash\nafter Bash\n"
    interrupt_id = await session.stop()
    ((status, answer),) = await call(installed, "claude-code", ("PreToolUse", payload))
    assert (status, json.loads(answer)["continue"]) == (0, False)
    assert "wrong branch" in json.loads(answer)["stopReason"]
    task = await session.at_backend()
    receipts = [(each["kind"], each.get("summary")) for each in task["events"] if each["kind"].startswith("interrupt_")]
    assert receipts[1:] == [
        ("interrupt_seen", None),
        ("interrupt_delivered", "held back: Bash"),
        ("interrupt_ack", "held back at Bash"),
    ]
    assert task["status"] == "interrupted"
    assert session.hold.read_text().startswith(interrupt_id)
    assert await call(installed, "claude-code", ("UserPromptSubmit", {**payload, "prompt": "Go on"})) == [(0, "")]
    assert not session.hold.exists()
    assert (await session.at_backend())["status"] == "running"
    assert await call(installed, "claude-code", ("PreToolUse", payload)) == [(0, "")]


async def test_what_came_while_no_daemon_ran_is_made_up_for_by_the_next(
    installed: Hook, play: Play, daemon: RunningDaemon
) -> None:
    session = play(daemon, "codex")
    payload = {"session_id": session.session_id, "tool_name": "Bash", "prompt": "Count to five"}
    await daemon.stop()
    calls = [(event, payload) for event in ("SessionStart", "UserPromptSubmit", "PreToolUse", "PreToolUse", "Stop")]
    assert await call(installed, "codex", *calls) == [(0, "")] * 5
    await daemon.start()
    await until(lambda: any(task.session is not None for task in daemon.services.registry))
    (known,) = (await daemon.call("task.list"))["tasks"]
    session.task_id = known["task_id"]
    await until(lambda: session.task.status == "waiting")  # the last report may still be on its way: the hook does not wait
    assert (await session.at_backend())["status"] == "waiting"
    assert await session.steps() == [("Count to five", "done")]
