"""What a failed commit leaves in memory: what the disk has, and the one fact that does not depend on the disk."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from clawlogd.errors import UnknownStep
from clawlogd.model import Interrupt, Session, Step, Task, TaskStatus
from clawlogd.tasks.registry import Registry
from clawlogd.tasks.steps import find_step


class Undoing:
    """An outbox whose commits fail when the test says so."""

    def __init__(self) -> None:
        self.undo: list[Callable[[], None]] = []

    def save(self, task: Task, *, head: bool, steps: tuple[Step, ...], gone: tuple[Step, ...]) -> None:
        """Takes a row."""

    def on_failure(self, undo: Callable[[], None]) -> None:
        self.undo.append(undo)

    def fail(self) -> None:
        while self.undo:
            self.undo.pop()()


@pytest.fixture
def outbox() -> Undoing:
    return Undoing()


@pytest.fixture
def registry(outbox: Undoing) -> Registry:
    registry = Registry(outbox=outbox)  # type: ignore[arg-type]
    registry.put(Task("t", "Title", "http://x", 0, steps=(Step("t-1", 1, "one"),)))
    outbox.undo.clear()
    return registry


def test_a_failed_change_is_as_if_it_had_not_been(registry: Registry, outbox: Undoing) -> None:
    before = registry.get("t")
    registry.put(msgspec.structs.replace(before, status=TaskStatus.DONE, finished=True))
    outbox.fail()
    assert registry.get("t") == before


def test_a_stop_stays_known_when_the_disk_cannot_take_it_down(registry: Registry, outbox: Undoing) -> None:
    before = registry.get("t")
    registry.put(msgspec.structs.replace(before, summary="more"))
    registry.put(msgspec.structs.replace(registry.get("t"), interrupt=Interrupt("i1", reason="enough", delivered=True)))
    outbox.fail()
    assert registry.get("t") == msgspec.structs.replace(before, interrupt=Interrupt("i1", reason="enough"))


def test_a_session_stays_held_when_the_disk_cannot_take_its_stop_down(registry: Registry, outbox: Undoing) -> None:
    before = msgspec.structs.replace(registry.get("t"), session=Session("codex", "s"))
    registry.put(before)
    outbox.undo.clear()
    held = msgspec.structs.replace(before.session, held="i1", held_ms=7)
    registry.put(msgspec.structs.replace(before, interrupt=Interrupt("i1"), session=held))
    outbox.fail()
    assert registry.get("t").session == held


def test_an_acknowledgement_that_is_not_on_disk_is_undone(registry: Registry, outbox: Undoing) -> None:
    asked = msgspec.structs.replace(registry.get("t"), interrupt=Interrupt("i1"))
    registry.put(asked)
    outbox.undo.clear()
    registry.put(msgspec.structs.replace(asked, status=TaskStatus.INTERRUPTED, interrupt=Interrupt("i1", acknowledged=True)))
    outbox.fail()
    assert registry.get("t") == asked


def test_a_position_of_thousands_of_digits_is_an_unknown_step(registry: Registry) -> None:
    with pytest.raises(UnknownStep, match="No step"):
        find_step(registry.get("t"), "9" * 5000)
