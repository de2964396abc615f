"""Which tasks a lane sets aside, because their next event fails while others get through.

A failure may be the backend's or one event's, and a status alone does not tell. While the breaker is open each probe carries
another task's event; those that failed are suspects. Once a probe gets through they are parked: each is tried alone now and
then, and holds up nobody. When every task has failed, it is the backend after all.
"""

from __future__ import annotations

from dataclasses import dataclass

_FIRST_DELAY_S = 5.0


@dataclass(slots=True)
class _Parked:
    due: float
    delay_s: float
    detail: str


class Parking:
    """The tasks that are set aside. Times are monotonic."""

    def __init__(self) -> None:
        self._suspects: dict[str, str] = {}
        self._parked: dict[str, _Parked] = {}

    def __len__(self) -> int:
        return len(self._parked)

    @property
    def excluded(self) -> set[str]:
        """The tasks whose events are passed over."""
        return {*self._parked, *self._suspects}

    @property
    def detail(self) -> str | None:
        """What the backend said of one of the parked."""
        return next((each.detail for each in self._parked.values()), None)

    def suspect(self, task_id: str, detail: str) -> None:
        """Notes that a probe with a task's event failed."""
        self._suspects[task_id] = detail

    def acquit(self) -> bool:
        """Forgets the suspects. Returns whether there were any."""
        suspects, self._suspects = self._suspects, {}
        return bool(suspects)

    def park_suspects(self, now: float) -> list[str]:
        """Another task's event got through: each suspect is tried alone from now on. Returns them."""
        suspects, self._suspects = self._suspects, {}
        self._parked.update({task_id: _Parked(now, _FIRST_DELAY_S, detail) for task_id, detail in suspects.items()})
        return list(suspects)

    def due(self, now: float) -> str | None:
        """A task that is to be tried, if there is one."""
        return next((task_id for task_id, each in self._parked.items() if each.due <= now), None)

    def next_due(self) -> float | None:
        """When the next task is to be tried; None when none is parked."""
        return min((each.due for each in self._parked.values()), default=None)

    def failed(self, task_id: str, now: float, detail: str, max_delay_s: float) -> None:
        """A parked task failed again."""
        parked = self._parked.pop(task_id)  # and goes to the end of the line
        delay_s = min(parked.delay_s, max_delay_s)
        self._parked[task_id] = _Parked(now + delay_s, delay_s * 2, detail)

    def leave(self, task_id: str) -> None:
        """A parked task goes on as others do."""
        self._parked.pop(task_id, None)

    def hurry(self, now: float) -> None:
        """Makes all parked tasks due."""
        for each in self._parked.values():
            each.due = min(each.due, now)
