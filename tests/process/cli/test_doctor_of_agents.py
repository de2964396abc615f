"""``clawlog doctor`` on coding agents: which are here, whether they run the hook, and when they last reported."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from clawlog.agents.catalogue import AGENTS
from process.cli.conftest import Clawlog
from process.cli.test_json import fits
from support.installation import Installation


@pytest.fixture(autouse=True)
def programs(fresh: Installation) -> Path:
    """A folder of programs, which is all that the PATH has beside the system's."""
    folder = fresh.folder / "bin"
    folder.mkdir()
    fresh.env["PATH"] = f"{folder}:/usr/bin:/bin"
    return folder


def program(folder: Path, name: str, says: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{says}\n", encoding="utf-8")
    (folder / name).chmod(0o755)


def told(fresh: Installation, clawlog: Clawlog) -> tuple[dict[str, Any], dict[str, tuple[str, str, str]]]:
    """What is said of each agent: for programs, and for people with the advice."""
    ran = clawlog(fresh, "doctor", "--json")
    fits(ran.json, "clawlog-doctor")
    findings = [each for each in ran.json["findings"] if each["check"] == "agent"]
    found = {each["agent"]: each for each in ran.json["agents"]}
    assert len(findings) == len(found)
    return found, {name: (each["verdict"], each["found"], each["advice"]) for name, each in zip(found, findings, strict=True)}


def test_where_no_agent_is_nothing_is_said(fresh: Installation, clawlog: Clawlog) -> None:
    assert told(fresh, clawlog) == ({}, {})


def test_an_agent_without_hooks_is_no_fault(fresh: Installation, clawlog: Clawlog, programs: Path) -> None:
    program(programs, "claude", "echo '2.1.332 (Claude Code)'; echo \"$DISABLE_AUTOUPDATER\" >&2")
    (fresh.folder / ".gemini").mkdir()
    found, said = told(fresh, clawlog)
    assert list(found) == ["claude-code", "gemini-cli"]
    assert found["claude-code"] == {
        "agent": "claude-code",
        "title": "Claude Code",
        "program": str(programs / "claude"),
        "version": "2.1.332",
        "hooks": "missing",
        "trusted": None,
        "last_report_at": None,
        "mcp": "missing",
    }
    assert said["claude-code"][:2] == (
        "ok",
        "Claude Code 2.1.332: does not report by itself (`clawlog install hooks claude-code` would make it)",
    )
    assert (found["gemini-cli"]["program"], found["gemini-cli"]["version"]) == (None, None)


@pytest.mark.parametrize(
    "says",
    ["exit 1", "sleep 60 & sleep 60", "exec cat /dev/zero", "printf '\\033]0;evil\\007 no number'", "kill -9 $$"],
    ids=["fails", "hangs", "floods", "controls a terminal", "is killed"],
)
def test_a_program_that_does_not_say_its_version_is_bounded(
    fresh: Installation, clawlog: Clawlog, programs: Path, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clawlog.cli.checks.agents._LIMIT_S", 0.3)
    program(programs, "codex", says)
    found, said = told(fresh, clawlog)
    assert found["codex"]["version"] is None
    assert said["codex"][1].startswith("Codex: does not report")


def test_installed_hooks_and_the_last_report(fresh: Installation, clawlog: Clawlog) -> None:
    assert clawlog(fresh, "install", "hooks", "claude-code", "opencode").status == 0
    found, said = told(fresh, clawlog)
    assert (found["claude-code"]["hooks"], found["opencode"]["hooks"]) == ("installed", "installed")
    assert said["opencode"] == ("ok", "OpenCode: hooks installed; no report yet", "")
    signs = fresh.folder / "run" / "signs" / "claude-code"
    signs.mkdir(parents=True)
    (signs / "one").touch()
    os.utime(signs / "one", (1_700_000_000, 1_700_000_000))
    found, said = told(fresh, clawlog)
    assert found["claude-code"]["last_report_at"] == "2023-11-14T22:13:20.000Z"
    assert "hooks installed; last report" in said["claude-code"][1]
    assert found["opencode"]["last_report_at"] is None


def test_the_daemon_knows_of_the_last_report(fresh: Installation, clawlog: Clawlog) -> None:
    fresh.start_backend()
    fresh.start_daemon()
    assert clawlog(fresh, "install", "hooks", "cursor").status == 0
    with fresh.client() as client:
        client.create_task("a session", metadata={"agent": "cursor"})
    found, _ = told(fresh, clawlog)
    assert found["cursor"]["last_report_at"] is not None


def test_hooks_of_another_version_are_a_warning(fresh: Installation, clawlog: Clawlog) -> None:
    assert clawlog(fresh, "install", "hooks", "claude-code").status == 0
    settings = fresh.folder / ".claude" / "settings.json"
    tree = json.loads(settings.read_text())
    del tree["hooks"]["PreToolUse"]
    settings.write_text(json.dumps(tree))
    found, said = told(fresh, clawlog)
    assert found["claude-code"]["hooks"] == "outdated"
    verdict, text, advice = said["claude-code"]
    assert (verdict, advice) == ("warning", "clawlog install hooks claude-code")
    assert "its hooks are not up to date: " in text
    assert clawlog(fresh, "install", "hooks", "claude-code").status == 0
    assert told(fresh, clawlog)[1]["claude-code"][0] == "ok"
    (fresh.folder / ".local" / "share" / "clawlog" / "hooks" / "hook").write_text("#!/bin/sh\n")
    assert told(fresh, clawlog)[1]["claude-code"][0] == "warning"


def test_a_hook_that_is_gone_is_a_fault(fresh: Installation, clawlog: Clawlog) -> None:
    assert clawlog(fresh, "install", "hooks", "copilot-cli").status == 0
    (fresh.folder / ".local" / "share" / "clawlog" / "hooks" / "hook").unlink()
    _, said = told(fresh, clawlog)
    assert said["copilot-cli"][0] == "fault"
    assert "its settings run a hook that is not there" in said["copilot-cli"][1]


def test_settings_that_cannot_be_read_are_a_warning(fresh: Installation, clawlog: Clawlog) -> None:
    (fresh.folder / ".gemini").mkdir()
    (fresh.folder / ".gemini" / "settings.json").write_text("// mine\n{}")
    found, said = told(fresh, clawlog)
    assert found["gemini-cli"]["hooks"] == "unknown"
    assert said["gemini-cli"][0] == "warning"
    assert "a comment" in said["gemini-cli"][1]


def test_codex_says_whether_it_trusts_the_hook(fresh: Installation, clawlog: Clawlog) -> None:
    """As Codex writes it when a person agrees."""
    assert clawlog(fresh, "install", "hooks", "codex").status == 0
    found, said = told(fresh, clawlog)
    assert found["codex"]["trusted"] is False
    assert said["codex"][0] == "warning"
    assert said["codex"][2] == AGENTS["codex"].note
    path = fresh.folder / ".codex" / "hooks.json"
    lines = []
    for event, groups in json.loads(path.read_text())["hooks"].items():
        snake = "".join(f"_{each.lower()}" if each.isupper() else each for each in event).lstrip("_")
        for index, group in enumerate(groups):
            (hook,) = group["hooks"]
            whole = {"event_name": snake, "hooks": [{"async": False, **hook}]}
            digest = hashlib.sha256(json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
            lines += [f'[hooks.state."{path}:{snake}:{index}:0"]', f'trusted_hash = "sha256:{digest}"']
    config = fresh.folder / ".codex" / "config.toml"
    config.write_text("\n".join(lines) + "\n")
    found, said = told(fresh, clawlog)
    assert found["codex"]["trusted"] is True
    assert said["codex"][:2] == ("ok", "Codex: hooks installed, trusted; no report yet")
    config.write_text("\n".join(lines[:-2]) + "\n")
    assert told(fresh, clawlog)[0]["codex"]["trusted"] is False


def of_mcp(fresh: Installation, clawlog: Clawlog) -> tuple[dict[str, str], list[tuple[str, str, str]]]:
    """Whether each agent starts ``clawlog mcp``, and what is said of it."""
    told = clawlog(fresh, "doctor", "--json").json
    findings = [(each["verdict"], each["found"], each["advice"]) for each in told["findings"] if each["check"] == "mcp"]
    return {each["agent"]: each["mcp"] for each in told["agents"]}, findings


def test_which_agents_start_the_server_of_tools_is_said(
    fresh: Installation, clawlog: Clawlog, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert of_mcp(fresh, clawlog) == ({}, [])
    for name in (".gemini", ".codex", ".claude"):
        (fresh.folder / name).mkdir()
    states, findings = of_mcp(fresh, clawlog)
    assert (set(states.values()), [each[0] for each in findings]) == ({"missing"}, ["ok"])
    assert "`clawlog install mcp`" in findings[0][1]
    for arguments in (["gemini-cli"], ["claude-code", "--allow"]):
        assert clawlog(fresh, "install", "mcp", *arguments).status == 0
    states, findings = of_mcp(fresh, clawlog)
    assert states == {"claude-code": "installed", "codex": "missing", "gemini-cli": "installed"}
    assert findings == [("ok", "`clawlog mcp` is started by Claude Code, Gemini CLI", "")]
    settings = fresh.folder / ".gemini" / "settings.json"
    settings.write_text(settings.read_text(encoding="utf-8").replace('"mcp"', '"mpc"'), encoding="utf-8")
    (fresh.folder / ".codex" / "config.toml").write_text("[[", encoding="utf-8")
    states, findings = of_mcp(fresh, clawlog)
    assert states == {"claude-code": "installed", "codex": "unknown", "gemini-cli": "outdated"}
    assert [each[0] for each in findings] == ["warning", "ok"]
    assert findings[0][2] == "see what differs: clawlog install mcp gemini-cli --dry-run"
    monkeypatch.setattr("clawlog.cli.sources.mcp_library.metadata.version", lambda _: "1.9")
    _, findings = of_mcp(fresh, clawlog)
    verdict, said, advice = findings[-1]
    assert (verdict, said) == (
        "fault",
        "clawlog mcp needs version 2 of the library mcp, and 1.9 is installed, and agents start it: Claude Code, Gemini CLI",
    )
    assert "pip install 'mcp>=2,<3'" in advice
