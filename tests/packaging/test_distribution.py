"""What is published: the wheel holds everything that runs, its programs start where nothing else of the project is."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from clawlog.cli.main import COMMANDS

pytestmark = pytest.mark.xdist_group("distribution")  # one worker builds, once

PACKAGES = {"clawlog": "client/clawlog", "clawlogd": "daemon/clawlogd", "clawlog_backend": "backend/clawlog_backend"}


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment that has the wheel, and of this one only the libraries."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--quiet", wheel]
    subprocess.run(command, check=True, timeout=50)
    site = sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
    # A .pth in a folder that was added by a .pth is not read, so the editable install of the outer environment stays out.
    Path(site, "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder


def run_installed(folder: Path, *command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "CLAWLOG", "COV"))}
    program, *arguments = command
    return subprocess.run(
        [folder / "bin" / program, *arguments], check=False, capture_output=True, text=True, timeout=50, cwd=cwd, env=env
    )


def test_the_wheel_holds_every_file_of_the_three_packages_and_nothing_else(wheel: Path, project: Path) -> None:
    expected = {
        f"{name}/{path.relative_to(project / source)}"
        for name, source in PACKAGES.items()
        for path in (project / source).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    for shipped in ("SKILL.md", "references", "scripts", "systemd"):  # what `clawlog install` writes
        root = project / shipped
        for path in [root] if root.is_file() else root.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                expected.add(f"clawlog/cli/commands/install/files/{path.relative_to(project)}")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name and ".data/data/share/" not in name}
    assert held == expected
    assert {f"{name}/py.typed" for name in PACKAGES} <= held
    assert any(name.startswith("clawlog_backend/dashboard/") and name.endswith(".html") for name in held)


def test_the_wheel_bears_the_licence_and_both_programs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (entry_points,) = (archive.read(name).decode() for name in names if name.endswith("/entry_points.txt"))
    assert any(name.endswith("/LICENSE") for name in names)
    assert "clawlog = " in entry_points
    assert "clawlogd = " in entry_points


def test_a_manual_page_of_every_program_and_command_is_installed(installed: Path) -> None:
    pages = {path.name: path.read_text(encoding="utf-8") for path in (installed / "share" / "man" / "man1").iterdir()}
    assert {"clawlogd.1", "update_status.py.1", "clawlog.1"} | {f"clawlog-{name}.1" for name in COMMANDS} <= pages.keys()
    assert f'"clawlog {version("clawlog-status-sync")}"' in pages["clawlog.1"]


@pytest.mark.parametrize(
    ("shell", "place"),
    [
        ("bash", "bash-completion/completions/clawlog"),
        ("zsh", "zsh/site-functions/_clawlog"),
        ("fish", "fish/vendor_completions.d/clawlog.fish"),
    ],
)
def test_the_completion_is_installed_where_the_shell_looks(shell: str, place: str, installed: Path, tmp_path: Path) -> None:
    written = (installed / "share" / place).read_text(encoding="utf-8")
    assert written == run_installed(installed, "clawlog", "completion", shell, cwd=tmp_path).stdout
    assert "_CLAWLOG_COMPLETE" in written


def test_the_sdist_holds_the_skill_the_scripts_and_the_units(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "SKILL.md",
        "references/api-contract.md",
        "scripts/create_task.py",
        "systemd/user/clawlogd.service",
        "LICENSE",
    } <= held
    assert not any(name.startswith((".venv/", ".git/")) for name in held)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_imported_from_the_wheel(package: str, installed: Path, tmp_path: Path) -> None:
    done = run_installed(installed, "python", "-c", f"import {package}; print({package}.__file__)", cwd=tmp_path)
    assert done.stderr == ""
    assert Path(done.stdout.strip()).is_relative_to(installed)


@pytest.mark.parametrize("program", ["clawlog", "clawlogd"])
def test_a_program_of_the_wheel_tells_its_version_and_its_help(
    program: str, wheel: Path, installed: Path, tmp_path: Path
) -> None:
    version = run_installed(installed, program, "--version", cwd=tmp_path)
    assert (version.returncode, version.stderr) == (0, "")
    assert wheel.name.split("-")[1] in version.stdout
    told = run_installed(installed, program, "--help", cwd=tmp_path)
    assert (told.returncode, told.stderr) == (0, "")
    assert "usage" in told.stdout.lower()


def test_an_index_would_take_both(built: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *built.iterdir()],
        check=False,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_sdist_has_what_the_packages_are_made_with(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert {"docs/hatch_build.py", "docs/man_pages.py", "requirements.lock", "containers/backend.Containerfile"} <= held
