"""A check-out on a machine that turns line ends into Windows' own: programs must still run."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.mark.skipif(shutil.which("git") is None, reason="wants git")
def test_a_check_out_has_unix_line_ends_whatever_git_is_set_to(project: Path, tmp_path: Path) -> None:
    if subprocess.run(["git", "-C", project, "rev-parse", "HEAD"], capture_output=True, check=False).returncode:
        pytest.skip("not a check-out")
    there = tmp_path / "there"
    options = ["-c", "core.autocrlf=true", "-c", "core.eol=crlf"]
    subprocess.run(["git", *options, "clone", "--quiet", "--no-hardlinks", project, there], check=True, timeout=60)
    subprocess.run(["git", "-C", there, *options, "checkout", "--quiet", "-f"], check=True, timeout=60)
    changed = [
        path.relative_to(there)
        for path in there.rglob("*")
        if path.is_file()
        and ".git" not in path.relative_to(there).parts
        and path.suffix not in {".png", ".db", ".whl"}
        and b"\r\n" in path.read_bytes()
    ]
    assert changed == []
    helped = subprocess.run([there / "scripts" / "create_task.py", "--help"], capture_output=True, text=True, check=False)
    assert helped.returncode == 0, helped.stderr
