"""What callers hand over: steps, and how far something has come."""

from __future__ import annotations

from dataclasses import dataclass

from clawlog.protocol.types import StepStatus

Step = str | int
"""A step's id, its position from 1, or its exact title."""


@dataclass(frozen=True, slots=True)
class NewStep:
    """A step with an id that the caller chose."""

    title: str
    step_id: str


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step of a changed plan.

    Attributes:
        title: What it does. A step with an id that is known, and another title, is renamed.
        status: Its status; None leaves it as it is, ``pending`` for a new one.
        step_id: Its id; None recognises it by its title.
    """

    title: str
    status: StepStatus | None = None
    step_id: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far something has come.

    Attributes:
        done: How many are done, finite and at least 0.
        total: How many there are, where that is known.
        unit: Of what, such as ``files``, at most 20 characters.
    """

    done: float
    total: float | None = None
    unit: str | None = None
