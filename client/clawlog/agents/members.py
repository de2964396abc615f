"""Reads members of what an agent's hook was given. It comes from outside: a member of another kind is as good as missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from clawlog.agents.agent import PlannedStep
from clawlog.protocol.types import StepStatus

_MAX_STEPS = 500
"""The most steps that are read of a list; the daemon keeps fewer."""

_STATUSES: Mapping[str, StepStatus] = {
    "in_progress": "running",
    "completed": "done",
    "done": "done",
    "cancelled": "skipped",
    "skipped": "skipped",
    "deleted": "skipped",
}


def text(value: Any, *names: str) -> str | None:
    """Returns the first of these members that is a text and not empty."""
    if isinstance(value, Mapping):
        for name in names:
            found = value.get(name)
            if isinstance(found, str) and found:
                return found
    return None


def member(value: Any, *path: str) -> Any:
    """Returns a member of a member, and so on; None where there is none."""
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def items(value: Any) -> Sequence[Any]:
    """Returns a list's elements; none of what is no list."""
    return value[:_MAX_STEPS] if isinstance(value, list) else ()


def status(word: Any) -> StepStatus:
    """Returns a step's status in the words of ``task.plan``."""
    return _STATUSES.get(word, "pending") if isinstance(word, str) else "pending"


def plan(steps: Any, *titles: str) -> tuple[PlannedStep, ...] | None:
    """Returns an agent's whole list of steps; None where there is no list.

    Args:
        steps: The list.
        titles: The names that a step's title may have.
    """
    if not isinstance(steps, list):
        return None
    return tuple(
        PlannedStep(title, status(each.get("status"))) for each in items(steps) if (title := text(each, *titles)) is not None
    )


def question(asked: Any) -> str | None:
    """Returns the first question of a tool that asks a person."""
    for each in items(member(asked, "questions")):
        if (found := text(each, "question")) is not None:
            return found
    return text(asked, "question")
