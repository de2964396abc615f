"""Processes that a scenario starts, and all that come of them: found by a mark in their environment, ended by their ids."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

_VARIABLE = "CLAWLOG_TEST_RUN"
_PROC = Path("/proc")


def until(condition: Callable[[], object], limit_s: float, what: str) -> float:
    """Waits for a condition that nothing announces.

    Returns:
        After how many seconds it held.

    Raises:
        AssertionError: It did not hold in time; the text says what was waited for.
    """
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > limit_s:
            raise AssertionError(f"not within {limit_s:.0f} s: {what}")
        time.sleep(0.02)
    return time.monotonic() - started


class Family:
    """Processes that share a mark in their environment, which their children inherit.

    Args:
        folder: Their own folder: what has it in its command line is one of them, too.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = os.fsencode(folder)
        self._mark = uuid.uuid4().hex
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, command: list[str], *, env: Mapping[str, str], cwd: Path, output: Path) -> subprocess.Popen[bytes]:
        """Starts a program whose words go into a file, in a session of its own."""
        with output.open("ab") as out:
            return self.start_at(command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, output=out.fileno())

    def start_at(
        self, command: list[str], *, env: Mapping[str, str], cwd: Path, stdin: int, output: int
    ) -> subprocess.Popen[bytes]:
        """Starts a program at these descriptors, in a session of its own."""
        marked = {**env, _VARIABLE: self._mark}
        process = subprocess.Popen(
            command, env=marked, cwd=cwd, stdin=stdin, stdout=output, stderr=output, start_new_session=True
        )
        self._started.append(process)
        return process

    def members(self) -> list[int]:
        """The ids of all that run."""
        return [pid for pid in _process_ids() if self._is_member(pid)]

    def like(self, pid: int) -> list[int]:
        """A process and those of its family that run the same program: an agent that starts itself a second time is both."""
        program = _read_link(pid)
        return [other for other in self.members() if other == pid or (program is not None and _read_link(other) == program)]

    def end(self) -> list[str]:
        """Ends all that run still.

        Returns:
            Their command lines, but for those that were started here.
        """
        own = {process.pid for process in self._started}
        left: list[str] = []
        deadline = time.monotonic() + 10
        while (members := self.members()) and time.monotonic() < deadline:
            for pid in members:
                if pid not in own:
                    left.append(command_line(pid).decode(errors="replace")[:200])
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)
        for process in self._started:
            process.wait(10)
        return left

    def _is_member(self, pid: int) -> bool:
        if pid == os.getpid() or _is_ended(pid):
            return False
        try:
            environment = (_PROC / str(pid) / "environ").read_bytes()
        except OSError:
            environment = b""
        return f"{_VARIABLE}={self._mark}".encode() in environment.split(b"\0") or self._folder in command_line(pid)


def _process_ids() -> Iterator[int]:
    for entry in os.scandir(_PROC):
        if entry.name.isdigit():
            yield int(entry.name)


def command_line(pid: int) -> bytes:
    """A process's command line; empty where it has ended."""
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").strip()
    except OSError:
        return b""


def _is_ended(pid: int) -> bool:
    """Whether it is gone, or waits only for its parent to take note of it."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def _read_link(pid: int) -> str | None:
    try:
        return str((_PROC / str(pid) / "exe").readlink())
    except OSError:
        return None
