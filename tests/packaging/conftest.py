"""Fixtures of the packaging tests: the project's folder, its files, its wheel, and a booted systemd."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.systemd_box import SystemdBox, install

ROOT = Path(__file__).resolve().parents[2]
GENERATED = {".venv", ".nox", ".git", "__pycache__", "build", "dist", "site", "htmlcov", "node_modules"}


@pytest.fixture(scope="session")
def project() -> Path:
    """The project's top-level folder."""
    return ROOT


@pytest.fixture(scope="session")
def project_files(project: Path) -> list[Path]:
    """Every file that belongs to the project: not what tools leave behind."""
    found: list[Path] = []
    for folder, names, files in os.walk(project):
        names[:] = [n for n in names if n not in GENERATED and not n.endswith("_cache") and n != ".hypothesis"]
        found += [Path(folder, name) for name in files if not name.startswith(".coverage")]
    return found


@pytest.fixture(scope="session")
def built(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the sdist, built by the project's own build backend."""
    target = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", target]
    done = subprocess.run(command, check=False, cwd=project, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture(scope="module")
def box(project: Path) -> Iterator[SystemdBox]:
    """A booted box, shared by a module's tests."""
    tool = project.parent / "shared" / "tools" / "systemd-box"
    if not tool.exists():
        pytest.skip("no systemd-box beside the project")
    if os.geteuid() != 0:
        pytest.skip("the systemd-box wants root")
    if shutil.which("systemctl") is None or shutil.which("unshare") is None:
        pytest.skip("the systemd-box wants systemd and unshare")
    if any(not (parent.stat().st_mode & 0o001) for parent in (project / ".venv").parents):
        pytest.skip("a service's own user could not read this checkout: a folder above it is closed to others")
    if project.is_relative_to("/tmp") or project.is_relative_to("/run"):
        pytest.skip("the systemd-box has its own /tmp and /run: it cannot see a checkout that lies there")
    machine = SystemdBox(tool)
    machine.up()
    try:
        yield machine
    finally:
        machine.down()


@pytest.fixture(scope="module")
def installed(box: SystemdBox, built: Path) -> SystemdBox:
    """The box with the wheel installed."""
    install(box, built)
    return box
