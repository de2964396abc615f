"""Starts the daemon where none runs, and waits until it answers.

The daemon needs libraries that a script's Python may lack, so the installed program is run, never this interpreter with ``-m``.
One caller at a time starts it: of a hundred scripts that find no daemon, one starts it and the others wait for its socket.
"""

from __future__ import annotations

import fcntl
import os
import sys
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

from clawlog import exits, locations
from clawlog.connection.address import Address, Kind
from clawlog.errors import DaemonUnreachable

if TYPE_CHECKING:  # they are loaded by a start alone: most clients find a daemon
    import subprocess

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


_INHERITED = frozenset({"PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "PYTHONUTF8"})
_PATHS = frozenset({"CLAWLOG_STATE_DIR", "CLAWLOG_DROP", "CLAWLOG_CONFIG", "CLAWLOG_TOKEN_FILE"})


def is_wanted(env: Mapping[str, str]) -> bool:
    """Whether the environment lets a daemon be started."""
    return env.get("CLAWLOG_AUTOSTART") != "0"


def find_program(env: Mapping[str, str]) -> str | None:
    """The path of the first ``clawlogd`` that there is."""
    return next(iter(find_programs(env)), None)


def find_programs(env: Mapping[str, str]) -> list[str]:
    """Every ``clawlogd``: beside this interpreter, in the checkout's ``.venv``, on PATH, in ``~/.local/bin``.

    That one is there does not mean that it runs: a checkout's ``.venv`` may have been moved, or made for another Python.
    """
    import shutil  # noqa: PLC0415 - see above

    checkout = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    try:
        home = locations.home(env)
    except locations.Unfit:
        home = os.devnull
    candidates = [
        os.path.join(os.path.dirname(sys.executable or "/"), _PROGRAM),
        os.path.join(checkout, ".venv", "bin", _PROGRAM),
        shutil.which(_PROGRAM, path=env.get("PATH", os.defpath)),
        os.path.join(home, ".local", "bin", _PROGRAM),
    ]
    found = [path for path in candidates if path and os.access(path, os.X_OK) and os.path.isfile(path)]
    return list({os.path.realpath(path): path for path in reversed(found)}.values())[::-1]


def environment_of_daemon(env: Mapping[str, str]) -> dict[str, str]:
    """What a daemon inherits: not what was meant for its caller's own Python, and no path that depends on where that works."""
    inherited = {name: value for name, value in env.items() if not name.startswith("PYTHON") or name in _INHERITED}
    return {name: os.path.abspath(value) if name in _PATHS and value else value for name, value in inherited.items()}


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
        self._programs = iter(find_programs(env))
        self._program = ""
        self._failures: list[str] = []
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
                self._failures.append(f"{self._program} ended at once with status {status}")
                self._process = self._spawn()
                return
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
            locations.private_folder(self._state_dir)
            fd = locations.open_own_file(os.path.join(self._state_dir, "autostart.lock"), os.O_RDWR)
        except OSError as error:
            raise DaemonUnreachable(f"The state folder {self._state_dir} cannot be used: {error.strerror}") from error
        except locations.Unfit as error:
            raise DaemonUnreachable(f"The state folder cannot be used: {error}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            return False
        self._lock_fd = fd
        return True

    def _spawn(self) -> subprocess.Popen[bytes]:
        """Starts the next program that can be started.

        Raises:
            DaemonUnreachable: There is none; the text names those that failed.
        """
        env = environment_of_daemon(self._env)
        arguments: list[str] = []
        if self._address.kind is Kind.UNIX:
            env["CLAWLOG_SOCKET"] = os.path.abspath(self._address.path)
        else:
            arguments += ["--zmq", self._address.endpoint]
            env.pop("CLAWLOG_SOCKET", None)  # it names the ZeroMQ endpoint; the Unix socket keeps its default path
        _started[:] = [pid for pid in _started if not _reaped(pid)]
        try:
            log_fd = locations.open_own_file(self._log_path, os.O_WRONLY | os.O_APPEND)
        except OSError as error:
            raise DaemonUnreachable(f"The daemon's log {self._log_path} cannot be written: {error.strerror}") from error
        except locations.Unfit as error:
            raise DaemonUnreachable(f"The daemon's log cannot be written: {error}") from error
        try:
            return self._run_first(arguments, env, log_fd)
        finally:
            os.close(log_fd)

    def _run_first(self, arguments: list[str], env: Mapping[str, str], log_fd: int) -> subprocess.Popen[bytes]:
        import subprocess  # noqa: PLC0415 - see above

        for program in self._programs:
            self._program = program
            try:
                return subprocess.Popen(
                    [program, *arguments],
                    stdin=subprocess.DEVNULL, stdout=log_fd, stderr=log_fd, cwd="/", env=env, start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                self._failures.append(f"{program} cannot be run: {error.strerror}")
        if not self._failures:
            raise DaemonUnreachable(f"{_PROGRAM} is not installed; install it: pipx install . in a clone of its repository")
        raise DaemonUnreachable(f"{'; '.join(self._failures)}; see {self._log_path}")


def _reaped(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:  # something else has waited for it
        return True
