"""What the real agents are run with: processes that are found and ended, the table, the cache. No agent is needed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from agents.real import cache, table
from agents.real.processes import Family, until
from agents.real.programs import PROGRAMS
from agents.real.registry import SCENARIOS
from agents.real.scenarios import Result
from clawlog.protocol.agents import AGENTS


def test_every_process_that_comes_of_one_is_ended_also_an_orphan_in_a_session_of_its_own(folder: Path) -> None:
    family = Family(folder)
    orphan = "import os, time; os.fork() and os._exit(0); os.setsid(); time.sleep(60)"
    process = family.start([sys.executable, "-c", orphan], env={}, cwd=folder, output=folder / "out")
    assert process.wait(10) == 0
    until(lambda: len(family.members()) == 1, 10, "the orphan")
    (left,) = family.end()
    assert orphan.split(";", maxsplit=1)[0] in left
    assert family.members() == []


def test_a_program_that_starts_itself_again_is_known_for_one(folder: Path) -> None:
    family = Family(folder)
    again = "import subprocess, sys, time; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    process = family.start([sys.executable, "-c", again], env={}, cwd=folder, output=folder / "out")
    try:
        until(lambda: len(family.like(process.pid)) == 2, 10, "both")
    finally:
        family.end()


def test_other_processes_are_left_alone(folder: Path) -> None:
    assert os.getpid() not in Family(folder).members()
    assert Family(folder).end() == []


def test_what_is_not_installed_is_said_with_the_way_to_get_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAWLOG_TEST_AGENTS", str(folder))
    assert cache.missing("codex") == f"node and codex not in {folder}: run `make agents` once"


def test_an_installation_without_npm_fails_with_the_reason(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLAWLOG_TEST_AGENTS", str(folder))
    monkeypatch.setenv("PATH", str(folder))
    told: list[str] = []
    assert cache.install(["codex"], told.append) == {"codex": "no Node for it: npm is not on PATH"}
    assert "about 605 MB" in told[0]


def test_every_agent_but_the_one_that_no_package_has_is_run() -> None:
    assert set(PROGRAMS) == set(AGENTS) - {"cursor"}
    assert set(cache.packages()) == {"node", "inspector", *PROGRAMS}
    assert set(table.TITLES) == set(PROGRAMS)


def test_the_table_keeps_the_agents_that_were_not_run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = folder / "document.md"
    document.write_text(f"Before.\n\n{table.BEGIN}\n{table.END}\n\nAfter.\n", encoding="utf-8")
    monkeypatch.setattr(table, "DOCUMENT", document)
    table.write([table.row("gemini-cli", {}, "no npm"), table.row("codex", {}, "no npm")])
    table.write([table.row("codex", {"session": Result(shown=["title"])}), table.row("claude-code", {}, "no npm")])
    lines = document.read_text(encoding="utf-8").splitlines()
    assert [line.split("|")[1].strip() for line in lines if line.startswith("| ")][2:] == [
        "Claude Code",
        "Codex CLI",
        "Gemini CLI",
    ]
    assert "title" in next(line for line in lines if "Codex" in line)
    assert (lines[0], lines[-1]) == ("Before.", "After.")
    document.write_text("Nothing.", encoding="utf-8")
    with pytest.raises(ValueError, match="no place for the table"):
        table.write([])


def test_a_failure_stands_in_the_table() -> None:
    result = Result()
    result.check("title", True)
    result.check("resume", False, "two tasks")
    row = table.row("codex", {"session": result})
    assert row.startswith("| Codex CLI | 0.171.0 | title; **not: resume** |")
    assert row.count("|") == table.HEAD.splitlines()[0].count("|")
    assert table.row("codex", {}, "no npm").count("|") == row.count("|")
    assert set(SCENARIOS) >= {"session", "stop", "killed", "two", "settings", "cost"}
