"""The repository as a plugin of Claude Code, and its extension of Gemini CLI: whole, valid, and once is once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from clawlog.agents import claude_code, gemini_cli
from clawlog.agents.agent import Place
from clawlog.agents.catalogue import AGENTS
from clawlog.agents.installation import JsonEntry
from clawlog.protocol.agents import agent_task_id
from support.installation import Installation, temporary_installation, wait_until

ROOT = Path(__file__).resolve().parents[2]
GEMINI = ROOT / "integrations" / "gemini-cli"
CACHE = Path(os.environ.get("CLAWLOG_TEST_AGENTS") or Path("~/.cache/clawlog-test-agents").expanduser())


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def distribution() -> Any:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_plugin_and_the_extension_have_the_name_and_version_of_the_distribution() -> None:
    for manifest in (ROOT / ".claude-plugin" / "plugin.json", GEMINI / "gemini-extension.json"):
        told = read(manifest)
        assert (told["name"], told["version"]) == (distribution()["name"], distribution()["version"])
    (listed,) = read(ROOT / ".claude-plugin" / "marketplace.json")["plugins"]
    assert (listed["name"], listed["source"]) == (distribution()["name"], "./")
    assert (ROOT / read(ROOT / ".claude-plugin" / "plugin.json")["skills"][0] / "SKILL.md").is_file()


@pytest.mark.parametrize(
    ("path", "variable", "agent"),
    [
        (ROOT / "hooks" / "hooks.json", "CLAUDE_PLUGIN_ROOT", claude_code),
        (GEMINI / "hooks" / "hooks.json", "extensionPath", gemini_cli),
    ],
    ids=["claude-code", "gemini-cli"],
)
def test_a_plugin_runs_the_hook_for_the_events_that_the_installation_registers(path: Path, variable: str, agent: Any) -> None:
    place = Place({"HOME": "/"}, "/hooks")
    installed = {each.where[-1]: each.value for each in AGENTS[agent.NAME].changes(place) if isinstance(each, JsonEntry)}
    told = read(path)["hooks"]
    assert told.keys() == installed.keys()
    for event, (group,) in told.items():
        as_installed = json.loads(json.dumps(installed[event]))
        as_installed["hooks"][0]["command"] = f'sh "${{{variable}}}/hooks/run" {agent.NAME} {event}'
        assert group == as_installed


def test_both_start_the_hook_alike() -> None:
    start = ROOT / "hooks" / "run"
    assert start.read_bytes() == (GEMINI / "hooks" / "run").read_bytes()
    assert os.access(start, os.X_OK)


def agent_program(pattern: str) -> Path:
    found = sorted(CACHE.glob(pattern))
    if not found:
        pytest.skip(f"no {pattern} in {CACHE}")
    return found[-1]


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8", "DISABLE_TELEMETRY": "1"}


def test_claude_code_takes_the_plugin_and_the_marketplace_for_valid(home: dict[str, str], tmp_path: Path) -> None:
    program = agent_program("claude-code-*/node_modules/@anthropic-ai/claude-code-*/claude")
    env = {**home, "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}
    alone = tmp_path / "alone"
    for name in (".claude-plugin/plugin.json", "hooks/hooks.json", "hooks/run", "SKILL.md", "README.md"):
        (alone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, alone / name)
    for target in (alone, ROOT / ".claude-plugin" / "marketplace.json"):
        command = [program, "plugin", "validate", "--strict", target]
        ran = subprocess.run(command, env=env, check=False, capture_output=True, text=True, timeout=50)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "skills: clawlog-status-sync:clawlog-status-sync" in subprocess.run(
        [program, "plugin", "validate", alone], env=env, check=True, capture_output=True, text=True, timeout=50
    ).stdout  # fmt: skip


def test_gemini_takes_the_extension_for_valid(home: dict[str, str]) -> None:
    node = agent_program("node-*/node_modules/node-*/bin/node")
    program = agent_program("gemini-cli-*/node_modules/@google/gemini-cli/bundle/gemini.js")
    env = {**home, "GEMINI_CLI_NO_RELAUNCH": "true", "GEMINI_API_KEY": "dummy"}
    command = [node, program, "extensions", "validate", GEMINI]
    ran = subprocess.run(command, env=env, check=False, capture_output=True, text=True, timeout=50)
    assert (ran.returncode, "successfully validated" in ran.stdout + ran.stderr) == (0, True), ran.stdout + ran.stderr


# ── What it runs ────────────────────────────────────────────────────────────────────────────────────────────────────────


def call(where: Installation, start: Path, session: str) -> None:
    """One call of the hook, as the plugin makes it."""
    payload = json.dumps({"session_id": session, "cwd": "/", "hook_event_name": "SessionStart", "source": "startup"})
    command = f'sh "{start}/hooks/run" claude-code SessionStart'
    ran = subprocess.run(
        ["sh", "-c", command], input=payload, env=where.env, capture_output=True, text=True, check=False, timeout=20
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


def sessions(where: Installation) -> set[str]:
    with where.client() as client:
        return {task["task_id"] for task in client.list_tasks()["tasks"]}


def task_of(session: str) -> str:
    from clawlog import locations

    return agent_task_id(locations.machine_id(), os.geteuid(), "claude-code", session)


def test_a_session_is_reported_with_and_without_an_installed_hook_and_never_twice(tmp_path: Path) -> None:
    copy = tmp_path / "a plugin"
    shutil.copytree(ROOT / "hooks", copy / "hooks")
    shutil.copytree(ROOT / "client", copy / "client", ignore=shutil.ignore_patterns("__pycache__", "cli"))
    alone = tmp_path / "alone"
    shutil.copytree(ROOT / "hooks", alone / "hooks")
    with temporary_installation() as made:
        made.start_backend()
        made.start_daemon()
        call(made, copy, "one")
        wait_until(lambda: task_of("one") in sessions(made), "the plugin reports by itself")
        assert made.clawlog("install", "hooks", "gemini-cli").status == 0
        call(made, alone, "two")
        wait_until(lambda: task_of("two") in sessions(made), "the plugin runs the installed hook")
        assert made.clawlog("install", "hooks", "claude-code").status == 0
        call(made, copy, "three")
        assert made.clawlog("uninstall", "hooks", "claude-code").status == 0
        call(made, copy, "four")
        wait_until(lambda: task_of("four") in sessions(made), "the plugin reports again")
        assert task_of("three") not in sessions(made), "the agent's own settings run the hook"
        made.clawlog("uninstall", "hooks")
        call(made, alone, "five")  # nothing to run: and nothing is said
