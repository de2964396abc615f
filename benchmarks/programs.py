"""Starts the programs that are measured, on temporary state, and ends what it started."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NOWHERE = "http://127.0.0.1:9"  # refuses at once


def environment(**extra: str) -> dict[str, str]:
    """This environment without what would disturb a measurement."""
    left_out = {"PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "XDG_RUNTIME_DIR"}
    kept = {key: value for key, value in os.environ.items() if key not in left_out and not key.startswith("CLAWLOG_")}
    return {**kept, **extra}


@dataclass(frozen=True)
class Program:
    """A running program.

    Attributes:
        process: It.
        home: Its folder.
        address: Where it serves: a socket's path, or an HTTP address.
    """

    process: subprocess.Popen[bytes]
    home: Path
    address: str

    def cpu_s(self) -> float:
        """The processor time that all its threads have used so far, in seconds."""
        return time.clock_gettime(~self.process.pid << 3 | 2)  # as clock_getcpuclockid(3) makes it; /proc has hundredths alone

    def memory_bytes(self) -> int:
        """Its resident memory."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextlib.contextmanager
def program(command: list[str], env: dict[str, str], home: Path, address: str) -> Iterator[Program]:
    """Runs a program for as long as the block lasts."""
    with (home / "log").open("ab") as log:
        process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield Program(process, home, address)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def daemon(home: Path | None = None, *, start_s: float = 30.0, **env: str) -> Iterator[Program]:
    """A clawlogd; without ``CLAWLOG_BASE_URL`` its backend is nowhere, without ``CLAWLOG_LOOP`` it runs on asyncio's loop."""
    with contextlib.ExitStack() as stack:
        folder = home or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="clawlog-bench-")))
        path = str(folder / "run" / "clawlogd.sock")
        variables = environment(
            CLAWLOG_STATE_DIR=str(folder), **{"CLAWLOG_BASE_URL": NOWHERE, "CLAWLOG_LOOP": "asyncio", **env}
        )
        command = [sys.executable, "-m", "clawlogd", "--log-level", "error"]
        running = stack.enter_context(program(command, variables, folder, path))
        wait_for_socket(path, running, start_s)
        yield running


@contextlib.contextmanager
def backend(home: Path | None = None, port: int = 0) -> Iterator[Program]:
    """An embedded backend, with an empty database unless ``home`` has one; at any port unless one is given."""
    with contextlib.ExitStack() as stack:
        folder = home or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="clawlog-bench-")))
        port_file = folder / "port"
        command = [sys.executable, "-m", "clawlog_backend", "--host", "127.0.0.1", "--port", str(port)]
        command += ["--database", str(folder / "backend.db"), "--port-file", str(port_file)]
        yield stack.enter_context(http_program(command, folder, port_file))


@contextlib.contextmanager
def http_program(command: list[str], home: Path, port_file: Path) -> Iterator[Program]:
    """A program that serves HTTP on this machine and says in a file on which port."""
    port_file.unlink(missing_ok=True)
    with program(command, environment(), home, "") as running:
        wait_until(lambda: port_file.exists() and port_file.read_text().strip(), running)
        yield Program(running.process, home, f"http://127.0.0.1:{port_file.read_text().strip()}")


def free_port() -> int:
    """A port at which nobody listens now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def wait_until(condition: object, running: Program, timeout_s: float = 30.0) -> None:
    """Looks until a condition holds; says so when the program ends first."""
    deadline = time.monotonic() + timeout_s
    while not condition():  # type: ignore[operator]
        if running.process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"a program did not start: {(running.home / 'log').read_text()[-2000:]}")
        time.sleep(0.005)


def wait_for_socket(path: str, running: Program, timeout_s: float = 30.0) -> None:
    """Returns once somebody serves a Unix socket."""

    def serves() -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(path) == 0

    wait_until(serves, running, timeout_s)


class Caller:
    """A program's end of a Unix socket: sends lines, reads lines."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self._file = self.socket.makefile("rb")

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self.socket.close()

    def call(self, line: bytes) -> bytes:
        """Sends one line and returns the next reply."""
        self.socket.sendall(line + b"\n")
        return self._file.readline()

    def pipeline(self, lines: list[bytes]) -> None:
        """Sends lines as fast as they are taken, and returns when each has been answered."""
        self.socket.setblocking(False)
        try:
            data = memoryview(b"".join(line + b"\n" for line in lines))
            sent = answered = 0
            while answered < len(lines):
                readable, writable, _ = select.select([self.socket], [self.socket] if sent < len(data) else [], [])
                if writable:
                    sent += self.socket.send(data[sent : sent + 65536])
                if readable:
                    answered += self.socket.recv(1 << 20).count(b"\n")
        finally:
            self.socket.setblocking(True)
