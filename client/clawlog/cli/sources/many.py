"""Does one thing with many tasks: what fails with one of them does not hold up the others."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from clawlog import exits
from clawlog.cli.errors import CommandError, status_of
from clawlog.cli.sources import lookup
from clawlog.cli.sources.backend import Backend
from clawlog.cli.sources.lookup import Found
from clawlog.errors import ClawlogError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """What became of one task.

    Attributes:
        named: The task, as the person named it.
        found: The task; None where there is none, or several.
        value: What was done; None where it failed.
        error: Why it failed.
    """

    named: str
    found: Found | None
    value: T | None = None
    error: CommandError | ClawlogError | None = None

    @property
    def task_id(self) -> str:
        """Its full id, as far as it is known."""
        return self.named if self.found is None else self.found.task_id


def for_each(named: Sequence[str], act: Callable[[Backend, Found], T]) -> list[Outcome[T]]:
    """Finds each task and does it, in the order given; a task that is named twice is done once."""
    outcomes: list[Outcome[T]] = []
    for text in dict.fromkeys(named):
        found = None
        try:
            found = lookup.find(text)
            if found.task_id in {each.task_id for each in outcomes}:
                continue
            outcomes.append(Outcome(text, found, act(Backend(found.base_url, os.environ), found)))
        except (CommandError, ClawlogError) as error:
            outcomes.append(Outcome(text, found, error=error))
    return outcomes


def status(outcomes: Sequence[Outcome[T]]) -> int:
    """Returns the exit status: that of the first failure, if there was one."""
    return next((status_of(each.error) for each in outcomes if each.error is not None), exits.SUCCESS)
