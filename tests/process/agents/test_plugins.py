"""The plugins of OpenCode and OpenClaw, loaded by Node as those agents load them, with what they were recorded to be given."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.replay import recordings
from clawlog.agents.agent import Place
from clawlog.agents.catalogue import AGENTS
from clawlog.agents.installation import OwnFile
from clawlog.protocol.agents import MAX_SIGNS_BYTES, session_file
from support.agent_hook import LIMIT_S, Hook
from support.scripted_daemon import ScriptedDaemon

HOST = Path(__file__).with_name("plugin_host.mjs")
MESSAGE = "A person has stopped this session (wrong branch)."
NODE = shutil.which("node")
pytestmark = pytest.mark.skipif(NODE is None, reason="no node to load the plugins")

Play = Callable[..., dict[str, Any]]
CHAT, CLAW = (
    {each.name: (each.payload["input"], each.payload["output"]) for each in recordings(agent) if "input" in each.payload}
    for agent in ("opencode", "openclaw")
)
SESSION = CHAT["chat.message-01"][0]["sessionID"]
KEY = "agent:main:main"
PROMPT = ("chat.message", *CHAT["chat.message-01"])
BEFORE = ("tool.execute.before", *CHAT["tool.execute.before-02"])


@pytest.fixture
def hook(folder: Path) -> Hook:
    return Hook(folder)


@pytest.fixture
def play(hook: Hook) -> Play:
    def play(agent: str, *calls: tuple[Any, ...], word: str = "") -> dict[str, Any]:
        file = hook.folder / "copy" / "index.js"
        shutil.copytree(hook.hooks / "openclaw", file.parent, dirs_exist_ok=True)  # OpenClaw runs a copy of the plugin's folder
        if agent == "opencode":
            (change,) = AGENTS[agent].changes(Place(hook.env, str(hook.hooks)))
            assert isinstance(change, OwnFile)
            file = hook.folder / "clawlog.js"
            file.write_bytes(change.content)
        for each in (hook.folder, hook.hooks):  # Bun needs no such word
            (each / "package.json").write_text('{"type": "module"}')
        assert NODE is not None
        with hook.begun() as descriptor:
            ended = subprocess.run(
                [NODE, str(HOST), agent, str(file), *filter(None, [word])],
                input=json.dumps(calls), capture_output=True, text=True, env=hook.env, timeout=LIMIT_S, check=True,
                pass_fds=[descriptor],
            )  # fmt: skip
        answer: dict[str, Any] = json.loads(ended.stdout)
        return answer

    return play


def said(daemon: ScriptedDaemon, *names: str) -> list[tuple[Any, ...]]:
    """The events that the daemon got, in the order in which they happened, with some of their members."""
    received = sorted((each.params for each in daemon.requests), key=lambda params: params["at"])
    return [(params["event"], *(params.get(name) for name in names)) for params in received]


def test_opencodes_session_is_reported_as_it_goes(hook: Hook, play: Play) -> None:
    signs = hook.listen("opencode", SESSION)
    with hook.daemon() as daemon:
        created, idle = CHAT["event.session.created-01"][0], CHAT["event.session.idle-01"][0]
        idle = {**idle, "properties": {"sessionID": SESSION}}
        answer = play(
            "opencode",
            ("event", {"event": created}),
            PROMPT,
            ("event", {"event": CHAT["event.todo.updated-02"][0]}),
            BEFORE,
            ("tool.execute.after", *CHAT["tool.execute.after-02"]),
            ("tool.execute.after", {**CHAT["tool.execute.after-02"][0]}, {"metadata": {"exit": 3}}),
            ("event", {"event": CHAT["event.message.part.delta-01"][0]}),
            ("event", {"event": idle}),
            ("dispose",),
        )
        assert answer == {"results": [{"returned": None}] * 9, "aborted": []}
        assert sorted(said(daemon, "prompt", "reason")) == sorted([
            ("session.started", None, None),
            ("prompt", "Say one and two", None),
            ("plan", None, None),
            ("turn.ended", None, "completed"),
            ("session.ended", None, "exit"),
        ])  # fmt: skip
        assert {each.params["session_id"] for each in daemon.requests} == {SESSION}
        (started,) = [each.params for each in daemon.requests if each.params["event"] == "session.started"]
        assert (started["agent_version"], started["cwd"]) == ("1.18.33", "/srv/user/project")
    assert signs.read_text() == "before bash\nafter bash\nafter bash failed\n"


def test_a_stop_aborts_opencodes_loop_and_refuses_the_tool(hook: Hook, play: Play) -> None:
    hook.hold("opencode", SESSION, MESSAGE)
    hook.listen("opencode", SESSION)
    with hook.daemon() as daemon:
        answer = play("opencode", BEFORE)
        assert answer == {"results": [{"thrown": MESSAGE}], "aborted": [SESSION]}
        assert said(daemon, "tool", "session_id") == [("tool.before", "bash", SESSION)]


def test_a_subagent_of_opencode_is_held_with_its_session(hook: Hook, play: Play) -> None:
    hook.hold("opencode", SESSION, MESSAGE)
    born = {"type": "session.created", "properties": {"sessionID": "child", "info": {"id": "child", "parentID": SESSION}}}
    with hook.daemon() as daemon:
        answer = play(
            "opencode",
            ("event", {"event": born}),
            ("chat.message", {"sessionID": "child"}, CHAT["chat.message-01"][1]),  # the agent's own words to it
            ("tool.execute.before", {"sessionID": "child", "tool": "bash"}, {"args": {}}),
        )
        assert answer["results"][2] == {"thrown": MESSAGE}
        assert answer["aborted"] == ["child", SESSION]
        assert sorted(said(daemon, "session_id", "subagent_id")) == [
            ("session.started", SESSION, "child"),
            ("tool.before", SESSION, "child"),
        ]


def test_a_person_lifts_opencodes_stop(hook: Hook, play: Play) -> None:
    hold = hook.hold("opencode", SESSION, MESSAGE)
    hook.listen("opencode", SESSION)
    answer = play("opencode", PROMPT, BEFORE)
    assert answer["results"] == [{"returned": None}] * 2
    assert not hold.exists()


@pytest.mark.parametrize(
    ("error", "failed", "reason"), [("MessageAbortedError", None, "interrupted"), ("APIError", True, "error")]
)
def test_how_opencodes_turn_ended_is_told(
    hook: Hook, play: Play, error: str, failed: bool | None, reason: str
) -> None:  # fmt: skip
    with hook.daemon() as daemon:
        play(
            "opencode",
            ("event", {"event": {"type": "session.error", "properties": {"sessionID": SESSION, "error": {"name": error}}}}),
            ("event", {"event": {"type": "session.idle", "properties": {"sessionID": SESSION}}}),
        )
        assert said(daemon, "failed", "reason") == [("turn.ended", failed, reason)]


def test_openclaws_session_is_reported_as_it_goes(hook: Hook, play: Play) -> None:
    signs = hook.listen("openclaw", KEY)
    with hook.daemon() as daemon:
        answer = play(
            "openclaw",
            ("agent_turn_prepare", *CLAW["agent_turn_prepare-01"]),
            ("before_tool_call", *CLAW["before_tool_call-02"]),
            ("after_tool_call", *CLAW["after_tool_call-02"]),
            ("after_tool_call", *CLAW["after_tool_call-01"]),
            ("agent_end", *CLAW["agent_end-01"]),
        )
        assert answer["results"] == [{"returned": None}] * 5
        assert sorted(said(daemon, "prompt", "reason", "cwd")) == sorted([
            ("prompt", "Say one and two", None, "/srv/user/project"),
            ("turn.ended", None, "completed", "/srv/user/project"),
            ("session.ended", None, "exit", "/srv/user/project"),
        ])  # fmt: skip
        assert {each.params["session_id"] for each in daemon.requests} == {KEY}
    assert signs.read_text() == "before exec\nafter exec\nafter tool_call failed\n"


def test_a_stop_blocks_openclaws_tools(hook: Hook, play: Play) -> None:
    hook.hold("openclaw", KEY, MESSAGE)
    with hook.daemon() as daemon:
        answer = play("openclaw", ("before_tool_call", *CLAW["before_tool_call-02"]), word="gateway")
        assert answer["results"] == [{"returned": {"block": True, "blockReason": MESSAGE}}]
        params = daemon.only("agent.event")  # a gateway's end is no session's
    assert (params["event"], params["tool"]) == ("tool.before", "exec")
    assert "pid" not in params  # nor is its process


def test_what_is_private_never_leaves_the_agents_process(hook: Hook, play: Play) -> None:
    seen = hook.folder / "seen"
    (hook.hooks / "hook").write_text(f'#!/bin/sh\n{{ echo "$2"; cat; echo; }} >>"{seen}"\n')
    secret = "canary-1f2e"
    prompt = {**CHAT["chat.message-01"][1], "parts": [{"type": "text", "text": "Go\n" + "x" * 500 + secret}]}
    play(
        "opencode",
        ("chat.message", CHAT["chat.message-01"][0], prompt),
        ("tool.execute.before", {**CHAT["tool.execute.before-02"][0]}, {"args": {"command": secret}}),
        ("event", {"event": {"type": "session.idle", "properties": {"sessionID": SESSION, "error": {"message": secret}}}}),
    )
    play(
        "openclaw",
        ("agent_turn_prepare", {"prompt": "Go\n" + "x" * 500 + secret, "messages": [secret]}, CLAW["agent_end-01"][1]),
        ("before_tool_call", {"toolName": "exec", "params": {"command": secret}}, CLAW["before_tool_call-02"][1]),
        ("agent_end", {"success": False, "error": secret, "messages": [secret]}, CLAW["agent_end-01"][1]),
    )
    content = seen.read_text()
    assert "chat.message" in content
    assert "agent_turn_prepare" in content
    assert secret not in content


@pytest.mark.parametrize("damage", ["state", "hook", "python", "plugin.js"])
def test_a_plugin_without_its_files_lets_the_agent_work(hook: Hook, play: Play, damage: str) -> None:
    (hook.hooks / damage).unlink()
    answer = play("opencode", PROMPT, BEFORE)
    assert answer == {"results": [{"returned": None}] * 2, "aborted": []}
    odd = ("tool.execute.before", {"sessionID": None, "tool": {}}, None)
    assert play("opencode", odd, ("event", {"event": {}}), ("chat.message", {}, {}))["results"][0] == {"returned": None}
    if damage != "plugin.js":  # which OpenClaw's folder has for itself
        assert play("openclaw", ("before_tool_call", {}, {}), ("agent_end", None, None))["results"] == [{"returned": None}] * 2


def test_signs_of_odd_sessions_and_full_files(hook: Hook, play: Play) -> None:
    odd = hook.listen("opencode", session_file("a b/c"))
    full = hook.listen("opencode", SESSION)
    full.write_bytes(b"." * (MAX_SIGNS_BYTES - 3))
    play(
        "opencode",
        ("tool.execute.before", {"sessionID": "a b/c", "tool": "x y"}, {}),
        BEFORE,
    )
    assert odd.read_text() == "before tool\n"
    assert full.stat().st_size == MAX_SIGNS_BYTES - 3
