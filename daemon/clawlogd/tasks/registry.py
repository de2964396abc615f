"""Every task that the daemon knows, in memory; the outbox keeps the same on disk.

Values are replaced whole. A change shows here at once, so that the next command builds on it, and is undone when its commit
fails. Observers are called at each change, in the order of ``ObserverOrder``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from enum import IntEnum
from functools import partial
from sys import intern

import msgspec

from clawlog.protocol import vocabulary
from clawlog.protocol.summary import one_line
from clawlogd.errors import InvalidValue, UnknownTask
from clawlogd.logs import Log
from clawlogd.model import Step, Task, TaskStatus
from clawlogd.outbox.queue import Outbox
from clawlogd.outbox.store import Store
from clawlogd.tasks.census import Census, Place

_log = Log("registry")
ID = re.compile(vocabulary.ID_PATTERN)

Observer = Callable[[Task | None, Task | None], None]
"""Called with a task before and after a change; None where there is none."""


class ObserverOrder(IntEnum):
    """In which order the observers of a change are called: each may rely on those before it having seen the change."""

    LIVENESS = 1
    """Keeps the agent's last sign of life, and watches its process."""
    INTERRUPTS = 2
    """Write the stop's file, and notify the callers that wait."""
    HEARTBEATS = 3
    """Schedule by what liveness knows."""
    SESSIONS = 4
    """Write the files by which hooks of coding agents and the daemon meet; called for the tasks of sessions alone."""
    WATCHERS = 5
    """Poll each backend for the tasks that it has; there is one for each backend."""
    VIEWS = 5
    """Write what an agent in a sandbox reads."""


class Registry:
    """The tasks.

    Args:
        outbox: Where changes become durable.

    Attributes:
        census: How many are in which state, and their order by age.
    """

    def __init__(self, *, outbox: Outbox) -> None:
        self._outbox = outbox
        self._tasks: dict[str, Task] = {}
        self.census = Census()
        self._all_observers: list[tuple[ObserverOrder, Observer]] = []
        self._observers: list[tuple[ObserverOrder, Observer]] = []  # those that all tasks concern

    def load(self, store: Store) -> None:
        """Reads the tasks that the file holds, but for those of which a row is damaged."""
        decode_step, decode_task = msgspec.json.Decoder(Step).decode, msgspec.json.Decoder(Task).decode
        for task_id, body, rows in store.tasks():
            task, steps = decode_task(body), sorted(map(decode_step, rows), key=lambda each: each.position)
            # Of an address there is one copy for all its tasks.
            self._tasks[task_id] = _cleaned(msgspec.structs.replace(task, steps=tuple(steps), base_url=intern(task.base_url)))
        self.census.load(self._tasks.values())

    def observe(self, order: ObserverOrder, observer: Observer) -> None:
        """Calls ``observer`` at every change but those of steps alone, from now on, also at one that is undone.

        Args:
            order: Its place among the others, whichever registered first.
            observer: Is called. What it raises is logged, and keeps it from nothing that others do.
        """
        self._all_observers.append((order, observer))
        self._sort_observers()

    def unobserve(self, observer: Observer) -> None:
        """Calls ``observer`` no more."""
        self._all_observers = [each for each in self._all_observers if each[1] != observer]
        self._sort_observers()

    def _sort_observers(self) -> None:
        self._all_observers.sort(key=lambda each: each[0])  # stable: those of one place stay in the order of registration
        self._observers = [each for each in self._all_observers if each[0] is not ObserverOrder.SESSIONS]

    def __len__(self) -> int:
        return len(self._tasks)

    def __iter__(self) -> Iterator[Task]:
        return iter(self._tasks.values())

    def newest_first(self, after: Place | None = None, *, active: bool | None = None) -> Iterator[Task]:
        """The tasks by age, the newest first. Others may come and go between two.

        Args:
            after: Begins with the next older one than this place.
            active: Only those that have not ended, or only those that have.
        """
        for task_id in self.census.newest_first(after, active=active):
            yield self._tasks[task_id]

    def find(self, task_id: str) -> Task | None:
        """The task with this id, or None."""
        return self._tasks.get(task_id)

    def may_beat(self, task_id: str) -> bool:
        """Whether a heartbeat of a task may be sent: one that was taken before it ended, was lost or began to wait may not."""
        task = self._tasks.get(task_id)
        return task is not None and task.live and (task.status is not TaskStatus.WAITING or task.watched is not None)

    def get(self, task_id: str) -> Task:
        """The task with this id.

        Raises:
            UnknownTask: There is none.
            InvalidValue: No task could have that id.
        """
        task = self._tasks.get(task_id)
        if task is None:
            if not ID.match(task_id):
                raise InvalidValue("task_id", "does not fit", vocabulary.ID_HINT)
            raise UnknownTask(task_id)
        return task

    def put(self, task: Task, *, head: bool = True, steps: tuple[Step, ...] = (), gone: tuple[Step, ...] = ()) -> None:
        """Replaces or adds a task, now in memory and with the open group on disk.

        Args:
            task: The new value.
            head: Whether anything but steps changed.
            steps: The steps that changed.
            gone: The steps that it has no more.
        """
        task_id = task.task_id
        before = self._tasks.get(task_id)
        self._outbox.save(task, head=head, steps=steps, gone=gone)
        self._outbox.on_failure(partial(self._undo, task_id, before, head))
        self._tasks[task_id] = task
        if head:
            self.census.change(before, task)
            self._notify(before, task)

    def replace_in_memory(self, task: Task) -> None:
        """Replaces a task that is known, in memory alone: for what does no harm when it is lost. The next change writes it.

        Args:
            task: The new value; no observer is told of it.
        """
        self._tasks[task.task_id] = task

    def forget(self, task_id: str) -> None:
        """Removes a task, now from memory and with the open group from disk."""
        before = self._tasks.get(task_id)
        self._outbox.forget(task_id)
        self._outbox.on_failure(partial(self._undo, task_id, before))
        self._tasks.pop(task_id, None)
        self.census.change(before, None)
        self._notify(before, None)

    def _undo(self, task_id: str, before: Task | None, head: bool = True) -> None:  # noqa: FBT001, FBT002 - bound, not called
        now = self._tasks.get(task_id)
        kept = now.interrupt if now is not None and now.interrupt_pending else None
        if before is not None and kept is not None and before.interrupt != kept:
            # A person's request to stop is a fact, whether or not the disk could take it. That it was delivered to the agent is
            # one, too, but the receipt of that is gone: it is delivered again.
            before = msgspec.structs.replace(before, interrupt=msgspec.structs.replace(kept, delivered=False))
            if before.session is not None and now is not None and now.session is not None and now.session.held:
                held = {"held": now.session.held, "held_ms": now.session.held_ms}  # and so is that its session is held
                before = msgspec.structs.replace(before, session=msgspec.structs.replace(before.session, **held))
        if before is None:
            self._tasks.pop(task_id, None)
        else:
            self._tasks[task_id] = before
        self.census.change(now, before)
        if head:
            self._notify(now, before)

    def _notify(self, before: Task | None, after: Task | None) -> None:
        usual = (after is None or after.session is None) and (before is None or before.session is None)
        for order, observer in self._observers if usual else self._all_observers:
            try:
                observer(before, after)
            except Exception as error:  # noqa: BLE001 - the change stands, whatever one of those who follow it makes of it
                task = after or before
                _log.error(
                    "observer_failed",
                    observer=order.name.lower(),
                    task_id=task.task_id if task else None,
                    error=repr(error),
                )


def _cleaned(task: Task) -> Task:
    """A task as it is kept since there is a door: a record of an earlier version may hold what a backend sent as it came."""
    interrupt = task.interrupt
    if interrupt is None:
        return task
    clean = msgspec.structs.replace(
        interrupt,
        interrupt_id=one_line(interrupt.interrupt_id),
        mode=one_line(interrupt.mode),
        reason=None if interrupt.reason is None else one_line(interrupt.reason),
        requested_at=None if interrupt.requested_at is None else one_line(interrupt.requested_at),
    )
    return task if clean == interrupt else msgspec.structs.replace(task, interrupt=clean)
