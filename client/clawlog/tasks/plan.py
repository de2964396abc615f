"""What a program knows of its task's steps: by which id the daemon is asked for one."""

from __future__ import annotations

from collections.abc import Sequence

from clawlog.connection.results import StepHandle
from clawlog.connection.values import Step


class Plan:
    """The steps of a task, as far as this program knows.

    Attributes:
        steps: In order.
        last_begun: The id of the step that this program began last: what is found on the way comes after it.
    """

    def __init__(self) -> None:
        self.steps: tuple[StepHandle, ...] = ()
        self.last_begun: str | None = None
        self._begun: set[str] = set()

    def replace(self, steps: Sequence[StepHandle]) -> None:
        """Takes over all steps, as the daemon has them now."""
        self.steps = tuple(steps)

    def add(self, step: StepHandle) -> None:
        """Takes over a step that was added, at its place."""
        place = len(self.steps) if step.position is None else step.position - 1
        self.steps = (*self.steps[:place], step, *self.steps[place:])

    def begins(self, step_id: str) -> None:
        """Notes that this program begins a step."""
        self.last_begun = step_id
        self._begun.add(step_id)

    def find(self, step: Step) -> StepHandle | None:
        """Returns a step by its id, position or title, as the daemon would; None for one that is not known here.

        Of several with the same title it is the first that was not begun yet.
        """
        if (known := next((each for each in self.steps if each.step_id == step), None)) is not None:
            return known
        if isinstance(step, int) or (isinstance(step, str) and step.isascii() and step.isdigit() and len(step) < 10):
            position = int(step)
            if 1 <= position <= len(self.steps):
                return self.steps[position - 1]
        titled = [each for each in self.steps if each.title == step]
        return next((each for each in titled if each.step_id not in self._begun), titled[-1] if titled else None)
