"""``clawlog hooks try``: the installed hook is run on a made-up session, and what arrives at the daemon is shown."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest

from clawlog.agents.catalogue import AGENTS
from process.cli.conftest import Clawlog
from process.cli.test_json import fits
from support.installation import Installation, temporary_installation

QUICK = ("codex", "opencode")


@pytest.fixture(scope="module")
def hooked() -> Iterator[Installation]:
    """An installation where all agents have the hook, and a backend and a daemon run."""
    with temporary_installation() as made:
        made.start_backend()
        made.start_daemon()
        assert made.clawlog("install", "hooks", "--all").status == 0
        yield made


@pytest.mark.parametrize("agent", QUICK)
def test_a_made_up_session_arrives(hooked: Installation, clawlog: Clawlog, agent: str) -> None:
    ran = clawlog(hooked, "hooks", "try", agent, "--json")
    assert (ran.status, ran.stderr) == (0, ""), ran.stdout
    fits(ran.json, "clawlog-hooks-try-agent")
    assert ran.json["ok"] is True
    told = [each["task_status"] for each in ran.json["moments"]]
    assert (told[:3], told[-2:]) == (["waiting", "running", "running"], ["waiting", "done"])
    hook = hooked.folder / ".local" / "share" / "clawlog" / "hooks" / "hook"
    assert {shlex.split(each["command"])[0] for each in ran.json["moments"]} == {str(hook)}
    with hooked.client() as client:
        task = client.get_task(ran.json["task_id"])
    assert (task["status"], [step["title"] for step in task["steps"]]) == ("done", ["Trial of the hook"])
    assert task["metadata"]["agent"] == agent


def test_people_see_it_line_by_line(hooked: Installation, clawlog: Clawlog) -> None:
    ran = clawlog(hooked, "hooks", "try", "claude-code")
    assert (ran.status, ran.stderr) == (0, ""), ran.stdout
    lines = ran.stdout.splitlines()
    assert [line[0] for line in lines[:6]] == ["✓"] * 6
    assert "SessionEnd" in lines[5]
    assert lines[-1].startswith("Claude Code: all of it has arrived; the task is ")


def test_a_hook_that_says_something_or_fails_is_a_fault(
    hooked: Installation, clawlog: Clawlog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clawlog.cli.commands.hooks.trial._ARRIVAL_S", 0.1)
    monkeypatch.setattr("clawlog.cli.sources.agents.commands_of", lambda *_: lambda event: f"echo held; exit 2 # {event}")
    ran = clawlog(hooked, "hooks", "try", "gemini-cli")
    assert ran.status == 1
    assert "it ended with status 2 and said: held" in ran.stdout
    assert "not all of it has arrived" in ran.stdout


def test_a_hook_that_is_not_installed_is_said(running: Installation, fresh: Installation, clawlog: Clawlog) -> None:
    ran = clawlog(fresh, "hooks", "try", "codex")
    assert ran.status == 65
    assert "the hook of Codex is not installed: clawlog install hooks codex" in ran.stderr
    ran = clawlog(fresh, "hooks", "try", "vim")
    assert ran.status == 2
    assert "these are: claude-code, " in ran.stderr


def test_where_no_daemon_runs_it_is_said(fresh: Installation, clawlog: Clawlog) -> None:
    assert clawlog(fresh, "install", "hooks", "codex").status == 0
    assert clawlog(fresh, "hooks", "try", "codex").status == 69


def test_a_backend_elsewhere_needs_a_yes(hooked: Installation, clawlog: Clawlog) -> None:
    env = hooked.env
    hooked.env = {**env, "CLAWLOG_BASE_URL": "https://clawlog.example.org"}
    try:
        ran = clawlog(hooked, "hooks", "try", "codex")
    finally:
        hooked.env = env
    assert ran.status == 2
    assert "say --yes" in ran.stderr


def test_all_agents_are_offered_in_a_shell(fresh: Installation) -> None:
    env = {"_CLAWLOG_COMPLETE": "bash_complete", "COMP_WORDS": "clawlog hooks try ", "COMP_CWORD": "3"}
    ran = fresh.clawlog(env=env)
    assert [line.partition(",")[2].partition("\t")[0] for line in ran.stdout.splitlines()] == list(AGENTS)
