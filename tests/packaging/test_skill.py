"""The skill is valid by its specification, and what it tells agents to type can be typed."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import skills_ref
import yaml

from clawlog.scripting import parser, plan

ROOT = Path(__file__).resolve().parents[2]
SKILL = ROOT / "SKILL.md"
ALLOWED_KEYS = {"name", "description", "license", "compatibility", "metadata", "allowed-tools"}
SCRIPT_NAMES = ("create_task", "update_status", "poll_interrupt")


def front_matter() -> dict[str, object]:
    _, matter, _ = SKILL.read_text(encoding="utf-8").split("---\n", 2)
    loaded = yaml.safe_load(matter)
    assert isinstance(loaded, dict)
    return loaded


def body() -> str:
    return SKILL.read_text(encoding="utf-8").split("---\n", 2)[2]


def shell_commands(text: str) -> list[list[str]]:
    """Each command of the fenced shell blocks, split into words; what `$(…)` holds counts as a command of its own.

    A quotation may go over several lines.
    """
    commands = []
    for block in re.findall(r"```(?:sh|bash|shell)\n(.*?)```", text, re.DOTALL):
        begun = ""
        for line in block.replace("\\\n", " ").splitlines(keepends=True):
            try:
                words = shlex.split(begun + line, comments=True)
            except ValueError:  # the quotation is still open
                begun += line
                continue
            inner = re.search(r"\$\((.*)\)", begun + line)
            begun = ""
            if words:
                commands.append(shlex.split(inner[1]) if inner else words)
        assert begun == ""
    return commands


def script_calls(*documents: Path) -> list[list[str]]:
    commands = [words for document in documents for words in shell_commands(document.read_text(encoding="utf-8"))]
    return [words[1:] for words in commands if words[0] in {"python", "python3"} and words[1] != "-c"]


def test_the_reference_validator_accepts_it_under_its_own_name(tmp_path: Path) -> None:
    folder = tmp_path / "clawlog-status-sync"
    folder.mkdir()
    shutil.copy(SKILL, folder)
    assert skills_ref.validate(folder) == []


def test_front_matter_has_the_allowed_keys_within_their_lengths() -> None:
    matter = front_matter()
    assert set(matter) <= ALLOWED_KEYS
    assert matter["name"] == "clawlog-status-sync"
    assert 1 <= len(str(matter["description"])) <= 1024
    assert 1 <= len(str(matter["compatibility"])) <= 500
    assert all(isinstance(value, str) for value in dict(matter["metadata"]).values())


def test_name_and_version_are_those_of_the_distribution() -> None:
    import tomllib

    distribution = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    matter = front_matter()
    assert (matter["name"], matter["license"]) == (distribution["name"], distribution["license"])
    assert dict(matter["metadata"])["version"] == distribution["version"]


def test_the_body_is_short_enough_to_be_loaded_whole() -> None:
    assert len(body().splitlines()) < 500
    assert len(body()) / 3 < 5_000  # tokens: one has three characters or more in plain English


def test_every_file_it_names_exists() -> None:
    named = set(re.findall(r"\b(?:references|scripts|systemd)/[\w./-]*\w", body()))
    assert {
        "references/api-contract.md",
        "scripts/create_task.py",
        "scripts/update_status.py",
        "scripts/poll_interrupt.py",
    } <= named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_every_script_is_shown_in_use() -> None:
    assert {Path(words[0]).stem for words in script_calls(SKILL)} == set(SCRIPT_NAMES)


@pytest.mark.parametrize("words", script_calls(SKILL, ROOT / "README.md", *ROOT.glob("docs/*.md")), ids=shlex.join)
def test_every_command_shown_is_one_that_the_script_accepts(words: list[str]) -> None:
    script = Path(words[0]).stem
    env = {"CLAWLOG_TASK_ID": "a-task"}
    values = parser.parse(parser.make(script), words[1:])
    if script in {"create_task", "update_status"}:
        assert getattr(plan, script)(values, env), "a command that asks for nothing"


def test_make_targets_and_clawlog_commands_that_it_names_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z]+)`", body())) <= targets
    for name in set(re.findall(r"`clawlog ([a-z-]+)`", body())):
        clawlog = Path(sys.executable).with_name("clawlog")
        done = subprocess.run([clawlog, name, "--help"], check=False, capture_output=True, text=True, timeout=20)
        assert done.returncode == 0, f"clawlog {name}: {done.stderr}"
