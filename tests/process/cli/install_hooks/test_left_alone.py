"""What ``clawlog install hooks`` cannot edit safely is left alone, with the lines to add."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path

import pytest

from process.cli.conftest import Clawlog
from support.agent_settings import REFUSED, commands, hook, install, ours, uninstall, written
from support.installation import Installation

# ── What is left alone ──────────────────────────────────────────────────────────────────────────────────────────────────

UNSAFE = {
    "a comment": ('{\n  // mine\n  "a": 1\n}\n', "a comment"),
    "a trailing comma": ('{"a": 1,}', "a comma before }"),
    "not UTF-8": (b'{"a": "\xff"}', "it is not UTF-8"),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "it is not UTF-8"),
    "a list": ("[]", "no JSON object"),
    "cut off": ('{"hooks": ', "it ends where a value is expected"),
    "hooks twice": ('{"hooks": {}, "hooks": {}}', "'hooks' is there twice"),
    "hooks of another shape": ('{"hooks": []}', "not an object"),
    "an event of another shape": ('{"hooks": {"PreToolUse": {}}}', "is not a list"),
    "too large": (b'{"a": "' + b"x" * (1 << 20) + b'"}', "It holds more than"),
}


@pytest.mark.parametrize(("content", "reason"), UNSAFE.values(), ids=UNSAFE)
def test_what_cannot_be_edited_safely_is_left_alone_with_the_lines_to_add(
    fresh: Installation, clawlog: Clawlog, settings: Path, content: str | bytes, reason: str
) -> None:
    before = written(settings, content)
    done = clawlog(fresh, "install", "hooks", "claude-code", "gemini-cli")
    assert done.status == REFUSED
    assert f"{settings} was left alone: " in done.stderr
    assert reason in done.stderr
    assert settings.read_bytes() == before
    pasted = done.stdout.partition(f"paste   {settings}\n")[2]
    assert len(commands(json.loads(pasted))) > 5
    assert len(ours(fresh, fresh.folder / ".gemini" / "settings.json")) > 4, "the others are done"
    assert clawlog(fresh, "uninstall", "hooks").status == 0
    assert settings.read_bytes() == before


def test_lines_that_a_person_added_are_for_a_person_to_take_out(fresh: Installation, clawlog: Clawlog, settings: Path) -> None:
    written(settings, "{ // mine\n}")
    pasted = clawlog(fresh, "install", "hooks", "claude-code").stdout.partition(f"paste   {settings}\n")[2]
    before = written(settings, "// mine\n" + pasted)
    done = clawlog(fresh, "uninstall", "hooks")
    assert done.status == REFUSED
    assert f"take out what runs {hook(fresh)}" in done.stderr
    assert settings.read_bytes() == before
    assert hook(fresh).exists(), "settings still name it"
    written(settings, pasted)
    uninstall(fresh, clawlog)
    assert not hook(fresh).exists()
    assert ours(fresh, settings) == []


def test_a_read_only_file_is_left_alone(fresh: Installation, clawlog: Clawlog, settings: Path) -> None:
    before = written(settings, "{}")
    settings.chmod(0o444)
    done = clawlog(fresh, "install", "hooks", "claude-code")
    assert done.status == REFUSED
    assert "it is read-only (mode 444)" in done.stderr
    assert settings.read_bytes() == before


def test_what_became_read_only_keeps_the_hook(fresh: Installation, clawlog: Clawlog, settings: Path) -> None:
    written(settings, "{}")
    install(fresh, clawlog)
    settings.chmod(0o444)
    done = clawlog(fresh, "uninstall", "hooks")
    assert done.status == REFUSED
    assert hook(fresh).exists()
    settings.chmod(0o644)
    uninstall(fresh, clawlog)
    assert settings.read_text() == "{}"
    assert not hook(fresh).exists()


@pytest.mark.parametrize("has_second_name", [False, True], ids=["", "second name"])
def test_a_disk_that_fills_costs_no_settings(
    fresh: Installation, clawlog: Clawlog, settings: Path, has_second_name: bool
) -> None:
    before = written(settings, '{"model": "opus"}')
    if has_second_name:
        (fresh.folder / "second.json").hardlink_to(settings)
    # The hook itself is there already: only the settings are left to be written.
    install(fresh, clawlog, agent="cursor")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))
    try:
        done = clawlog(fresh, "install", "hooks", "claude-code")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert done.status in (1, 69)
    assert "cannot be written: File too large" in done.stderr
    assert settings.read_bytes() == before
    assert [path.name for path in settings.parent.iterdir()] == ["settings.json"]


def test_a_pipe_or_a_folder_in_its_place_is_left_alone(fresh: Installation, clawlog: Clawlog, settings: Path) -> None:
    settings.parent.mkdir()
    os.mkfifo(settings)
    assert clawlog(fresh, "install", "hooks", "claude-code").status == REFUSED
    settings.unlink()
    settings.mkdir()
    done = clawlog(fresh, "install", "hooks", "claude-code")
    assert done.status == REFUSED
    assert "it cannot be read (Is a directory)" in done.stderr


def test_a_file_of_the_users_own_is_not_overwritten(fresh: Installation, clawlog: Clawlog) -> None:
    own = fresh.folder / ".copilot" / "hooks" / "clawlog.json"
    own.parent.mkdir(parents=True)
    own.write_text("mine")
    done = clawlog(fresh, "install", "hooks", "copilot-cli")
    assert done.status == REFUSED
    assert "was not written by this command" in done.stderr
    assert own.read_text() == "mine"
    assert not hook(fresh).exists()
    assert clawlog(fresh, "install", "hooks", "copilot-cli", "--force").status == 0
    assert str(hook(fresh)) in own.read_text()
