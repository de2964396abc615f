"""A real systemd to try units in, for tests that need one; the program that boots it lies beside the project."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

INSTALLED = "/opt/clawlog"
"""Where the box has the wheel, in an environment of its own, as pipx would make it."""


HOME = "/var/tmp/root"
"""The home of root inside: the machine's own may hold settings, tasks and calls of whoever works there."""


class SystemdBox:
    """A real systemd as PID 1 of throw-away namespaces over this machine's file system.

    Args:
        tool: The program that boots it.
    """

    def __init__(self, tool: Path) -> None:
        self._tool = tool
        self._env = {**os.environ, "BOX": f"clawlog-{uuid.uuid4().hex[:8]}"}

    def up(self) -> None:
        # The booted systemd keeps what descriptors it is given: pipes to this process would never end.
        with tempfile.TemporaryFile("w+") as said:
            done = subprocess.run([self._tool, "up"], check=False, stdout=said, stderr=said, timeout=50, env=self._env)
            said.seek(0)
            assert done.returncode == 0, said.read()
        self.run("mkdir", "-p", HOME)

    def down(self) -> None:
        subprocess.run([self._tool, "down"], check=True, timeout=50, env=self._env)

    def run(self, *command: str | Path, status: int | None = 0) -> str:
        """Runs a command inside as root; its stdout. With a ``status`` of None it may end as it likes."""
        done = subprocess.run(
            [self._tool, "run", "env", f"HOME={HOME}", *command],
            check=False,
            capture_output=True,
            text=True,
            timeout=50,
            env=self._env,
        )
        assert status is None or done.returncode == status, (
            f"{command} ended with {done.returncode}, expected {status}\n{done.stdout}\n{done.stderr}\n{self.journal()}"
        )
        return done.stdout

    def journal(self) -> str:
        """The last lines of the journal, for a failure's message."""
        command = [self._tool, "run", "journalctl", "--no-pager", "--output=short-monotonic", "--lines=60"]
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=50, env=self._env).stdout

    def write(self, path: str, content: str, mode: str = "644") -> None:
        """Writes a file inside."""
        script = 'mkdir -p "$(dirname "$1")" && umask 077 && cat > "$1" && chmod "$2" "$1"'
        command = [self._tool, "run", "sh", "-c", script, "sh", path, mode]
        subprocess.run(command, check=True, input=content, text=True, timeout=50, env=self._env)

    def put(self, source: Path, target: str) -> None:
        """Copies a file or a folder inside."""
        subprocess.run([self._tool, "put", source, target], check=True, timeout=50, env=self._env)

    def wait_until(self, what: str, condition: Callable[[], object], timeout_s: float = 20.0) -> None:
        """Looks until a condition inside holds."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}\n{self.journal()}"
            time.sleep(0.05)


def install(box: SystemdBox, built: Path) -> None:
    """Installs the wheel in the box. The libraries are those of this interpreter's environment."""
    box.run(_python_for_services(), "-m", "venv", "--without-pip", INSTALLED)
    install_wheel(box, built)
    site = box.run(f"{INSTALLED}/bin/python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip()
    box.write(f"{site}/libraries.pth", sysconfig.get_path("purelib") + "\n")


def install_wheel(box: SystemdBox, built: Path) -> None:
    """Installs a wheel where one is installed, in place of that."""
    (wheel,) = built.glob("*.whl")
    box.put(wheel, f"/opt/{wheel.name}")
    pip = [sys.executable, "-m", "pip", "--python", f"{INSTALLED}/bin/python", "install", "--quiet", "--no-deps", "--no-index"]
    box.run(*pip, "--upgrade", f"/opt/{wheel.name}")


def _python_for_services() -> str:
    """An interpreter like this one that a service may see: home folders are hidden from it."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    candidates = (Path(sys.executable).resolve(), Path("/usr/bin", version), Path("/usr/local/bin", version))
    found = next((path for path in candidates if path.exists() and path.resolve().parts[1] not in {"root", "home"}), None)
    if found is None:
        pytest.skip(f"no {version} outside the home folders, which are hidden from services")
    return str(found)
