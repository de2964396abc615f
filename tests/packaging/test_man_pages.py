"""The manual pages: every program and command has one, man has nothing to remark, and no option is missing."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("man")
    command = [sys.executable, ROOT / "docs" / "man_pages.py", target]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=50)
    assert (done.returncode, done.stderr) == (0, "")
    return target


def shown(page: Path) -> str:
    """A page as a reader sees it."""
    if shutil.which("man") is None:
        pytest.skip("man is not installed")
    env = {"PATH": "/usr/bin:/bin", "MANWIDTH": "200", "LC_ALL": "C.UTF-8"}
    command = ["man", "--warnings=w", "--local-file", str(page)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=env, timeout=50)
    assert (done.returncode, done.stderr) == (0, "")
    return re.sub(r".\x08", "", done.stdout)


def test_every_program_and_every_command_has_its_page(folder: Path) -> None:
    names = {path.stem for path in folder.iterdir()}
    assert {"clawlogd", "create_task.py", "update_status.py", "poll_interrupt.py"} <= names
    assert {"clawlog-backend", "clawlog-backend-migrate"} <= names
    text = shown(folder / "clawlog.1")
    commands = re.findall(r"^ {7}clawlog ([\w-]+)$", text, re.MULTILINE)
    assert {"status", "doctor", "install", "dead-letter", "contract"} <= set(commands)
    assert {f"clawlog-{name}" for name in commands} <= names


def test_man_has_nothing_to_remark_and_every_part_is_there(folder: Path) -> None:
    for page in sorted(folder.iterdir()):
        text = shown(page)
        for heading in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "SEE ALSO"):
            assert re.search(rf"^{heading}$", text, re.MULTILINE), (page.name, heading)
        assert re.search(r"^EXIT STATUS", text, re.MULTILINE), page.name


def test_a_page_shows_every_option_of_the_help(folder: Path) -> None:
    program = Path(sys.executable).with_name("clawlogd")
    helped = subprocess.run([program, "--help"], check=True, capture_output=True, text=True, timeout=50).stdout
    text = shown(folder / "clawlogd.1")
    assert set(re.findall(r"--[a-z-]+", helped)) == set(re.findall(r"--[a-z-]+", text))
    assert "clawlogd --config clawlog.toml --check-config" in text
