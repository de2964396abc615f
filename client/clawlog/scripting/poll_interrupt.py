"""``poll_interrupt.py``: waits for a stop on behalf of a watcher outside the agent, and acts on it."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from clawlog import exits
from clawlog.client import Client
from clawlog.connection.results import StopPhase, StopState
from clawlog.errors import BadAddress, ClawlogError, DaemonUnreachable, Refused
from clawlog.protocol.summary import one_line
from clawlog.protocol.vocabulary import MAX_WAIT_S
from clawlog.scripting import options, parser, plan, report
from clawlog.scripting.delivery import is_forbidden, report_read, view_of

SCRIPT = "poll_interrupt"
SHORTEST_WAIT_S = 0.001
"""A check that does not wait would count as a sign of life of the agent; this script is not the agent."""
READ_S = 0.2
"""How often a task's view is read, where the daemon cannot be asked."""
RETRY_S = 1.0
"""The pause before a lost daemon is tried again."""


def main(arguments: Sequence[str]) -> int:
    """Runs the script; returns its exit status."""
    reader = parser.make(SCRIPT)
    values = parser.parse(reader, arguments)
    try:
        task_id = plan.task_id_of(values, os.environ)
        reaction = Reaction(task_id, values)
    except plan.UsageError as error:
        reader.error(str(error))
    try:
        with Client(env=os.environ) as client:
            poll = Poll(task_id, client, reaction, values)
            status = poll.follow() if "follow" in values else poll.wait()
    except BadAddress as error:
        report.warn(SCRIPT, str(error))
        return exits.USAGE
    except ClawlogError as error:
        report.warn(SCRIPT, str(error))
        status = exits.REFUSED if isinstance(error, Refused) else exits.UNAVAILABLE
    return report.forgiven(status, values, os.environ)


class Reaction:
    """The action at a stop: ``--exec`` and ``--signal-pid``.

    The process to signal is pinned at once, by a descriptor: if it ends meanwhile and its process id goes to another process,
    that one is never signalled.

    Raises:
        plan.UsageError: The command, the signal or the process is invalid.
    """

    def __init__(self, task_id: str, values: Mapping[str, Any]) -> None:
        self._task_id = task_id
        self._command = _command(values)
        if "signal" in values and "signal_pid" not in values:
            raise plan.UsageError("--signal needs --signal-pid as well")
        self._signal = _signal(values.get("signal", "TERM"))
        self._pid = values.get("signal_pid")
        self._pid_fd = None if self._pid is None else _pinned(self._pid)

    def act(self, stop: StopState) -> None:
        """Signals the process, then runs the command, whose output goes to stderr: stdout is for results."""
        if self._pid_fd is not None:
            try:
                signal.pidfd_send_signal(self._pid_fd, self._signal)
            except OSError as error:
                report.warn(SCRIPT, f"process {self._pid} was not signalled: {error.strerror}")
        if self._command:
            variables = {
                "CLAWLOG_TASK_ID": self._task_id,
                # Cleaned, whatever the daemon's version: an environment cannot hold a NUL, nor what cannot be encoded.
                "CLAWLOG_INTERRUPT_ID": one_line(stop.interrupt_id or ""),
                "CLAWLOG_STOP_REASON": one_line(stop.reason or ""),
            }
            try:
                ended = subprocess.run(self._command, env={**os.environ, **variables}, stdout=sys.stderr, check=False)
            except OSError as error:
                report.warn(SCRIPT, f"--exec {self._command[0]} cannot be run: {error.strerror}")
                return
            if ended.returncode != 0:
                report.warn(SCRIPT, f"--exec {self._command[0]} ended with status {ended.returncode}")


class Poll:
    """Waits for stops.

    Args:
        task_id: The task.
        client: A connection for this alone.
        reaction: The action at a stop.
        values: The flags' values.
    """

    def __init__(self, task_id: str, client: Client, reaction: Reaction, values: Mapping[str, Any]) -> None:
        self._task_id = task_id
        self._client = client
        self._reaction = reaction
        self._interval_s = min(values.get("interval", options.DEFAULT_INTERVAL_S), MAX_WAIT_S)
        timeout_s = values.get("timeout")
        self._deadline = None if timeout_s is None else time.monotonic() + timeout_s
        self._warned = False
        self._reported: set[str] = set()

    def wait(self) -> int:
        """Waits for one stop; returns the exit status."""
        while True:
            remaining_s = self._remaining_s()
            stop = self._ask(self._interval_s if remaining_s is None else min(self._interval_s, remaining_s))
            if stop.interrupt_requested:
                self._print(stop)
                self._reaction.act(stop)
                return exits.STOP_REQUESTED
            if (remaining_s := self._remaining_s()) is not None and remaining_s <= 0:
                self._print(stop)
                return exits.UNKNOWN_FOR_NOW if stop.state is StopPhase.UNKNOWN else exits.SUCCESS

    def follow(self) -> int:
        """Prints every change until the time-out; returns the exit status."""
        stopped: set[str | None] = set()
        last: StopState | None = None
        with contextlib.closing(self._client.watch_interrupt(self._task_id)) as watch:
            while (remaining_s := self._remaining_s()) is None or remaining_s > 0:
                try:
                    stop = watch.next(remaining_s)
                except DaemonUnreachable as error:
                    stop = self._read(error, READ_S, waits_out=True) if is_forbidden(error) else self._gone(error)
                if stop is None or (last is not None and _same(stop, last)):
                    continue
                last = stop
                self._print(stop)
                if stop.interrupt_requested and stop.interrupt_id not in stopped:
                    stopped.add(stop.interrupt_id)
                    self._reaction.act(stop)
        if stopped:
            return exits.STOP_REQUESTED
        # Changes are pushed; that the state became stale is not, and must not pass for a "no".
        return exits.UNKNOWN_FOR_NOW if self._ask(SHORTEST_WAIT_S).state is StopPhase.UNKNOWN else exits.SUCCESS

    def _ask(self, wait_s: float) -> StopState:
        try:
            return self._client.check_interrupt(self._task_id, wait_s=max(wait_s, SHORTEST_WAIT_S))
        except DaemonUnreachable as error:
            return self._read(error, wait_s) if is_forbidden(error) else self._gone(error)

    def _read(self, error: DaemonUnreachable, wait_s: float, *, waits_out: bool = False) -> StopState:
        """What the task's view says, where a sandbox forbids the daemon's socket: once it says stop, else after that time.

        Args:
            error: Why it cannot be asked.
            wait_s: How long.
            waits_out: Whether to take all that time, also where it says stop.
        """
        deadline = time.monotonic() + wait_s
        while True:
            stop = view_of(self._task_id, os.environ)
            if stop.interrupt_requested and stop.interrupt_id is not None and stop.interrupt_id not in self._reported:
                self._reported.add(stop.interrupt_id)
                report_read(self._task_id, stop.interrupt_id, os.environ)
            remaining_s = deadline - time.monotonic()
            if (stop.interrupt_requested and not waits_out) or remaining_s <= 0:
                break
            time.sleep(min(READ_S, remaining_s))
        if stop.state is StopPhase.UNKNOWN and not self._warned:
            report.warn(SCRIPT, f"warning: {error} (a sandbox?), and nothing fresh is there to be read of a stop; still trying")
            self._warned = True
        return stop

    def _gone(self, error: DaemonUnreachable) -> StopState:
        if not self._warned:  # once: the daemon may be away for a long time
            report.warn(SCRIPT, f"warning: {error}; still trying")
            self._warned = True
        remaining_s = self._remaining_s()
        time.sleep(RETRY_S if remaining_s is None else max(0.0, min(RETRY_S, remaining_s)))
        return StopState(StopPhase.UNKNOWN)

    def _remaining_s(self) -> float | None:
        return None if self._deadline is None else max(0.0, self._deadline - time.monotonic())

    def _print(self, stop: StopState) -> None:
        state = asdict(stop)
        report.emit(report.as_json({"task_id": self._task_id, **state, "interrupt_requested": stop.interrupt_requested}))


def _same(one: StopState, other: StopState) -> bool:
    return (one.state, one.interrupt_id) == (other.state, other.interrupt_id)


def _command(values: Mapping[str, Any]) -> list[str]:
    if "exec" not in values:
        return []
    try:
        command = shlex.split(values["exec"])
    except ValueError as error:
        raise plan.UsageError(f"--exec: {error}") from error
    if not command:
        raise plan.UsageError("--exec: no command")
    return command


def _signal(name: str) -> signal.Signals:
    try:
        return signal.Signals["SIG" + name.upper().removeprefix("SIG")]
    except KeyError:
        raise plan.UsageError(f"--signal: {name!r} is not a signal; expected a name such as TERM, INT or USR1") from None


def _pinned(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except AttributeError:
        raise plan.UsageError("--signal-pid needs Linux: elsewhere a reused process id could be signalled") from None
    except OSError as error:
        raise plan.UsageError(f"--signal-pid: no process {pid} to signal: {error.strerror}") from error
