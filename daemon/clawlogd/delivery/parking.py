"""Which tasks a lane parks, because their next event fails while others get through.

A failure may be the backend's or one event's, and a status alone does not tell. While the breaker is open each probe carries
another task's event; those that failed are suspects. Once a probe gets through they are parked: they are tried apart from the
others, and hold up nobody. When every task has failed, it is the backend after all, and all begin anew.

After a long outage there may be thousands of suspects, nearly all innocent: so the parked are tried many together, and fewer
while that fails, until the one to blame is alone. That one is then tried less and less often.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

_FIRST_DELAY_S = 5.0
_MAX_ROUND = 1000


@dataclass(slots=True)
class _Parked:
    due: float
    delay_s: float
    detail: str
    tries: int = 0


class Parking:
    """The tasks that are parked, and those suspected. Times are monotonic.

    Attributes:
        round_size: How many events the next round of parked tasks may hold.
    """

    def __init__(self) -> None:
        self._suspects: dict[str, str] = {}
        self._parked: dict[str, _Parked] = {}
        self.round_size = _MAX_ROUND

    def __len__(self) -> int:
        return len(self._parked)

    @property
    def excluded(self) -> set[str]:
        """The tasks whose events are not sent in regular rounds."""
        return {*self._parked, *self._suspects}

    @property
    def suspects(self) -> int:
        """How many tasks are suspected."""
        return len(self._suspects)

    @property
    def detail(self) -> str | None:
        """What the backend answered for one of the parked tasks; None when none is parked."""
        return next((each.detail for each in self._parked.values()), None)

    def suspect(self, task_id: str, detail: str) -> None:
        """Notes that a probe with a task's event failed."""
        self._suspects[task_id] = detail

    def clear_suspects(self, due_by: float | None = None) -> bool:
        """Clears the suspects, when no other task is left to probe with. Returns whether there were any.

        Args:
            due_by: If given, the parked tasks that are due by then are unparked, too: nothing gets through at all.
        """
        freed = {*self._suspects, *(self.due(due_by) if due_by is not None else ())}
        self._suspects.clear()
        self.unpark(freed)
        return bool(freed)

    def park_suspects(self, now: float) -> None:
        """Parks the suspects, when another task's event got through: they are tried apart from now on."""
        suspects, self._suspects = self._suspects, {}
        self._parked.update({task_id: _Parked(now, _FIRST_DELAY_S, detail) for task_id, detail in suspects.items()})

    def due(self, now: float) -> list[str]:
        """The parked tasks that are to be tried."""
        return [task_id for task_id, each in self._parked.items() if each.due <= now]

    def next_due(self) -> float | None:
        """When the next parked task is to be tried; None when none is parked."""
        return min((each.due for each in self._parked.values()), default=None)

    def failed_together(self, count: int) -> None:
        """Notes that a round of so many events failed: the next is of half of them."""
        self.round_size = max(1, count // 2)

    def failed(self, task_id: str, now: float, detail: str, max_delay_s: float) -> bool:
        """Notes that a parked task's event failed alone. Returns whether that was the first time."""
        parked = self._parked[task_id]
        first, delay_s = parked.delay_s == _FIRST_DELAY_S, min(parked.delay_s, max_delay_s)
        self._parked[task_id] = _Parked(now + delay_s, delay_s * 2, detail, parked.tries + 1)
        return first

    def tries(self, task_id: str) -> int:
        """How often a parked task's event failed alone."""
        parked = self._parked.get(task_id)
        return parked.tries if parked is not None else 0

    def succeeded(self, task_ids: AbstractSet[str]) -> None:
        """Unparks tasks whose events got through."""
        self.round_size = min(self.round_size * 2, _MAX_ROUND)
        self.unpark(task_ids)

    def unpark(self, task_ids: AbstractSet[str]) -> None:
        """Sends the tasks' events in regular rounds again."""
        for task_id in task_ids:
            self._parked.pop(task_id, None)

    def retry_now(self, now: float) -> None:
        """Makes all parked tasks due."""
        for each in self._parked.values():
            each.due = min(each.due, now)
