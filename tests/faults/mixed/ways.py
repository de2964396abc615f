"""The ways in: each makes one call, once, and says what its caller knows of it afterwards."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import zmq

from clawlog import exits, spool
from clawlog.errors import SpoolFailed
from clawlog.protocol.errors import NOT_NOW
from faults.load import Connection
from faults.oracle import Change, Outcome

_SCRIPTS = Path(__file__).parents[3] / "scripts"
_SCRIPT_S = 90.0
_HANGS_UP = 0.03  # the share of calls whose caller does not wait for the reply


@dataclass(frozen=True, slots=True)
class Said:
    """What a caller says once, whichever way it takes, and as often as it has to.

    Attributes:
        change: What a backend makes of it. Its mark stands in the place of its ``event_id``, so that an effect that happened
            twice shows also where a repetition got an id of its own.
        method: The verb.
        params: Its parameters, ``event_id`` among them.
    """

    change: Change
    method: str
    params: dict[str, Any]


class Way(Protocol):
    """A way in, used by one caller."""

    repeats: bool
    """Whether the same call can be made again: a script mints a new ``event_id`` each time it is run."""

    def say(self, said: Said) -> Outcome:
        """Makes the call once."""

    def close(self) -> None:
        """Hangs up."""


class UnixWay:
    """The Unix socket, over a connection that is kept.

    Args:
        path: The socket's.
        timeout_s: How long a reply is waited for.
        draw: Says when to hang up before the reply is there.
    """

    repeats = True

    def __init__(self, path: Path, timeout_s: float, draw: random.Random) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._draw = draw
        self._connection: Connection | None = None

    def say(self, said: Said) -> Outcome:
        try:
            if self._connection is None:
                self._connection = Connection(self._path, self._timeout_s)
        except OSError:
            return Outcome.REFUSED  # nothing was sent
        try:
            self._connection.send([(said.method, said.params)])
            if self._draw.random() < _HANGS_UP:
                self.close()
                return Outcome.UNDECIDED
            return _outcome(self._connection.receive())
        except OSError:
            self.close()
            return Outcome.UNDECIDED

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class ZeromqWay:
    """The ZeroMQ socket, as REQ or DEALER; a new one after a reply that did not come.

    Args:
        endpoint: The daemon's.
        kind: ``zmq.REQ`` or ``zmq.DEALER``.
        timeout_s: How long a reply is waited for.
        draw: Says when to hang up before the reply is there.
    """

    repeats = True

    def __init__(self, endpoint: str, kind: int, timeout_s: float, draw: random.Random) -> None:
        self._endpoint = endpoint
        self._kind = kind
        self._timeout_ms = int(timeout_s * 1000)
        self._draw = draw
        self._context = zmq.Context()
        self._socket: zmq.Socket[bytes] | None = None

    def say(self, said: Said) -> Outcome:
        if self._socket is None:
            self._socket = self._context.socket(self._kind)
            self._socket.linger = 0
            self._socket.rcvtimeo = self._socket.sndtimeo = self._timeout_ms
            self._socket.connect(self._endpoint)
        try:
            self._socket.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": said.method, "params": said.params}).encode())
            if self._draw.random() < _HANGS_UP:
                self._drop_socket()
                return Outcome.UNDECIDED
            return _outcome(json.loads(self._socket.recv()))
        except zmq.Again:
            self._drop_socket()
            return Outcome.UNDECIDED

    def close(self) -> None:
        self._drop_socket()
        self._context.term()

    def _drop_socket(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class SpoolWay:
    """The spool, as the Python API uses it when it has no daemon; here at any time.

    Args:
        env: Says where the state folder is.
    """

    repeats = True

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def say(self, said: Said) -> Outcome:
        try:
            spool.keep([(said.method, said.params)], self._env)
        except SpoolFailed:
            return Outcome.REFUSED
        return Outcome.ACCEPTED

    def close(self) -> None:
        return


class ScriptWay:
    """The two scripts, as programs. What they accept may be with the daemon or in the spool.

    Args:
        env: Their environment.

    Attributes:
        spooled: How many of its calls went to the spool.
    """

    repeats = False

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self.spooled = 0

    def say(self, said: Said) -> Outcome:
        params = said.params
        if said.method == "task.create":
            flags = [
                "create_task.py",
                "--task-id",
                params["task_id"],
                "--title",
                params["title"],
                "--summary",
                params["summary"],
            ]
            flags += ["--base-url", params["base_url"]]
            flags += [text for each in params["steps"] for text in ("--step", each["title"])]
        elif said.method == "step.update":
            flags = ["update_status.py", "--task-id", params["task_id"], "--step-id", params["step"]]
            flags += ["--step-status", params["status"], "--step-summary", params["summary"]]
        else:
            flags = ["update_status.py", "--task-id", params["task_id"], "--task-status", params["status"]]
            flags += ["--task-summary", params["summary"]]
        return self._run(flags)

    def close(self) -> None:
        return

    def _run(self, arguments: Sequence[str]) -> Outcome:
        script, *flags = arguments
        command = [sys.executable, "-I", str(_SCRIPTS / script), *flags]
        with contextlib.suppress(subprocess.TimeoutExpired):
            ended = subprocess.run(command, env=dict(self._env), check=False, capture_output=True, text=True, timeout=_SCRIPT_S)
            if ended.returncode == exits.SUCCESS:
                self.spooled += '"spooled":true' in ended.stdout.replace(" ", "")
                return Outcome.ACCEPTED
            if ended.returncode != exits.UNAVAILABLE:
                raise AssertionError(f"{script} ended with {ended.returncode}: {ended.stderr}")
        # It says that nothing could be accepted; whether a daemon that did not answer has it all the same, nobody knows.
        return Outcome.UNDECIDED


def _outcome(reply: dict[str, Any]) -> Outcome:
    """What a reply says.

    Raises:
        AssertionError: It was refused for another reason than that it cannot be accepted now.
    """
    if "result" in reply:
        return Outcome.ACCEPTED
    if reply["error"]["code"] not in NOT_NOW:
        raise AssertionError(f"a sound call was refused: {reply['error']}")
    return Outcome.REFUSED
