"""How tasks are counted: by their standing, of which each has one. Kept by adding and taking away, never by walking tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from clawlog_backend.domain.fields import ENDED_TASK_STATUSES, TaskStatus
from clawlog_backend.domain.views import Counts, Filter, StateCounts

_FLAGS = "lsnda"


class Standing(NamedTuple):
    """All of a task that decides how it is counted.

    Attributes:
        status: Its stored status.
        lost: Its agent is gone.
        stop_open: A stop is not acknowledged.
        silent: It has had no sign of life for a while.
        doubtful: Its agent's last sign leaves doubt whether it lives.
        attention: It needs a person, and nobody has acknowledged that.
    """

    status: str
    lost: bool
    stop_open: bool
    silent: bool
    doubtful: bool
    attention: bool

    @property
    def key(self) -> str:
        """The same as a text: the status and a letter for each of the rest that holds."""
        return self.status + ":" + "".join(flag for flag, holds in zip(_FLAGS, self[1:], strict=True) if holds)

    @classmethod
    def of_key(cls, key: str) -> Standing:
        """The standing that a text names."""
        status, _, flags = key.partition(":")
        return cls(status, *(flag in flags for flag in _FLAGS))

    @property
    def ended(self) -> bool:
        """Whether such a task has ended."""
        return self.status in ENDED_TASK_STATUSES


def counted_as(task: Any) -> Standing:
    """A task's standing.

    Args:
        task: Its state, or its row of the same names.
    """
    return Standing(
        task.status, task.lost, task.stop_open, task.no_signal_since is not None, task.doubtful, task.attention_rank > 0
    )


def counts(tally: Mapping[str, int], lately: Mapping[str, int]) -> Counts:
    """How many tasks match each filter.

    Args:
        tally: How many tasks there are of each standing, by its key.
        lately: Of those that are silent, how many of each status are not so for long enough to count as stale.
    """
    every, attention = dict.fromkeys(Filter, 0), 0
    for standing, number in _standings(tally):
        every[Filter.ALL] += number
        attention += number if standing.attention else 0
        is_stale = not standing.ended and (standing.lost or standing.silent)
        every[Filter.STALE if is_stale else Filter(standing.status)] += number
        if not standing.ended:
            every[Filter.ACTIVE] += number
            every[Filter.STOPPING] += number if standing.stop_open else 0
    for status, number in lately.items():
        every[Filter.STALE] -= number
        every[Filter(status)] += number
    return Counts(**{which.value: number for which, number in every.items()}, attention=attention)


def state_counts(tally: Mapping[str, int]) -> StateCounts:
    """How many tasks are in each state, as the dashboard names them.

    Args:
        tally: How many tasks there are of each standing, by its key.
    """
    found = dict.fromkeys(StateCounts.__dataclass_fields__, 0)
    for standing, number in _standings(tally):
        found["all"] += number
        found[_state(standing)] += number
        if not standing.ended:
            found["active"] += number
        if standing.attention:
            found["attention"] += number
            found["new"] += number if standing.status == TaskStatus.FAILED else 0
    return StateCounts(**found)


def _standings(tally: Mapping[str, int]) -> Iterator[tuple[Standing, int]]:
    return ((Standing.of_key(key), number) for key, number in tally.items() if number)


def _state(standing: Standing) -> str:
    if standing.ended:
        return standing.status
    if standing.lost:
        return "lost"
    if standing.stop_open:
        return "stopping"
    if standing.status == TaskStatus.WAITING:
        return "waiting"
    return "stale" if standing.silent or standing.doubtful else "running"
