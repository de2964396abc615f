"""The real ``clawlog``, beside a real daemon and a real backend, each a process of its own on temporary state."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clawlog.cli.sources.backend import Backend
from clawlog.client import Client
from clawlog.errors import DaemonUnreachable

# -P, as in an installed program: nothing is looked for in the working folder (3.13.0 imports no socket where that is gone).
CLAWLOG = [sys.executable, "-P", "-c", "from clawlog.cli.entry import main; main()"]
LIMIT_S = 30.0


def wait_until(condition: Callable[[], Any], what: str, limit_s: float = LIMIT_S) -> Any:
    """Waits for a condition; returns what it gave."""
    deadline = time.monotonic() + limit_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {limit_s:.0f} s in vain: {what}"
        time.sleep(0.02)
    return found


def is_running(pid: int) -> bool:
    """Whether a process runs: one that ended and was not reaped does not."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] not in "ZX"
    return False


def children(pid: int) -> list[int]:
    """The processes that a process has started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if int(stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    @property
    def json_lines(self) -> list[Any]:
        return [json.loads(line) for line in self.stdout.splitlines()]


@dataclass
class Installation:
    """A folder of state, and what runs on it."""

    folder: Path
    env: dict[str, str]
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)
    backend_port: int = 0

    def clawlog(self, *arguments: str, env: Mapping[str, str] | None = None, **options: Any) -> Ran:
        """Runs the command to its end, as a program."""
        given = {"stdin": subprocess.DEVNULL, "timeout": LIMIT_S, **options}
        ran = subprocess.run(
            [*CLAWLOG, *arguments], env={**self.env, **(env or {})}, capture_output=True, text=True, check=False, **given
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    def start(self, *command: str, **options: Any) -> subprocess.Popen[bytes]:
        """Starts a program, which is ended with the installation."""
        given = {"stdin": subprocess.DEVNULL, "env": self.env, **options}
        process = subprocess.Popen(command, **given)
        self.started.append(process)
        return process

    def start_clawlog(self, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        return self.start(*CLAWLOG, *arguments, **options)

    def start_backend(self, port: int = 0) -> subprocess.Popen[bytes]:
        port_file = self.folder / "port"
        port_file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "clawlog_backend", "--port", str(port or self.backend_port)]
        process = self._logged("backend", *command, "--port-file", str(port_file))
        wait_until(port_file.exists, f"the backend listens:\n{self.log('backend')}")
        self.backend_port = int(port_file.read_text(encoding="ascii"))
        self.env["CLAWLOG_BASE_URL"] = f"http://127.0.0.1:{self.backend_port}"
        return process

    def start_daemon(self) -> subprocess.Popen[bytes]:
        process = self._logged("daemon", sys.executable, "-m", "clawlogd")
        wait_until(lambda: self.daemon_answers() or process.poll() is not None, "the daemon answers")
        assert process.poll() is None, f"the daemon ended with {process.returncode}:\n{self.log('daemon')}"
        return process

    def daemon_answers(self) -> bool:
        with self.client() as client:
            try:
                client.daemon_status()
            except DaemonUnreachable:
                return False
            return True

    def client(self) -> Client:
        return Client(env=self.env, autostart=False)

    @property
    def backend(self) -> Backend:
        return Backend(self.env["CLAWLOG_BASE_URL"], self.env)

    def post_to_backend(self, path: str, body: object) -> None:
        """What another client of the backend sends."""
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.env["CLAWLOG_BASE_URL"] + path, json.dumps(body).encode(), headers)
        urllib.request.urlopen(request, timeout=LIMIT_S).close()

    def log(self, name: str) -> str:
        path = self.folder / f"{name}.log"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def _logged(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        """Starts a server, which is not measured for coverage: that makes a start twice as long, and other tests measure it."""
        env = {key: value for key, value in self.env.items() if not key.startswith("COVERAGE")}
        with (self.folder / f"{name}.log").open("ab") as log:
            return self.start(*command, env=env, stdout=log, stderr=log)

    def end(self, process: subprocess.Popen[bytes]) -> int:
        """Ends one of the programs."""
        if process.poll() is None:
            for patience_s in (0.5, 10):  # the second signal spares a daemon its last try at a backend that is away
                process.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return process.wait(patience_s)
            process.kill()
        return process.wait()

    def close(self) -> None:
        for process in reversed(self.started):
            self.end(process)
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()


@contextlib.contextmanager
def temporary_installation() -> Iterator[Installation]:
    # A short name: a Unix socket's path has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="claw") as name:
        foreign = ("CLAWLOG_", "XDG_", "STATE_DIRECTORY", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")
        # Of the agents that somebody works with: their settings are not for tests.
        foreign += ("CLAUDE", "CODEX", "COPILOT", "CURSOR", "GEMINI", "OPENCLAW", "OPENCODE", "QWEN")
        env = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
        env |= {"CLAWLOG_STATE_DIR": name, "HOME": name, "CLAWLOG_AUTOSTART": "0"}
        installation = Installation(Path(name), env)
        try:
            yield installation
        finally:
            installation.close()
