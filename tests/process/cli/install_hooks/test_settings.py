"""``clawlog install hooks`` and ``uninstall hooks``: settings get the hook, and are afterwards as they were, to the byte."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from clawlog.agents.catalogue import AGENTS
from clawlog.cli.commands.install.hooks import showing
from process.cli.conftest import Clawlog
from support.agent_settings import REFUSED, everything, hook, install, ours, uninstall, written
from support.installation import Installation

# ── To the byte ─────────────────────────────────────────────────────────────────────────────────────────────────────────

GROUP = '{"matcher": "Bash", "hooks": [{"type": "command", "command": "true"}]}'
AWKWARD = {
    "no members": "{}",
    "no members, in lines": "{\n}\n",
    "empty": "",
    "blank": "\n",
    "one line": '{"model": "opus", "env": {"A": "1"}}',
    "compact": '{"model":"opus","env":{"A":"1"}}\n',
    "two spaces": '{\n  "model": "opus"\n}\n',
    "four spaces, no final newline": '{\n    "model": "opus"\n}',
    "tabs": '{\n\t"model": "opus",\n\t"hooks": {}\n}\n',
    "Windows line ends": '{\r\n  "model": "opus"\r\n}\r\n',
    "byte order mark": '\ufeff{\n  "model": "opus"\n}\n',
    "escapes": '{\n  "name": "\\u90e8\\u7f72 \\ud83d\\ude00 \\/"\n}\n',
    "other letters": '{\n  "name": "部署 😀"\n}\n',
    "no hooks": '{\n  "hooks": {}\n}\n',
    "an empty list of hooks": '{"hooks": {"PreToolUse": [ ], "Stop": []}}',
    "hooks of others": f'{{\n  "hooks": {{\n    "PreToolUse": [\n      {GROUP}\n    ]\n  }},\n  "z": 1.50\n}}\n',
    "odd spaces": '{ "a"  :  1 ,\n\n\n      "b":[1,2,  3]\n , "hooks"\n:{"Stop":[\n' + GROUP + "\n\n]}}  \n\n",
    "a name twice": '{"a": 1, "a": 2, "n": 1e400}',
}


@pytest.mark.parametrize("content", AWKWARD.values(), ids=AWKWARD)
@pytest.mark.parametrize("with_plans", [False, True], ids=["", "with plans"])
def test_settings_are_afterwards_as_they_were(
    fresh: Installation, clawlog: Clawlog, settings: Path, content: str, with_plans: bool
) -> None:
    before = written(settings, content)
    install(fresh, clawlog, *(["--with-plans"] if with_plans else []))
    between = settings.read_bytes().decode("utf-8-sig")
    assert len(ours(fresh, settings)) == len(set(ours(fresh, settings))) > 5
    tree = json.loads(between)
    assert ("CLAUDE_CODE_ENABLE_TODO_TOOLS" in tree.get("env", {})) is with_plans
    kept = json.loads(before.decode("utf-8-sig").strip() or "{}")
    assert all(tree[name] == kept[name] for name in kept.keys() - {"hooks", "env"})
    assert ("\r\n" in between) is (b"\r\n" in before)
    uninstall(fresh, clawlog)
    assert settings.read_bytes() == before


@pytest.mark.parametrize("content", AWKWARD.values(), ids=AWKWARD)
def test_without_a_record_it_is_taken_out_all_the_same(
    fresh: Installation, clawlog: Clawlog, settings: Path, content: str
) -> None:
    before = json.loads(written(settings, content).decode("utf-8-sig").strip() or "{}")
    install(fresh, clawlog)
    (fresh.folder / "installed.json").unlink()
    clawlog(fresh, "uninstall", "hooks")
    left = json.loads(settings.read_text(encoding="utf-8-sig"))
    left["hooks"] = {event: groups for event, groups in left["hooks"].items() if groups or event in before.get("hooks", {})}
    assert left == {"hooks": {}, **before}


@pytest.mark.parametrize("agent", AGENTS)
def test_without_a_record_nothing_of_an_agents_runs_the_hook_any_more(
    fresh: Installation, clawlog: Clawlog, agent: str
) -> None:
    install(fresh, clawlog, agent=agent)
    (fresh.folder / "installed.json").unlink()
    uninstall(fresh, clawlog, agent)
    hooks = hook(fresh).parent
    left = [path for path in fresh.folder.rglob("*") if path.is_file() and not path.is_relative_to(hooks)]
    assert [path for path in left if "clawlog" in path.read_text()] == []


@pytest.mark.parametrize("agent", AGENTS)
def test_what_was_not_there_is_gone_afterwards(fresh: Installation, clawlog: Clawlog, agent: str) -> None:
    before = everything(fresh.folder)
    install(fresh, clawlog, "--with-plans", agent=agent)
    assert os.access(hook(fresh), os.X_OK)
    assert len(everything(fresh.folder)) > len(before) + 5
    uninstall(fresh, clawlog)
    assert everything(fresh.folder) == before


def test_all_of_them_at_once(fresh: Installation, clawlog: Clawlog) -> None:
    (fresh.folder / ".claude").mkdir()
    before = everything(fresh.folder)
    assert clawlog(fresh, "install", "hooks", "--all", "--with-plans").status == 0
    assert len(ours(fresh, fresh.folder / ".gemini" / "settings.json")) > 4
    uninstall(fresh, clawlog)
    assert everything(fresh.folder) == before


def test_links_second_names_mode_and_owner_stay(fresh: Installation, clawlog: Clawlog, settings: Path) -> None:
    target = fresh.folder / "dotfiles.json"
    before = written(target, '{\n  "model": "opus"\n}\n')
    target.chmod(0o640)
    (fresh.folder / "second.json").hardlink_to(target)
    if os.geteuid() == 0:
        os.chown(target, 1234, 2345)
    settings.parent.mkdir()
    settings.symlink_to("../dotfiles.json")
    was = target.stat()
    install(fresh, clawlog)
    assert settings.is_symlink()
    assert len(ours(fresh, target)) > 5
    uninstall(fresh, clawlog)
    assert settings.is_symlink()
    assert target.read_bytes() == before
    now = target.stat()
    assert [getattr(now, name) for name in ("st_mode", "st_uid", "st_gid", "st_ino", "st_nlink")] == [
        getattr(was, name) for name in ("st_mode", "st_uid", "st_gid", "st_ino", "st_nlink")
    ]


def test_a_link_to_nothing_leads_to_nothing_again(fresh: Installation, clawlog: Clawlog, settings: Path) -> None:
    settings.parent.mkdir()
    settings.symlink_to("../dotfiles.json")
    install(fresh, clawlog)
    assert (fresh.folder / "dotfiles.json").is_file()
    uninstall(fresh, clawlog)
    assert settings.is_symlink()
    assert not settings.exists()


def test_new_files_are_private(fresh: Installation, clawlog: Clawlog, settings: Path) -> None:
    install(fresh, clawlog)
    assert stat.S_IMODE(settings.stat().st_mode) == 0o600


# ── What others do in between ───────────────────────────────────────────────────────────────────────────────────────────


def test_edits_of_others_stay(fresh: Installation, clawlog: Clawlog, settings: Path) -> None:
    written(settings, '{\n  "model": "opus"\n}\n')
    install(fresh, clawlog, "--with-plans")
    tree = json.loads(settings.read_text())
    tree["theme"] = "dark"
    tree["env"]["MINE"] = "1"
    tree["hooks"]["Stop"].insert(0, {"hooks": [{"type": "command", "command": "beep"}]})
    settings.write_text(json.dumps(tree))  # an agent writes its settings whole, in its own way
    uninstall(fresh, clawlog)
    assert json.loads(settings.read_text()) == {
        "model": "opus",
        "env": {"MINE": "1"},
        "hooks": {"Stop": [{"hooks": [{"type": "command", "command": "beep"}]}]},
        "theme": "dark",
    }


def test_a_hook_that_was_put_beside_ours_stays(fresh: Installation, clawlog: Clawlog, settings: Path) -> None:
    """Claude Code's own menu adds to a group with the same matcher."""
    install(fresh, clawlog)
    tree = json.loads(settings.read_text())
    tree["hooks"]["PreToolUse"][0]["hooks"].append({"type": "command", "command": "beep"})
    settings.write_text(json.dumps(tree))
    before = settings.read_bytes()
    done = install(fresh, clawlog)
    assert (settings.read_bytes(), done.stdout) == (before, "")
    uninstall(fresh, clawlog)
    assert json.loads(settings.read_text()) == {
        "hooks": {"PreToolUse": [{"hooks": [{"type": "command", "command": "beep"}]}]},
    }


def test_a_file_rewritten_by_an_agent_goes_when_nothing_is_left_in_it(
    fresh: Installation, clawlog: Clawlog, settings: Path
) -> None:
    install(fresh, clawlog)
    settings.write_text(json.dumps(json.loads(settings.read_text())))
    uninstall(fresh, clawlog)
    assert not settings.parent.exists()


def test_a_member_that_has_another_value_is_the_users(fresh: Installation, clawlog: Clawlog, settings: Path) -> None:
    written(settings, '{"env": {"CLAUDE_CODE_ENABLE_TODO_TOOLS": "0"}}')
    done = install(fresh, clawlog, "--with-plans")
    assert "has a value of yours, and stays" in done.stderr
    assert json.loads(settings.read_text())["env"] == {"CLAUDE_CODE_ENABLE_TODO_TOOLS": "0"}
    uninstall(fresh, clawlog)
    assert settings.read_text() == '{"env": {"CLAUDE_CODE_ENABLE_TODO_TOOLS": "0"}}'


def test_what_is_written_between_showing_and_writing_stays(
    fresh: Installation, clawlog: Clawlog, settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An agent that runs may write its settings at any time."""
    check = showing.check

    def while_an_agent_writes(content: str) -> Any:
        def checked(*given: Any) -> Any:
            settings.write_text(content)
            return check(*given)

        return checked

    written(settings, '{"a": 1}')
    monkeypatch.setattr(showing, "check", while_an_agent_writes('{"a": 1, "b": 2}'))
    install(fresh, clawlog)
    assert json.loads(settings.read_text()).keys() == {"a", "b", "hooks"}
    monkeypatch.setattr(showing, "check", while_an_agent_writes("// mine\n{}"))
    done = clawlog(fresh, "uninstall", "hooks")
    assert done.status == REFUSED
    assert f"{settings} was changed in between, and is left alone" in done.stderr
    assert settings.read_text() == "// mine\n{}"
    assert hook(fresh).exists()


# ── Again, and after an upgrade ─────────────────────────────────────────────────────────────────────────────────────────


def test_twice_is_once(fresh: Installation, clawlog: Clawlog, settings: Path) -> None:
    before = written(settings, '{"a": 1}')
    install(fresh, clawlog)
    there = everything(fresh.folder)
    done = install(fresh, clawlog)
    assert (done.stdout, done.stderr) == ("", "clawlog: everything is as it should be: nothing to do\n")
    assert everything(fresh.folder) == there
    uninstall(fresh, clawlog)
    assert settings.read_bytes() == before


def test_an_upgrade_changes_the_hook_and_no_settings(fresh: Installation, clawlog: Clawlog, settings: Path) -> None:
    install(fresh, clawlog)
    before = settings.stat()
    record = json.loads((fresh.folder / "installed.json").read_text())
    hook(fresh).write_text("#!/bin/sh\n# of 1999\n")
    (hook(fresh).parent / "python").write_text("/usr/bin/python3.11\n\n")
    done = install(fresh, clawlog)
    assert "edit " not in done.stdout
    assert "of 1999" not in hook(fresh).read_text()
    after = settings.stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)
    assert json.loads((fresh.folder / "installed.json").read_text()) == record


def test_what_an_older_version_needed_and_this_one_does_not_is_taken_out(
    fresh: Installation, clawlog: Clawlog, settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = written(settings, '{\n  "a": 1\n}')
    agent = AGENTS["claude-code"]
    changes = agent.changes

    def of_an_older_version(place: Any) -> Any:
        first, *rest = changes(place)
        other = json.loads(json.dumps(first.value).replace("SessionStart", "PreCompact"))
        return [type(first)(first.path, ("hooks", "PreCompact"), other), *rest]

    with monkeypatch.context() as older:
        older.setattr("clawlog.agents.agent.Agent.changes", property(lambda _: of_an_older_version), raising=False)
        install(fresh, clawlog)
    assert "PreCompact" in json.loads(settings.read_text())["hooks"]
    install(fresh, clawlog)
    assert json.loads(settings.read_text())["hooks"].keys() >= {"SessionStart", "PreToolUse"}
    assert "PreCompact" not in settings.read_text()
    uninstall(fresh, clawlog)
    assert settings.read_bytes() == before


def test_an_entry_of_another_version_is_replaced(fresh: Installation, clawlog: Clawlog, settings: Path) -> None:
    install(fresh, clawlog)
    wanted = json.loads(settings.read_text())
    settings.write_text(settings.read_text().replace('"timeout": 2', '"timeout": 600'))
    install(fresh, clawlog)
    assert json.loads(settings.read_text()) == wanted


def test_plans_stay_on_when_it_is_installed_again_without(fresh: Installation, clawlog: Clawlog, settings: Path) -> None:
    install(fresh, clawlog, "--with-plans")
    install(fresh, clawlog)
    assert json.loads(settings.read_text())["env"] == {"CLAUDE_CODE_ENABLE_TODO_TOOLS": "1"}
    uninstall(fresh, clawlog)
    assert not settings.exists()


def test_the_former_hook_and_its_entries_are_taken_out(fresh: Installation, clawlog: Clawlog, settings: Path) -> None:
    former = fresh.folder / ".config" / "clawlog" / "hooks" / "stop-check"
    former.parent.mkdir(parents=True)
    former.write_text("#!/bin/sh\n")
    mine = {"matcher": "Bash", "hooks": [{"type": "command", "command": "true"}]}
    entry = {"hooks": [{"type": "command", "command": str(former)}]}
    elsewhere = fresh.folder / "elsewhere.json"
    written(settings, json.dumps({"hooks": {"PreToolUse": [mine, entry]}}, indent="\t"))
    written(elsewhere, json.dumps({"hooks": {"PreToolUse": [entry]}}))
    digest = subprocess.run(["sha256sum", former], check=True, capture_output=True, text=True).stdout.split()[0]
    told = {"files": {str(former): digest}, "hooks": {str(settings): str(former), str(elsewhere): str(former)}}
    (fresh.folder / "installed.json").write_text(json.dumps({"hooks": told}))
    install(fresh, clawlog)
    assert not former.parent.exists()
    assert str(former) not in settings.read_text()
    assert elsewhere.read_text() == "{}"
    assert "hooks" not in json.loads((fresh.folder / "installed.json").read_text())
    uninstall(fresh, clawlog)
    assert settings.read_text() == json.dumps({"hooks": {"PreToolUse": [mine]}}, indent="\t")
