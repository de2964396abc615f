"""The units hold up under systemd's own eyes: no unknown directive, and little left open to an attacker."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCOPES = {"system": [], "user": ["--user"]}

needs_systemd_analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")


def analyze(scope: str, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "XDG_RUNTIME_DIR": str(folder), "LC_ALL": "C.UTF-8"}  # a user's manager looks for units there
    call = ["systemd-analyze", *SCOPES[scope], "--no-pager", *command]
    return subprocess.run(call, check=False, capture_output=True, text=True, timeout=50, env=env)


@pytest.fixture(params=SCOPES)
def scope(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def units(scope: str, tmp_path: Path) -> Path:
    """The scope's units, with a program in ExecStart that is here: verify looks for it."""
    folder = tmp_path / "units"
    shutil.copytree(ROOT / "systemd" / scope, folder)
    service = folder / "clawlogd.service"
    text, count = re.subn(r"(?m)^ExecStart=\S+", f"ExecStart={sys.executable}", service.read_text(encoding="utf-8"))
    assert count == 1
    service.write_text(text, encoding="utf-8")
    return folder


@needs_systemd_analyze
def test_systemd_has_nothing_to_remark(scope: str, units: Path, tmp_path: Path) -> None:
    done = analyze(scope, tmp_path, "verify", str(units / "clawlogd.service"), str(units / "clawlogd.socket"))
    # The exit status is 0 for a misspelled directive too: only silence will do.
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd_analyze
def test_a_misspelled_directive_would_be_remarked(scope: str, units: Path, tmp_path: Path) -> None:
    with (units / "clawlogd.service").open("a", encoding="utf-8") as service:
        service.write("[Service]\nProtectSytem=strict\n")
    assert "ProtectSytem" in analyze(scope, tmp_path, "verify", str(units / "clawlogd.service")).stderr


@needs_systemd_analyze
def test_little_is_left_exposed(scope: str, units: Path, tmp_path: Path) -> None:
    done = analyze(scope, tmp_path, "security", "--offline=true", str(units / "clawlogd.service"))
    found = re.search(r"Overall exposure level for clawlogd\.service: ([\d.]+)", done.stdout)
    assert found, done.stderr
    # In the way of a better mark: the network; and in a user's unit all that a user's systemd cannot give.
    assert float(found[1]) <= {"system": 1.0, "user": 1.7}[scope]


def test_the_program_is_named_by_a_plain_absolute_path(scope: str) -> None:
    text = (ROOT / "systemd" / scope / "clawlogd.service").read_text(encoding="utf-8")
    (line,) = re.findall(r"(?m)^ExecStart=(\S+)", text)
    assert line == {"system": "/usr/local/bin/clawlogd", "user": "%h/.local/bin/clawlogd"}[scope]
