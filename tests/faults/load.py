"""Plays agents: several at once, each over its own Unix socket, noting what it was promised.

An agent's events are sent in order. One whose reply never came is undecided: every other time the agent tries it again with
the same ``event_id``, as a careful client does, and else leaves it at that.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clawlog.protocol.ids import new_uuid
from faults.oracle import Change, Ledger, Outcome

STEPS = 3
_PAUSE_S = 0.01
_REPLY_S = 30.0


class Connection:
    """A socket to the daemon, with requests and replies as lines."""

    def __init__(self, path: Path, timeout_s: float = _REPLY_S) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(timeout_s)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._replies = self._socket.makefile("rb")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """One request and its reply, whole."""
        self.send([(method, params)])
        return self.receive()

    def send(self, requests: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """Sends requests without waiting for their replies."""
        lines = (json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}) for method, params in requests)
        self._socket.sendall("".join(f"{line}\n" for line in lines).encode())

    def receive(self) -> dict[str, Any]:
        """The next reply.

        Raises:
            OSError: The connection ended before it.
        """
        line = self._replies.readline()
        if not line.endswith(b"\n"):
            raise ConnectionResetError("the daemon is gone")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def close(self) -> None:
        self._replies.close()
        self._socket.close()


@dataclass(frozen=True, slots=True)
class _Planned:
    change: Change
    method: str
    params: dict[str, Any]


class Agent(threading.Thread):
    """One agent, working through tasks until it is told to stop or has sent its share.

    Args:
        socket_path: The daemon's.
        ledger: Where it notes what it was promised.
        base_url: The backend of its tasks.
        events: How many events to send; None for no end.
        together: How many requests it sends before it reads their replies.
        per_task: After how many events it goes on to a new task.
        pause_s: How long it rests between requests.
    """

    _numbers = itertools.count(1)

    def __init__(
        self,
        *,
        socket_path: Path,
        ledger: Ledger,
        base_url: str,
        events: int | None,
        together: int,
        per_task: int,
        pause_s: float,
    ) -> None:
        self._number = next(self._numbers)
        super().__init__(name=f"agent-{self._number}", daemon=True)
        self._socket_path = socket_path
        self._ledger = ledger
        self._base_url = base_url
        self._events = events
        self._together = together
        self._per_task = per_task
        self._pause_s = pause_s
        self._connection: Connection | None = None
        self._stopped = threading.Event()
        self._unanswered = 0
        self.slowest_reply_s = 0.0
        self.refusals: dict[str, int] = {}
        self.error: BaseException | None = None

    def stop(self) -> None:
        """Ends after the request in hand."""
        self._stopped.set()

    def run(self) -> None:
        try:
            for group in self._plan():
                if self._stopped.is_set():
                    break
                if not self._deliver(group):
                    break
                self._stopped.wait(self._pause_s)
        except BaseException as error:  # noqa: BLE001 - told to whoever joins
            self.error = error
        finally:
            self._drop_connection()

    def _plan(self) -> Iterator[list[_Planned]]:
        """Groups of requests to send together; a task's creation is always alone."""
        sent = 0
        while self._events is None or sent < self._events:
            task_id = new_uuid()
            yield [self._create(task_id)]
            sent += 1
            rest = self._per_task if self._events is None else min(self._per_task, self._events - sent)
            for start in range(0, rest, self._together):
                yield [self._update(task_id, number) for number in range(start, min(start + self._together, rest))]
            sent += rest

    def _create(self, task_id: str) -> _Planned:
        event_id, summary = new_uuid(), f"created by {self.name}"
        params = {
            "task_id": task_id,
            "event_id": event_id,
            "title": f"Aufgabe von {self.name} ✓",
            "steps": [{"step_id": f"{task_id[-12:]}-{number}", "title": f"step {number}"} for number in range(STEPS)],
            "summary": summary,
            "base_url": self._base_url,
        }
        return _Planned(Change(event_id, task_id, "task_created", summary=summary), "task.create", params)

    def _update(self, task_id: str, number: int) -> _Planned:
        event_id, summary = new_uuid(), f"{self.name} mark {number}"
        step_id, status = f"{task_id[-12:]}-{number % STEPS}", ("running", "done", "failed")[number // STEPS % 3]
        params = {"task_id": task_id, "event_id": event_id, "step": step_id, "status": status, "summary": summary}
        return _Planned(Change(event_id, task_id, "step_status", step_id, status, summary), "step.update", params)

    def _deliver(self, group: list[_Planned]) -> bool:
        """Sends a group. Returns False when the agent was stopped before a task could be created."""
        while True:
            answers = self._try(group)
            for planned, outcome in zip(group, answers, strict=True):
                self._ledger.note(planned.change, outcome)
            created = group[0].method == "task.create"
            if Outcome.UNDECIDED in answers:
                self._unanswered += 1
            elif not created or answers[0] is Outcome.ACCEPTED:
                return True
            elif answers[0] is Outcome.REFUSED:
                self._stopped.wait(_PAUSE_S * 5)
            # A task must exist before anything can be said of it; anything else is tried again every other time.
            if not created and self._unanswered % 2:
                return True
            if self._stopped.is_set():
                return False

    def _try(self, group: list[_Planned]) -> list[Outcome]:
        answers: list[Outcome] = []
        try:
            connection = self._connect()
            if connection is None:
                return [Outcome.REFUSED] * len(group)  # nothing was sent
            started = time.monotonic()
            connection.send([(planned.method, planned.params) for planned in group])
            for _ in group:
                answers.append(self._outcome(connection.receive()))  # noqa: PERF401 - what came before a failure counts
            self.slowest_reply_s = max(self.slowest_reply_s, time.monotonic() - started)
        except OSError:
            self._drop_connection()
        return answers + [Outcome.UNDECIDED] * (len(group) - len(answers))

    def _outcome(self, reply: dict[str, Any]) -> Outcome:
        if "error" not in reply:
            return Outcome.ACCEPTED
        name = str(reply["error"].get("data", {}).get("code", reply["error"]["message"]))
        self.refusals[name] = self.refusals.get(name, 0) + 1
        return Outcome.REFUSED

    def _connect(self) -> Connection | None:
        while self._connection is None:
            try:
                self._connection = Connection(self._socket_path)
            except OSError:
                if self._stopped.wait(_PAUSE_S):
                    return None
        return self._connection

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Load:
    """Several agents at work."""

    def __init__(self, agents: Sequence[Agent]) -> None:
        self.agents = agents
        for agent in agents:
            agent.start()

    def finish(self, timeout_s: float) -> None:
        """Waits until every agent has sent its share.

        Raises:
            TimeoutError: One has not.
        """
        deadline = time.monotonic() + timeout_s
        for agent in self.agents:
            agent.join(max(0.0, deadline - time.monotonic()))
        late = [agent.name for agent in self.agents if agent.is_alive()]
        self.stop()
        if late:
            raise TimeoutError(f"{', '.join(late)} did not finish within {timeout_s} s")

    def stop(self) -> None:
        """Stops the agents, and raises what went wrong in one of them."""
        for agent in self.agents:
            agent.stop()
        for agent in self.agents:
            agent.join(_REPLY_S * 2)
        for agent in self.agents:
            if agent.error is not None:
                raise agent.error

    @property
    def slowest_reply_s(self) -> float:
        """The longest that any agent waited for replies."""
        return max(agent.slowest_reply_s for agent in self.agents)

    @property
    def refusals(self) -> dict[str, int]:
        """How often requests were refused, by the error's name."""
        total: dict[str, int] = {}
        for agent in self.agents:
            for name, count in agent.refusals.items():
                total[name] = total.get(name, 0) + count
        return total


@contextlib.contextmanager
def connected(path: Path, timeout_s: float = _REPLY_S) -> Iterator[Connection]:
    """A connection for a few calls."""
    connection = Connection(path, timeout_s)
    try:
        yield connection
    finally:
        connection.close()
