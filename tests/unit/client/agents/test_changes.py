"""What each agent's settings need, and where they are."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import pytest

from clawlog.agents import hook_files, hooks_folder
from clawlog.agents.agent import NotOffered, Place
from clawlog.agents.catalogue import AGENTS
from clawlog.agents.installation import Change, JsonEntry, JsonMember, OwnFile, TomlMember

HOOKS = "/da ta/it's/hooks"
ENV = {"HOME": "/nowhere/home"}


def changes(agent: str, **place: object) -> list[Change]:
    return list(AGENTS[agent].changes(Place(ENV, HOOKS, **place)))


def entries(agent: str) -> dict[str, JsonEntry]:
    return {each.where[-1]: each for each in changes(agent) if isinstance(each, JsonEntry)}


TOOLS = {"gemini-cli": ("BeforeTool", "AfterTool"), "cursor": ("preToolUse", "postToolUse")}
IN_SETTINGS = {
    "claude-code": "/nowhere/home/.claude/settings.json",
    "codex": "/nowhere/home/.codex/hooks.json",
    "gemini-cli": "/nowhere/home/.gemini/settings.json",
    "qwen-code": "/nowhere/home/.qwen/settings.json",
    "cursor": "/nowhere/home/.cursor/hooks.json",
}


@pytest.mark.parametrize(("agent", "path"), IN_SETTINGS.items())
def test_an_agents_settings_name_the_hook_for_each_event(agent: str, path: str) -> None:
    found = entries(agent)
    for name in TOOLS.get(agent, ("PreToolUse", "PostToolUse")):
        assert name in found
    for event, entry in found.items():
        assert entry.path == path
        assert entry.where == ("hooks", event)
        assert isinstance(entry.value, dict)
        inner = entry.value.get("hooks", [entry.value])
        assert isinstance(inner, list)
        (hook,) = inner
        assert isinstance(hook, dict)
        assert shlex.split(str(hook["command"])) == [f"{HOOKS}/hook", agent, event]


def test_the_time_out_is_two_seconds_in_each_agents_own_unit() -> None:
    units = {"claude-code": 2, "codex": 2, "qwen-code": 2, "gemini-cli": 2000}
    for agent, timeout in units.items():
        for entry in entries(agent).values():
            assert entry.value["hooks"][0]["timeout"] == timeout
    assert not any("timeout" in entry.value for entry in entries("cursor").values())


def test_gemini_is_not_asked_for_events_that_carry_the_conversation() -> None:
    assert list(entries("gemini-cli")) == [
        "SessionStart", "BeforeAgent", "BeforeTool", "AfterTool", "AfterAgent", "SessionEnd", "Notification",
    ]  # fmt: skip
    assert entries("gemini-cli")["BeforeTool"].value["matcher"] == "*"


def test_copilot_is_asked_in_a_file_of_our_own_by_claudes_names() -> None:
    (file,) = changes("copilot-cli")
    assert isinstance(file, OwnFile)
    assert file.path == "/nowhere/home/.copilot/hooks/clawlog.json"
    content = json.loads(file.content)
    assert content["version"] == 1
    assert list(content["hooks"]) == [
        "SessionStart",
        "UserPromptSubmit",
        "PreToolUse",
        "PostToolUse",
        "Notification",
        "Stop",
        "SessionEnd",
    ]
    assert {hook["timeout"] for (hook,) in content["hooks"].values()} == {2}


def test_copilot_goes_on_where_the_hook_is_not_there_any_more(tmp_path: Path) -> None:
    (file,) = AGENTS["copilot-cli"].changes(Place(ENV, str(tmp_path / "it's")))
    assert isinstance(file, OwnFile)
    ((hook,), *_) = json.loads(file.content)["hooks"].values()

    def status() -> int:
        return subprocess.run(["/bin/sh", "-c", hook["command"]], check=False).returncode

    assert status() == 0
    program = tmp_path / "it's" / "hook"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\n[ "$*" = "copilot-cli SessionStart" ] && exit 7\n')
    program.chmod(0o755)
    assert status() == 7


def test_the_plugins_are_named_where_their_agents_look() -> None:
    (file,) = changes("opencode")
    assert isinstance(file, OwnFile)
    assert file.path == "/nowhere/home/.config/opencode/plugin/clawlog.js"
    assert json.dumps(f"{HOOKS}/opencode.js") in file.content.decode()
    path = "/nowhere/home/.openclaw/openclaw.json"
    assert changes("openclaw") == [
        JsonEntry(path, ("plugins", "load", "paths"), f"{HOOKS}/openclaw"),
        JsonMember(
            path, ("plugins", "entries", "clawlog"), {"enabled": True, "hooks": {"allowConversationAccess": True}}
        ),
    ]  # fmt: skip


def test_plan_tools_are_turned_on_where_they_are_off_and_only_when_asked_for() -> None:
    def turned_on(agent: str) -> list[Change]:
        return [each for each in changes(agent, with_plans=True) if each not in changes(agent)]

    home = "/nowhere/home"
    assert turned_on("claude-code") == [
        JsonMember(f"{home}/.claude/settings.json", ("env", "CLAUDE_CODE_ENABLE_TODO_TOOLS"), "1")
    ]
    assert turned_on("codex") == [TomlMember(f"{home}/.codex/config.toml", ("tools", "update_plan"), {"enabled": True})]
    assert turned_on("qwen-code") == [JsonMember(f"{home}/.qwen/settings.json", ("tools", "todoWrite", "enabled"), value=True)]
    assert not any(map(turned_on, ("gemini-cli", "copilot-cli", "opencode", "openclaw", "cursor")))


@pytest.mark.parametrize(
    ("agent", "path"),
    [
        ("claude-code", "/project/.claude/settings.local.json"),
        ("codex", "/project/.codex/hooks.json"),
        ("copilot-cli", "/project/.github/hooks/clawlog.json"),
        ("cursor", "/project/.cursor/hooks.json"),
    ],
)
def test_of_one_project_the_settings_are_in_its_folder(agent: str, path: str) -> None:
    assert {each.path for each in changes(agent, project="/project")} == {path}


@pytest.mark.parametrize("agent", ["gemini-cli", "qwen-code", "opencode", "openclaw"])
def test_an_agent_that_has_no_place_for_one_project_says_so(agent: str) -> None:
    with pytest.raises(NotOffered, match="--project"):
        changes(agent, project="/project")


@pytest.mark.parametrize(
    ("agent", "variable"),
    [
        ("claude-code", "CLAUDE_CONFIG_DIR"),
        ("codex", "CODEX_HOME"),
        ("copilot-cli", "COPILOT_HOME"),
        ("openclaw", "OPENCLAW_STATE_DIR"),
    ],
)
def test_a_folder_that_the_agent_was_told_of_is_where_its_settings_are(agent: str, variable: str) -> None:
    env = {**ENV, variable: "/else/where"}
    assert AGENTS[agent].folder(env) == "/else/where"
    assert all(each.path.startswith("/else/where/") for each in AGENTS[agent].changes(Place(env, HOOKS)))


def test_gemini_and_openclaw_are_found_where_people_moved_them() -> None:
    env = {**ENV, "GEMINI_CLI_HOME": "/else/where", "OPENCLAW_CONFIG_PATH": "/my/claw.json"}
    assert AGENTS["gemini-cli"].folder(env) == "/else/where/.gemini"
    assert {each.path for each in AGENTS["openclaw"].changes(Place(env, HOOKS))} == {"/my/claw.json"}


def test_the_hooks_files_are_whole_and_say_where_the_daemon_and_the_interpreter_are() -> None:
    env = {"HOME": "/nowhere/home", "XDG_DATA_HOME": "/nowhere/data"}
    folder = Path(hooks_folder(env))
    assert str(folder) == "/nowhere/data/clawlog/hooks"
    files = {str(Path(file.path).relative_to(folder)): file for file in hook_files(env, "/st ate", "/usr/bin/python3", None)}
    assert files["state"].content == b"/st ate\n"
    assert files["python"].content == b"/usr/bin/python3\n\n"
    assert files["hook"].mode == 0o755
    assert files["hook"].content.startswith(b"#!/bin/sh\n")
    assert files["openclaw/folder.js"].content == b'export const folder = "/nowhere/data/clawlog/hooks"\n'
    assert {"opencode.js", "plugin.js", "openclaw/index.js", "openclaw/plugin.js", "openclaw/package.json"} <= set(files)
    assert hooks_folder(ENV) == "/nowhere/home/.local/share/clawlog/hooks"


def test_a_path_with_a_line_end_is_refused() -> None:
    with pytest.raises(ValueError, match="line end"):
        hook_files(ENV, "/st\nate", "/usr/bin/python3", None)
