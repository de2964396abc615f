"""Who follows the tasks learns of a change in one order, whoever registered first."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from clawlogd.errors import InvalidValue, UnknownTask
from clawlogd.model import Step, Task
from clawlogd.tasks.registry import Observer, ObserverOrder, Registry


class NoOutbox:
    """Takes rows, and keeps nothing."""

    def save(self, task: Task, *, head: bool, steps: tuple[Step, ...], gone: tuple[Step, ...]) -> None:
        """Takes a task's rows."""

    def on_failure(self, undo: Callable[[], None]) -> None:
        """Takes what would put memory back."""


@pytest.fixture
def registry() -> Registry:
    return Registry(outbox=NoOutbox())  # type: ignore[arg-type]


def noting(notes: list[ObserverOrder], order: ObserverOrder) -> Observer:
    return lambda before, after: notes.append(order)


def test_observers_are_called_in_the_order_of_their_enumeration(registry: Registry) -> None:
    notes: list[ObserverOrder] = []
    for order in random.sample(list(ObserverOrder), k=len(ObserverOrder)):
        registry.observe(order, noting(notes, order))
    registry.put(Task("t", "T", "http://x", 0))
    assert notes == [ObserverOrder.LIVENESS, ObserverOrder.INTERRUPTS, ObserverOrder.HEARTBEATS, ObserverOrder.WATCHERS]


def test_a_change_of_steps_alone_is_told_to_nobody(registry: Registry) -> None:
    notes: list[ObserverOrder] = []
    registry.observe(ObserverOrder.LIVENESS, noting(notes, ObserverOrder.LIVENESS))
    registry.put(Task("t", "T", "http://x", 0), head=False, steps=(Step("t-1", 1, "one"),))
    assert notes == []


@pytest.mark.parametrize(("task_id", "error"), [("nobody", UnknownTask), ("no such\nid", InvalidValue), ("..", InvalidValue)])
def test_an_id_that_no_task_has_is_told_from_one_that_none_could_have(
    registry: Registry, task_id: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        registry.get(task_id)
