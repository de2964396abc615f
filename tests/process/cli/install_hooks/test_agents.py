"""Which agents ``clawlog install hooks`` means, what it says of them, and what it writes."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from clawlog.agents.catalogue import AGENTS
from process.cli.conftest import Clawlog
from support.agent_settings import REFUSED, commands, everything, hook, install, ours, uninstall, written
from support.installation import Installation

# ── Which agents ────────────────────────────────────────────────────────────────────────────────────────────────────────


def told(done: Any) -> Any:
    return done.json["agents"]


def test_those_that_are_found_are_meant(fresh: Installation, clawlog: Clawlog) -> None:
    done = clawlog(fresh, "install", "hooks", "--dry-run")
    assert done.status == REFUSED
    assert "no agent was found here; name one (claude-code, codex, " in done.stderr
    (fresh.folder / ".gemini").mkdir()
    folder = fresh.folder / "bin"
    folder.mkdir()
    (folder / "codex").write_text("#!/bin/sh\n")
    (folder / "codex").chmod(0o755)
    fresh.env["PATH"] = f"{folder}:/usr/bin:/bin"
    before = everything(fresh.folder)
    assert told(clawlog(fresh, "install", "hooks", "--dry-run", "--json")) == ["codex", "gemini-cli"]
    assert told(clawlog(fresh, "install", "hooks", "--all", "--dry-run", "--json")) == list(AGENTS)
    assert told(clawlog(fresh, "install", "hooks", "cursor", "codex", "--dry-run", "--json")) == ["codex", "cursor"]
    assert everything(fresh.folder) == before


def test_an_unknown_agent_and_a_former_option_are_said(fresh: Installation, clawlog: Clawlog) -> None:
    done = clawlog(fresh, "install", "hooks", "claude")
    assert done.status == 2
    assert "'claude' is no agent that is known here; these are: claude-code, " in done.stderr
    assert clawlog(fresh, "uninstall", "hooks", "claude").status == 2
    assert clawlog(fresh, "install", "hooks", "codex", "--all").status == 2
    done = clawlog(fresh, "install", "hooks", "--settings", "settings.json")
    assert done.status == 2
    assert "`clawlog install hooks claude-code`" in done.stderr


def test_one_of_several_is_taken_out(fresh: Installation, clawlog: Clawlog, settings: Path) -> None:
    before = written(settings, '{"a": 1}')
    gemini = fresh.folder / ".gemini" / "settings.json"
    assert clawlog(fresh, "install", "hooks", "claude-code", "gemini-cli", "copilot-cli").status == 0
    uninstall(fresh, clawlog, "claude-code")
    assert settings.read_bytes() == before
    assert len(ours(fresh, gemini)) > 4
    assert hook(fresh).exists()
    uninstall(fresh, clawlog, "gemini-cli", "copilot-cli")
    assert not gemini.exists()
    assert not hook(fresh).exists()


def test_for_one_project_alone(fresh: Installation, clawlog: Clawlog, settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = fresh.folder / "project"
    (project / ".git").mkdir(parents=True)
    (project / "deep").mkdir()
    monkeypatch.chdir(project / "deep")
    before = everything(fresh.folder)
    install(fresh, clawlog, "--project")
    assert len(ours(fresh, project / ".claude" / "settings.local.json")) > 5
    assert not settings.exists()
    monkeypatch.chdir("/")
    uninstall(fresh, clawlog)
    assert everything(fresh.folder) == before


def test_codex_says_that_its_question_has_to_be_answered(fresh: Installation, clawlog: Clawlog) -> None:
    done = install(fresh, clawlog, agent="codex")
    assert "Codex" in done.stderr
    assert "trust" in done.stderr
    assert install(fresh, clawlog, agent="codex").stderr == "clawlog: everything is as it should be: nothing to do\n"


# ── What is shown and written ───────────────────────────────────────────────────────────────────────────────────────────


def test_the_difference_is_shown_without_what_is_secret(fresh: Installation, clawlog: Clawlog, settings: Path) -> None:
    before = written(settings, '{\n  "env": {\n    "KEY": "sk-ant-api03-abcdefghijklmnop"\n  }\n}\n')
    for arguments in ((), ("--json",)):
        done = clawlog(fresh, "install", "hooks", "claude-code", "--with-plans", "--dry-run", *arguments)
        assert (done.status, settings.read_bytes()) == (0, before)
        assert f"+++ {settings}" in done.stdout
        assert "CLAUDE_CODE_ENABLE_TODO_TOOLS" in done.stdout
        assert "abcdefghij" not in done.stdout
        assert done.stderr.startswith("clawlog: nothing was done\n")
    install(fresh, clawlog)
    assert "abcdefghij" not in (fresh.folder / "installed.json").read_text()


def test_the_hook_knows_where_the_state_and_the_library_are(fresh: Installation, clawlog: Clawlog) -> None:
    install(fresh, clawlog)
    assert (hook(fresh).parent / "state").read_text() == f"{fresh.folder}\n"
    python, path = (hook(fresh).parent / "python").read_text().splitlines()
    program = f"import sys; sys.path[:0] = filter(None, [{path!r}]); import clawlog"
    assert subprocess.run([python, "-I", "-c", program], check=False).returncode == 0


def test_what_is_installed_can_be_run_as_it_is_written(
    fresh: Installation, clawlog: Clawlog, settings: Path, tmp_path: Path
) -> None:
    fresh.env["XDG_DATA_HOME"] = str(tmp_path / 'it\'s a "place" $HOME')
    install(fresh, clawlog)
    program = tmp_path / 'it\'s a "place" $HOME' / "clawlog" / "hooks" / "hook"
    for command in commands(json.loads(settings.read_text())):
        assert shlex.split(command)[0] == str(program)
        ran = subprocess.run(["sh", "-c", command], input="{}", env=fresh.env, capture_output=True, text=True, check=False)
        assert (ran.returncode, ran.stdout) == (0, "")
