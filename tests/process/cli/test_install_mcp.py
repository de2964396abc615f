"""``clawlog install mcp``, ``uninstall mcp``: agents' settings get the server, and are afterwards as they were, to the byte."""

from __future__ import annotations

import json
import os
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clawlog.agents.catalogue import AGENTS
from clawlog.cli.sources import mcp_library
from process.cli.conftest import Clawlog
from support.agent_settings import REFUSED, everything, written
from support.installation import Installation, Ran

PROGRAM = str(Path(sys.executable).with_name("clawlog"))
PLAIN = {"command": PROGRAM, "args": ["mcp"]}
UNAVAILABLE = 69

# What each agent's own command for it writes, as far as it has one (claude mcp add, codex mcp add, copilot mcp add, …).
SETTINGS: dict[str, tuple[str, Callable[[Any], Any], dict[str, Any]]] = {
    "claude-code": (".claude.json", lambda tree: tree["mcpServers"], {"type": "stdio", **PLAIN, "alwaysLoad": True}),
    "gemini-cli": (".gemini/settings.json", lambda tree: tree["mcpServers"], PLAIN),
    "qwen-code": (".qwen/settings.json", lambda tree: tree["mcpServers"], PLAIN),
    "copilot-cli": (".copilot/mcp-config.json", lambda tree: tree["mcpServers"], {"type": "local", **PLAIN, "tools": ["*"]}),
    "opencode": (
        ".config/opencode/opencode.json",
        lambda tree: tree["mcp"],
        {"type": "local", "command": [PROGRAM, "mcp"], "enabled": True},
    ),
    "openclaw": (".openclaw/openclaw.json", lambda tree: tree["mcp"]["servers"], PLAIN),
    "cursor": (".cursor/mcp.json", lambda tree: tree["mcpServers"], PLAIN),
}
WITH_VARIABLES = {"openclaw", "cursor"}


@pytest.fixture(autouse=True)
def no_agents(fresh: Installation) -> None:
    """A machine without agents."""
    fresh.env["PATH"] = "/usr/bin:/bin"


def done(fresh: Installation, clawlog: Clawlog, *arguments: str) -> Ran:
    ran = clawlog(fresh, *arguments)
    assert ran.status == 0, ran.stderr
    return ran


def tree_of(path: Path) -> Any:
    text = path.read_text(encoding="utf-8-sig")
    return tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)


# ── What is written ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("agent", SETTINGS)
def test_each_agent_is_told_of_the_server_in_its_own_words(fresh: Installation, clawlog: Clawlog, agent: str) -> None:
    name, servers, value = SETTINGS[agent]
    done(fresh, clawlog, "install", "mcp", agent)
    found = servers(tree_of(fresh.folder / name))
    expected = {**value, "env": {"CLAWLOG_STATE_DIR": str(fresh.folder)}} if agent in WITH_VARIABLES else value
    assert found == {"clawlog": expected}
    assert (fresh.folder / name).stat().st_mode & 0o777 == 0o600


def test_a_folder_that_claude_code_is_told_of_holds_its_servers_too(fresh: Installation, clawlog: Clawlog) -> None:
    fresh.env["CLAUDE_CONFIG_DIR"] = str(fresh.folder / "elsewhere")
    done(fresh, clawlog, "install", "mcp", "claude-code", "--allow")
    assert sorted(path.name for path in (fresh.folder / "elsewhere").iterdir()) == [".claude.json", "settings.json"]


def test_codex_hands_on_by_what_the_daemon_is_found(fresh: Installation, clawlog: Clawlog) -> None:
    done(fresh, clawlog, "install", "mcp", "codex")
    server = tree_of(fresh.folder / ".codex" / "config.toml")["mcp_servers"]["clawlog"]
    assert (server["command"], server["args"]) == (PROGRAM, ["mcp"])
    assert {"CLAWLOG_STATE_DIR", "CLAWLOG_SOCKET", "XDG_RUNTIME_DIR", "CLAWLOG_TASK_ID"} <= set(server["env_vars"])
    assert not any("TOKEN" in each for each in server["env_vars"])


def test_every_agent_has_a_place_for_it_and_nothing_is_left_of_it_afterwards(fresh: Installation, clawlog: Clawlog) -> None:
    before = everything(fresh.folder)
    ran = done(fresh, clawlog, "install", "mcp", "--all", "--json")
    assert {name for action in ran.json["actions"] for name in action["agents"]} == set(AGENTS)
    between = everything(fresh.folder)
    again = done(fresh, clawlog, "install", "mcp", "--all")
    assert (again.stdout, everything(fresh.folder)) == ("", between)
    for agent in AGENTS:
        done(fresh, clawlog, "uninstall", "mcp", agent)
    assert everything(fresh.folder) == before


def test_of_a_project_what_is_ones_own_where_the_agent_has_that(
    fresh: Installation, clawlog: Clawlog, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = fresh.folder / "project"
    (project / ".git").mkdir(parents=True)
    monkeypatch.chdir(project)
    before = everything(fresh.folder)
    done(fresh, clawlog, "install", "mcp", "--all", "--project")
    local = tree_of(fresh.folder / ".claude.json")["projects"][str(project)]["mcpServers"]
    assert local == {"clawlog": {"type": "stdio", **PLAIN, "alwaysLoad": True}}
    new = {str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()}
    assert new == {
        ".codex/config.toml", ".gemini/settings.json", ".qwen/settings.json", ".github/mcp.json", "opencode.json",
        ".cursor/mcp.json",
    }  # fmt: skip
    refused = clawlog(fresh, "install", "mcp", "openclaw", "--project")
    assert (refused.status, "leave --project out" in refused.stderr) == (REFUSED, True)
    done(fresh, clawlog, "uninstall", "mcp")
    assert everything(fresh.folder) == before


def test_where_it_is_allowed_no_model_has_to_ask(fresh: Installation, clawlog: Clawlog) -> None:
    settings = fresh.folder / ".claude" / "settings.json"
    before = written(settings, '{"permissions": {"allow": ["Bash(ls:*)"]}}\n')
    done(fresh, clawlog, "install", "mcp", "claude-code", "gemini-cli", "qwen-code", "codex", "--allow")
    assert tree_of(settings)["permissions"] == {"allow": ["Bash(ls:*)", "mcp__clawlog"]}
    for agent in ("gemini-cli", "qwen-code"):
        name, servers, value = SETTINGS[agent]
        assert servers(tree_of(fresh.folder / name)) == {"clawlog": {**value, "trust": True}}
    done(fresh, clawlog, "install", "mcp", "claude-code", "gemini-cli")  # no longer
    assert tree_of(settings)["permissions"] == {"allow": ["Bash(ls:*)"]}
    assert tree_of(fresh.folder / ".gemini" / "settings.json")["mcpServers"] == {"clawlog": PLAIN}
    done(fresh, clawlog, "uninstall", "mcp")
    assert settings.read_bytes() == before


# ── To the byte ─────────────────────────────────────────────────────────────────────────────────────────────────────────

JSON_TEXTS = {
    "empty": "",
    "no members": "{}",
    "one line": '{"model": "x"}',
    "tabs": '{\n\t"mcpServers": {},\n\t"z": 1.50\n}\n',
    "Windows line ends": '{\r\n  "mcpServers": {\r\n    "other": {"command": "x"}\r\n  }\r\n}\r\n',
    "others' servers": '{\n  "mcpServers": {\n    "other": {\n      "command": "x"\n    }\n  },\n  "n": "部署"\n}',
}
TOML_TEXTS = {
    "empty": "",
    "comments": '# mine\nmodel = "x"  # this one\n\n[tui]\ntheme = "dark"\n',
    "others' servers": '[mcp_servers.other]\ncommand = "x"\n\n[mcp_servers.other.env]\nA = "1"\n\n[features]\nb = true\n',
    "a table of servers": '[mcp_servers]\nother = { command = "x" }\n',
    "Windows line ends": 'model = "x"\r\n\r\n[mcp_servers.other]\r\ncommand = "x"\r\n',
}
TEXTS = [("gemini-cli", text) for text in JSON_TEXTS.values()] + [("codex", text) for text in TOML_TEXTS.values()]


@pytest.mark.parametrize(("agent", "text"), TEXTS, ids=[*JSON_TEXTS, *(f"TOML, {name}" for name in TOML_TEXTS)])
def test_settings_are_afterwards_as_they_were(fresh: Installation, clawlog: Clawlog, agent: str, text: str) -> None:
    path = fresh.folder / (".codex/config.toml" if agent == "codex" else SETTINGS[agent][0])
    before = written(path, text)
    kept = tree_of(path) if text else {}
    done(fresh, clawlog, "install", "mcp", agent)
    tree = tree_of(path)
    servers = tree["mcp_servers" if agent == "codex" else "mcpServers"]
    assert servers.pop("clawlog")["command"] == PROGRAM
    assert all(tree[name] == value for name, value in kept.items())
    done(fresh, clawlog, "uninstall", "mcp", agent)
    assert path.read_bytes() == before


@pytest.mark.parametrize("order", [("hooks", "mcp"), ("mcp", "hooks")], ids=" then ".join)
@pytest.mark.parametrize("is_there", [False, True], ids=["new files", "old files"])
def test_hooks_and_server_in_one_file_go_each_by_itself(
    fresh: Installation, clawlog: Clawlog, order: tuple[str, str], is_there: bool
) -> None:
    settings = [fresh.folder / name for name in (".gemini/settings.json", ".qwen/settings.json", ".codex/config.toml")]
    if is_there:
        for path in settings:
            written(path, "# mine\n[tools]\nx = 1\n" if path.suffix == ".toml" else '{\n   "tools": {},\n   "a": [ 1 ]\n}')
    before = everything(fresh.folder)
    first, second = order
    plans = ["--with-plans"]
    done(fresh, clawlog, "install", first, "--all", *(plans if first == "hooks" else []))
    between = everything(fresh.folder)
    done(fresh, clawlog, "install", second, "--all", *(plans if second == "hooks" else []))
    done(fresh, clawlog, "uninstall", second)
    after = everything(fresh.folder)
    between.pop("installed.json")
    after.pop("installed.json")
    assert after == between
    done(fresh, clawlog, "install", second, "--all", *(plans if second == "hooks" else []))
    done(fresh, clawlog, "uninstall", first)
    done(fresh, clawlog, "uninstall", second)
    assert everything(fresh.folder) == before


# ── What is somebody else's ─────────────────────────────────────────────────────────────────────────────────────────────


def test_json_with_comments_is_left_alone_with_the_lines_to_add(fresh: Installation, clawlog: Clawlog) -> None:
    path = fresh.folder / ".gemini" / "settings.json"
    before = written(path, "// mine\n{}\n")
    ran = clawlog(fresh, "install", "mcp", "gemini-cli")
    assert (ran.status, path.read_bytes()) == (REFUSED, before)
    assert "was left alone: it is not plain JSON" in ran.stderr
    shown = [line.removeprefix("        ") for line in ran.stdout.splitlines() if line.startswith("        ")]
    assert json.loads("\n".join(shown)) == {"mcpServers": {"clawlog": PLAIN}}


def test_a_server_of_that_name_that_somebody_else_has_put_there_stays(fresh: Installation, clawlog: Clawlog) -> None:
    path = fresh.folder / ".gemini" / "settings.json"
    before = written(path, '{"mcpServers": {"clawlog": {"command": "mine"}}}')
    ran = done(fresh, clawlog, "install", "mcp", "gemini-cli")
    assert "mcpServers.clawlog" in ran.stderr
    assert "has a value of yours, and stays" in ran.stderr
    done(fresh, clawlog, "uninstall", "mcp", "gemini-cli")
    assert path.read_bytes() == before


def test_edits_of_others_stay(fresh: Installation, clawlog: Clawlog) -> None:
    path = fresh.folder / ".claude.json"
    written(path, '{"numStartups": 1}')
    done(fresh, clawlog, "install", "mcp", "claude-code")
    tree = {**tree_of(path), "numStartups": 2}
    tree["mcpServers"]["other"] = {"command": "x"}
    path.write_text(json.dumps(tree))  # an agent writes its settings whole, in its own way
    done(fresh, clawlog, "uninstall", "mcp")
    assert tree_of(path) == {"numStartups": 2, "mcpServers": {"other": {"command": "x"}}}


def test_a_program_that_has_moved_is_named_anew(fresh: Installation, clawlog: Clawlog) -> None:
    path = fresh.folder / ".gemini" / "settings.json"
    before = written(path, '{"a": 1}\n')
    folder = fresh.folder / "bin"
    folder.mkdir()
    (folder / "clawlog").symlink_to(PROGRAM)
    fresh.env["PATH"] = f"{folder}:/usr/bin:/bin"
    done(fresh, clawlog, "install", "mcp", "gemini-cli")
    assert tree_of(path)["mcpServers"]["clawlog"]["command"] == str(folder / "clawlog")  # it stays when that is upgraded
    (folder / "clawlog").unlink()
    done(fresh, clawlog, "install", "mcp", "gemini-cli")
    assert tree_of(path)["mcpServers"]["clawlog"]["command"] == PROGRAM
    done(fresh, clawlog, "uninstall", "mcp")
    assert path.read_bytes() == before


@pytest.mark.parametrize("flags", [[], ["--allow"]], ids=["", "allowed"])
def test_without_a_record_it_is_taken_out_all_the_same(fresh: Installation, clawlog: Clawlog, flags: list[str]) -> None:
    done(fresh, clawlog, "install", "mcp", "--all", *flags)
    (fresh.folder / "installed.json").unlink()
    done(fresh, clawlog, "uninstall", "mcp")
    left = [path for path in fresh.folder.rglob("*") if path.is_file() and "clawlog" in path.read_text()]
    assert left == []


# ── Without the library ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("command", [("mcp",), ("install", "mcp", "--all")], ids=" ".join)
@pytest.mark.parametrize("version", [None, "1.30.0"])
def test_without_the_library_it_is_said_how_to_get_it(
    fresh: Installation, clawlog: Clawlog, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], version: str | None
) -> None:
    def installed(name: str) -> str:
        if version is None:
            raise mcp_library.metadata.PackageNotFoundError(name)
        return version

    before = everything(fresh.folder)
    monkeypatch.setattr(mcp_library.metadata, "version", installed)
    ran = clawlog(fresh, *command)
    assert (ran.status, ran.stdout) == (UNAVAILABLE, "")
    assert f"{sys.executable} -m pip install 'mcp>=2,<3'" in ran.stderr
    assert "pipx install --force '.[mcp]'" in ran.stderr
    assert everything(fresh.folder) == before
    assert os.access(PROGRAM, os.X_OK)
