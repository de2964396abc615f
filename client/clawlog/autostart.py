"""Starts the daemon where none runs, and waits until it answers.

The daemon needs libraries that a script's Python may lack, so the installed program is run, never this interpreter with ``-m``.
One caller at a time starts it: of a hundred scripts that find no daemon, one starts it and the others wait for its socket.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import Self

from clawlog import exits, locations
from clawlog.connection.address import Address, Kind
from clawlog.errors import DaemonUnreachable

PAUSE_S = 0.01
"""The pause between two attempts to connect."""

RETRY_AFTER_S = 30.0
"""How long a client that failed to start the daemon does not try again: else each of its calls would take seconds."""

_PATIENCE_S = 5.0
_GRACE_S = 1.0
"""A daemon that ends with 0 or 69 found another one that holds the state folder, which should answer this soon."""

_PROGRAM = "clawlogd"
_started: list[int] = []
"""Process ids that this process started, so that an ended one is reaped at the next start."""


def is_wanted(env: Mapping[str, str]) -> bool:
    """Whether the environment lets a daemon be started."""
    return env.get("CLAWLOG_AUTOSTART") != "0"


def find_program(env: Mapping[str, str]) -> str | None:
    """The path of ``clawlogd``: beside this interpreter, in the checkout's ``.venv``, on PATH, in ``~/.local/bin``."""
    checkout = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    candidates = [
        os.path.join(os.path.dirname(sys.executable or "/"), _PROGRAM),
        os.path.join(checkout, ".venv", "bin", _PROGRAM),
        shutil.which(_PROGRAM, path=env.get("PATH", os.defpath)),
        os.path.join(locations.home(env), ".local", "bin", _PROGRAM),
    ]
    return next((path for path in candidates if path and os.access(path, os.X_OK) and os.path.isfile(path)), None)


class _Launching(threading.local):
    active = False


_launching = _Launching()
"""Whether this thread starts a daemon: a call within that call (of a signal or logging handler) must not wait for it."""


class Starter:
    """Whether and when one client may start a daemon.

    Args:
        address: Where the client expects the daemon.
        env: The environment that the daemon inherits.
        allowed: Whether it may be started; by default as ``CLAWLOG_AUTOSTART`` says.
    """

    def __init__(self, address: Address, env: Mapping[str, str], *, allowed: bool | None) -> None:
        self._address = address
        self._env = env
        self._allowed = address.is_local and (is_wanted(env) if allowed is None else allowed)
        self._failed_at: float | None = None
        self._failure = ""

    def launch(self) -> Launch:
        """Begins to start the daemon.

        Raises:
            DaemonUnreachable: It may not be started, or an attempt failed a moment ago.
        """
        if _launching.active:
            raise DaemonUnreachable(f"No daemon at {self._address} yet: this thread is about to start it")
        if not self._allowed:
            raise DaemonUnreachable(f"No daemon at {self._address}; start it with `clawlog up` or `clawlogd`")
        if self._failed_at is not None and time.monotonic() < self._failed_at + RETRY_AFTER_S:
            raise DaemonUnreachable(self._failure)
        return Launch(self, self._address, self._env)

    def note(self, failure: DaemonUnreachable | None) -> None:
        """Records how the last launch ended."""
        self._failed_at = None if failure is None else time.monotonic()
        self._failure = str(failure)


class Launch:
    """One caller's part in starting the daemon.

    A context manager: within it, call ``advance`` whenever connecting has failed, ``PAUSE_S`` apart.
    """

    def __init__(self, starter: Starter, address: Address, env: Mapping[str, str]) -> None:
        self._starter = starter
        self._address = address
        self._env = env
        self._deadline = time.monotonic() + _PATIENCE_S
        self._state_dir = locations.state_dir(env)
        self._log_path = os.path.join(self._state_dir, "clawlogd.log")
        self._process: subprocess.Popen[bytes] | None = None
        self._lock_fd: int | None = None

    def advance(self) -> None:
        """Starts the daemon unless another process does, and checks whether it may still answer.

        Raises:
            DaemonUnreachable: It will not; the text says why, and where its log is.
        """
        if self._process is None:
            if self._take_lock():
                self._process = self._spawn()
        elif (status := self._process.poll()) is not None:
            if status not in (exits.SUCCESS, exits.UNAVAILABLE):  # unavailable: another daemon holds the state folder
                raise DaemonUnreachable(f"{_PROGRAM} ended at once with status {status}; see {self._log_path}")
            self._deadline = min(self._deadline, time.monotonic() + _GRACE_S)
        if time.monotonic() > self._deadline:
            raise DaemonUnreachable(f"{_PROGRAM} does not answer at {self._address}; see {self._log_path}")

    def __enter__(self) -> Self:
        _launching.active = True
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        _launching.active = False
        self._starter.note(error if isinstance(error, DaemonUnreachable) else None)
        if self._process is not None and self._process.returncode is None:
            _started.append(self._process.pid)
            self._process.returncode = (
                0  # else Popen would warn, when collected, of a child that is meant to outlive this process
            )
        if self._lock_fd is not None:  # now others may start it again
            fcntl.flock(self._lock_fd, fcntl.LOCK_UN)  # a process that was forked meanwhile has the descriptor, too
            os.close(self._lock_fd)
            self._lock_fd = None

    def _take_lock(self) -> bool:
        try:
            os.makedirs(self._state_dir, mode=0o700, exist_ok=True)
            fd = os.open(os.path.join(self._state_dir, "autostart.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DaemonUnreachable(f"The state folder {self._state_dir} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            return False
        self._lock_fd = fd
        return True

    def _spawn(self) -> subprocess.Popen[bytes]:
        program = find_program(self._env)
        if program is None:
            raise DaemonUnreachable(f"{_PROGRAM} is not installed; install it with: pipx install clawlog-status-sync")
        env = dict(self._env)
        arguments = [program]
        if self._address.kind is Kind.UNIX:
            env["CLAWLOG_SOCKET"] = os.path.abspath(self._address.path)
        else:
            arguments += ["--zmq", self._address.endpoint]
            env.pop("CLAWLOG_SOCKET", None)  # it names the ZeroMQ endpoint; the Unix socket keeps its default path
        _started[:] = [pid for pid in _started if not _reaped(pid)]
        try:
            log_fd = os.open(self._log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                process = subprocess.Popen(
                    arguments, stdin=subprocess.DEVNULL, stdout=log_fd, stderr=log_fd, cwd="/", env=env, start_new_session=True
                )
            finally:
                os.close(log_fd)
        except OSError as error:
            raise DaemonUnreachable(f"{program} cannot be run: {error.strerror}") from error
        return process


def _reaped(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:  # something else has waited for it
        return True
