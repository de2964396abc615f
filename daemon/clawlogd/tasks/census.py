"""How many tasks are in which state, and their order by age: kept at each change, so that nobody has to walk all of them.

There may be a million tasks, most of them over. What is asked for often (a status, a page of the list, whether anything goes on
at a backend, what is to be forgotten) costs as much as its answer, not as much as all tasks.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Iterable, Iterator

from clawlogd.model import Task

Place = tuple[int, str]
"""A task's place among all by age: when it was created, in milliseconds since 1970, and its id."""


def place_of(task: Task) -> Place:
    """A task's place by age."""
    return task.created_ms, task.task_id


class Census:
    """The tasks by state and age.

    Attributes:
        live: How many have not ended, and are not lost.
        stopping: How many have a stop that is open.
        going_on: How many have not ended, by backend; none of those that have none.
        ended: The ids of those that have ended, roughly in that order.
        lost: The ids of those that are lost, roughly in that order.
    """

    def __init__(self) -> None:
        self.live = 0
        self.stopping = 0
        self.going_on: Counter[str] = Counter()
        self.ended: dict[str, None] = {}
        self.lost: dict[str, None] = {}
        self._active: list[Place] = []
        self._over: list[Place] = []

    def load(self, tasks: Iterable[Task]) -> None:
        """Enters all tasks at once, into an empty census."""
        ended: list[tuple[int, str]] = []
        lost: list[tuple[int, str]] = []
        for task in tasks:
            self.stopping += task.interrupt_pending
            if task.status.ended:
                ended.append((task.ended_ms or 0, task.task_id))
                self._over.append(place_of(task))
                continue
            self.going_on[task.base_url] += 1
            self._active.append(place_of(task))
            if task.lost_ms is None:
                self.live += 1
            else:
                lost.append((task.lost_ms, task.task_id))
        self.ended = dict.fromkeys(task_id for _, task_id in sorted(ended))
        self.lost = dict.fromkeys(task_id for _, task_id in sorted(lost))
        self._active.sort()
        self._over.sort()

    def change(self, before: Task | None, after: Task | None) -> None:
        """Takes in a change of one task; None where there is none."""
        if before is not None and after is not None and _standing(before) == _standing(after):
            return
        if before is not None:
            self._leave(before)
        if after is not None:
            self._enter(after)

    def _enter(self, task: Task) -> None:
        self.stopping += task.interrupt_pending
        if task.status.ended:
            self.ended[task.task_id] = None
            insort(self._over, place_of(task))
            return
        self.going_on[task.base_url] += 1
        insort(self._active, place_of(task))
        if task.lost_ms is None:
            self.live += 1
        else:
            self.lost[task.task_id] = None

    def _leave(self, task: Task) -> None:
        self.stopping -= task.interrupt_pending
        places, place = (self._over if task.status.ended else self._active), place_of(task)
        del places[bisect_left(places, place)]
        if task.status.ended:
            del self.ended[task.task_id]
            return
        self.going_on[task.base_url] -= 1
        if not self.going_on[task.base_url]:
            del self.going_on[task.base_url]
        if task.lost_ms is None:
            self.live -= 1
        else:
            del self.lost[task.task_id]

    def newest_first(self, after: Place | None = None, *, active: bool | None = None) -> Iterator[str]:
        """The tasks' ids by age, the newest first. Others may come and go between two.

        Args:
            after: Begins with the next older one than this place.
            active: Only those that have not ended, or only those that have.
        """
        chosen = [self._active, self._over] if active is None else [self._active if active else self._over]
        while True:
            older = [places[index - 1] for places in chosen if (index := _index(places, after)) > 0]
            if not older:
                return
            after = max(older)
            yield after[1]


def _index(places: list[Place], after: Place | None) -> int:
    return len(places) if after is None else bisect_left(places, after)


def _standing(task: Task) -> tuple[bool, bool, bool]:
    return task.status.ended, task.lost_ms is not None, task.interrupt_pending
