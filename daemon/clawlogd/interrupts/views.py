"""What agents in sandboxes read in place of asking: a file for each of their tasks, with what ``interrupt.check`` would answer.

Those are the tasks of which a call came out of a sandbox, and the sessions of coding agents, of which that is not known.

A file's time is when that was known to be so. It is written anew at each change, and given a new time every two seconds as long
as the backend confirms it, which is asked for that: nobody else asks on behalf of an agent that cannot.
"""

from __future__ import annotations

import math
import os
from collections.abc import Awaitable, Callable, Collection, Iterable
from pathlib import Path

import anyio
import msgspec

from clawlogd.clock import Clock
from clawlogd.instance import private_folder
from clawlogd.interrupts.state import Interrupts
from clawlogd.logs import Log
from clawlogd.model import Task, TaskStatus
from clawlogd.tasks.registry import ObserverOrder, Registry

_RENEW_S = 2.0
_SOON_S = 0.05  # the pause while a new task's backend has not answered for it yet
_YOUNG_S = 5.0
_FRESH_S = 1.0  # what is known for no longer need not be asked anew
_KEPT_ENDED_S = 600.0

Freshen = Callable[[str, list[str]], Awaitable[Collection[str]]]
"""Asks a backend about tasks of it, for a second at most. Returns those of which no more can be known than is."""

_encode = msgspec.json.Encoder().encode


class Views:
    """The files.

    Args:
        registry: The tasks.
        interrupts: What is known of their stops.
        clock: Where the time is read.
        folder: Where the files are.
        freshen: Has the backend asked.
    """

    def __init__(self, *, registry: Registry, interrupts: Interrupts, clock: Clock, folder: Path, freshen: Freshen) -> None:
        self._registry = registry
        self._interrupts = interrupts
        self._clock = clock
        self._folder = folder
        self._freshen = freshen
        self._log = Log("views")
        self._written: dict[str, bytes] = {}  # what each file says
        self._since: dict[str, float] = {}  # when each was begun, monotonic
        self._begun = anyio.Event()
        registry.observe(ObserverOrder.VIEWS, self._task_changed)

    def resume(self) -> None:
        """Goes on with those of an earlier run.

        Raises:
            InstanceError: The folder is none, a link or somebody else's.
        """
        private_folder(self._folder)
        self.add([task.task_id for task in self._registry if _is_of_session(task)])
        for path in self._folder.iterdir():
            task = self._registry.find(path.name)
            if task is not None and not task.status.ended:
                self.add([path.name])
                continue
            try:
                path.unlink()
            except OSError as error:  # a folder, which nobody here has made
                self._log.warning("view_stays", path=str(path), error=str(error))

    def add(self, task_ids: Iterable[str]) -> None:
        """Keeps files of these tasks from now on, so far as there are such tasks."""
        for task_id in task_ids:
            task = self._registry.find(task_id)
            if task is not None and task_id not in self._written:
                self._since[task_id] = self._clock.monotonic()
                self._write(task)
                self._begun.set()

    async def run(self) -> None:
        """Keeps them fresh until cancelled."""
        while True:
            with anyio.move_on_after(self._pause_s()):
                await self._begun.wait()
            self._begun = anyio.Event()
            await self.renew()

    async def renew(self) -> None:
        """Has the backends asked, and gives each file the time of what it says."""
        due: dict[str, list[str]] = {}
        for task in self._tasks():
            age_s = self._interrupts.status(task).age_s
            if not task.status.ended and task.status is not TaskStatus.WAITING and (age_s is None or age_s > _FRESH_S):
                due.setdefault(task.base_url, []).append(task.task_id)
        final: set[str] = set()

        async def ask(base_url: str, task_ids: list[str]) -> None:
            final.update(await self._freshen(base_url, task_ids))

        async with anyio.create_task_group() as group:
            for base_url, task_ids in due.items():
                group.start_soon(ask, base_url, task_ids)
        for task in self._tasks():
            if task.status.ended and self._ended_for_s(task) > _KEPT_ENDED_S:
                self._remove(task.task_id)
            else:
                self._write(task, is_final=task.status.ended or task.task_id in final)

    def _tasks(self) -> list[Task]:
        return [task for task_id in list(self._written) if (task := self._registry.find(task_id)) is not None]

    def _pause_s(self) -> float:
        now = self._clock.monotonic()
        awaited = any(
            now - since < _YOUNG_S and b'"state":"unknown"' in self._written.get(task_id, b"")
            for task_id, since in self._since.items()
        )
        return _SOON_S if awaited else _RENEW_S

    def _ended_for_s(self, task: Task) -> float:
        return (self._clock.wall_ms() - (task.ended_ms or 0)) / 1000

    def _write(self, task: Task, *, is_final: bool = False) -> None:
        """Writes a task's file where what it says has changed, and gives it its time."""
        status = self._interrupts.status(task, math.inf)
        age_s = 0.0 if is_final else status.age_s or 0.0
        content = _encode(msgspec.structs.replace(status, age_s=None))
        path, draft = self._folder / task.task_id, self._folder / f".{task.task_id}.draft"
        at_ns = (self._clock.wall_ms() - int(age_s * 1000)) * 1_000_000
        try:
            if self._written.get(task.task_id) == content:
                os.utime(path, ns=(at_ns, at_ns))
                return
            draft.unlink(missing_ok=True)
            with draft.open("xb") as file:
                file.write(content + b"\n")
            os.utime(draft, ns=(at_ns, at_ns))
            draft.replace(path)
            self._written[task.task_id] = content
        except OSError as error:
            self._written[task.task_id] = b""  # to be written anew
            self._log.warning_seldom("view_not_written", task_id=task.task_id, error=str(error))

    def _remove(self, task_id: str) -> None:
        self._written.pop(task_id, None)
        self._since.pop(task_id, None)
        try:
            (self._folder / task_id).unlink(missing_ok=True)
        except OSError as error:
            self._log.warning_seldom("view_stays", task_id=task_id, error=str(error))

    def _task_changed(self, before: Task | None, after: Task | None) -> None:
        task = after or before
        if after is not None and _is_of_session(after):
            self.add([after.task_id])
        if task is None or task.task_id not in self._written:
            return
        if after is None:
            self._remove(task.task_id)
            return
        self._write(after, is_final=after.status.ended)
        if before is not None and before.status is TaskStatus.WAITING and after.status is not TaskStatus.WAITING:
            self._since[task.task_id] = self._clock.monotonic()
            self._begun.set()


def _is_of_session(task: Task) -> bool:
    return task.session is not None and not task.status.ended
