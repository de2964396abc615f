from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from process.scripts.conftest import SCRIPTS, Ran, python_of_scripts
from support.backend_process import BackendProcess
from support.daemon_process import DaemonProcess
from support.running_backend import Api
from support.sandbox import Sandbox, Sockets, needs_sandbox


@pytest.fixture(autouse=True)
def possible() -> None:
    needs_sandbox()


@pytest.fixture
def tmp(folder: Path) -> Path:
    """What programs in a sandbox may write to, as an agent's own $TMPDIR."""
    path = folder / "tmp"
    path.mkdir(0o755)
    return path


@pytest.fixture(scope="session")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BackendProcess]:
    """A backend that no test stops; each test has tasks of its own there."""
    process = BackendProcess(tmp_path_factory.mktemp("backend"))
    process.start()
    yield process
    process.stop()


@pytest.fixture
async def api(backend: BackendProcess) -> AsyncIterator[Api]:
    """Calls to it, as a person's dashboard makes them."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        yield Api(session, backend.url)


@pytest.fixture
async def outside(new_process: Callable[..., DaemonProcess], backend: BackendProcess, tmp: Path) -> DaemonProcess:
    """A daemon outside of every sandbox."""
    return await new_process(CLAWLOG_BASE_URL=backend.url, TMPDIR=str(tmp)).start()


class Inside:
    """Runs the scripts in a sandbox.

    Attributes:
        project: The folder in which the agent works.
    """

    def __init__(self, folder: Path, tmp: Path, socket: Path) -> None:
        self.project = folder / "project"
        self.project.mkdir()
        self._writable = [tmp]
        self.env = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "TMPDIR": str(tmp),
            "CLAWLOG_STATE_DIR": str(folder / "state"),
            "CLAWLOG_SOCKET": str(socket),
            "LC_ALL": "C.UTF-8",
        }

    def __call__(
        self,
        script: str,
        *arguments: str,
        sockets: Sockets = Sockets.NO_CONNECT,
        writable: list[Path] | None = None,
        **env: str,
    ) -> Ran:
        box = Sandbox(None, self._writable if writable is None else writable, sockets)
        command = [python_of_scripts(), "-W", "error", str(SCRIPTS / f"{script}.py"), *arguments]
        ended = box.run(command, {**self.env, **env}, self.project)
        return Ran(ended.returncode, ended.stdout, ended.stderr)


@pytest.fixture
def inside(folder: Path, tmp: Path) -> Inside:
    return Inside(folder, tmp, folder / "run" / "d.sock")
