"""What a foreign server holds, in the daemon's own words, so that one oracle fits all of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass
class Step:
    """A step as a server holds it, in the daemon's words."""

    key: Any
    title: str
    status: str = "pending"
    told: list[tuple[str, str | None]] = field(default_factory=list)


@dataclass
class Task:
    """A task as a server holds it, in the daemon's words."""

    key: Any
    title: str
    steps: list[Step]
    status: str = "pending"
    summaries: list[str] = field(default_factory=list)
    beats: int = 0
    acks: list[str | None] = field(default_factory=list)
    stop: bool = False
    stop_at: str | None = None
    ack_at: str | None = None
    created_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat())

    def beat(self, summary: str | None) -> None:
        """Takes a sign of life."""
        self.beats += 1
        if summary:
            self.summaries.append(summary)

    def acknowledge(self, summary: str | None, *, clears: bool) -> None:
        """Takes the acknowledgement of a stop; the flag falls with it, or stays."""
        self.acks.append(summary or None)
        self.status = "interrupted"
        self.ack_at = datetime.now(UTC).isoformat()
        if clears:
            self.stop = False


class RefusedError(Exception):
    """The server does not take a request."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


class Held:
    """The tasks of a server, and what was asked of it that nobody should ask.

    Attributes:
        tasks: By the server's own ids, as text.
        misused: Requests for what is not there, or that are nobody's business.
    """

    def __init__(self) -> None:
        self.tasks: dict[str, Task] = {}
        self.misused: list[str] = []

    def find(self, key: object) -> Task:
        """A task.

        Raises:
            RefusedError: There is none with this id.
        """
        if str(key) not in self.tasks:
            self.misused.append(f"no task {key!r}")
            raise RefusedError(404, "no such task")
        return self.tasks[str(key)]

    def step_of(self, task: Task, key: object) -> Step:
        """A step of a task.

        Raises:
            RefusedError: There is none with this id.
        """
        for step in task.steps:
            if str(step.key) == str(key):
                return step
        self.misused.append(f"no step {key!r}")
        raise RefusedError(404, "no such step")

    def add(self, task: Task) -> Task:
        """Keeps a new task."""
        self.tasks[str(task.key)] = task
        return task

    def press_stop(self, key: object) -> None:
        """A person asks for a stop."""
        task = self.tasks[str(key)]
        task.stop, task.stop_at, task.ack_at = True, datetime.now(UTC).isoformat(), None
