"""What an agent is answered: first whether it has to stop, then what became of its call; in words, and the same as a structure.

Some agents show their model the words, others the structure alone: so the structure holds the words, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clawlog.connection.results import StopPhase, StopState
from clawlog.protocol.summary import any_line, one_line

_MAX_REASON_CHARS = 500
_WHAT_TO_DO = (
    "Finish or undo only what must not be left half done, begin nothing new, then call acknowledge_stop with one line on where "
    "you stopped, and end your turn."
)


@dataclass(frozen=True, slots=True)
class Task:
    """A task of this session.

    Attributes:
        task_id: Its id.
        title: What it does; empty where it was created elsewhere.
    """

    task_id: str
    title: str = ""

    @property
    def named(self) -> str:
        """How it is named in an answer."""
        return f"task {self.task_id} ({one_line(self.title)})" if self.title else f"task {self.task_id}"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer.

    Attributes:
        text: What became of the call.
        failed: Whether it failed.
        details: What else belongs to it, by name.
        warnings: What should be known although nothing failed.
        stops: The tasks that a person asks to stop.
        unknown: The tasks of which that cannot be told now.
    """

    text: str
    failed: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)
    warnings: Sequence[str] = ()
    stops: Sequence[tuple[Task, StopState]] = ()
    unknown: Sequence[Task] = ()

    @property
    def paragraphs(self) -> list[str]:
        """The words, a paragraph each."""
        return [*map(_stop_text, self.stops), self.text, *(f"Note: {each}" for each in self.warnings)]

    @property
    def structure(self) -> dict[str, Any]:
        """The same for programs, as ``structuredContent``."""
        return {
            "ok": not self.failed,
            "said": "\n\n".join(self.paragraphs),
            "stop_requested": bool(self.stops),
            "stops": [_stop_member(task, stop) for task, stop in self.stops],
            "stop_unknown_for": [task.task_id for task in self.unknown],
            **self.details,
        }


def checked(answer: Answer) -> str:
    """Returns what an agent is told that asked for nothing but a stop."""
    if answer.stops:
        return "That is what was asked for."
    if answer.unknown:
        return "Not known: the backend cannot be asked now. Go on, and check again at the next boundary."
    return "No stop is requested. Go on."


def _stop_text(requested: tuple[Task, StopState]) -> str:
    task, stop = requested
    reason = f' with the words "{any_line(stop.reason, _MAX_REASON_CHARS)}"' if stop.reason else ""
    return f"STOP REQUESTED. A person asks you to stop {task.named}{reason}. {_WHAT_TO_DO}"


def _stop_member(task: Task, stop: StopState) -> dict[str, Any]:
    return {
        "task_id": task.task_id,
        "state": StopPhase.REQUESTED.value,
        "interrupt_id": stop.interrupt_id,
        "mode": stop.mode,
        "reason": stop.reason,
        "requested_at": stop.requested_at,
    }
