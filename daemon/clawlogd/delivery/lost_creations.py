"""Creations whose answer was lost, at servers that do not know a repeated one: looked for there, else repeated."""

from __future__ import annotations

import anyio

from clawlogd.logs import Log
from clawlogd.model import Event
from clawlogd.tasks.registry import Registry
from clawlogd.upstream.answers import Answer, Outcome
from clawlogd.upstream.client import Upstream
from clawlogd.upstream.remote_ids import RemoteIds

_NOT_NOW = frozenset({None, 429, 503})


class LostCreations:
    """Sends creations, and takes the task that a lost one made for its answer.

    A daemon that ends between the loss and the next attempt forgets the loss.

    Args:
        upstream: The backend.
        registry: Knows which of the backend's tasks are which of ours.
    """

    def __init__(self, *, upstream: Upstream, registry: Registry) -> None:
        self._upstream = upstream
        self._registry = registry
        self._log = Log("lane", backend=upstream.base_url)
        self._lost: dict[str, str | None] = {}  # the titles of tasks whose creation was not answered, by our ids
        self._given: dict[str, str] = {}  # our tasks by the backend's ids, as long as creations are lost: not recorded maybe
        self._turn = anyio.Lock()

    async def send(self, event: Event, task_id: str) -> Answer:
        """Sends a creation. One whose last answer was lost is looked for first.

        Args:
            event: The creation, as it is to be sent.
            task_id: The task's id here.
        """
        if event.title not in self._lost.values():
            return self._noted(event, task_id, await self._upstream.send_event(event, event.task_id, None))
        async with self._turn:  # tasks of one title cannot be told apart while more than one is on its way
            answer = await self._find(event, task_id) if task_id in self._lost else None
            return self._noted(event, task_id, answer or await self._upstream.send_event(event, event.task_id, None))

    async def _find(self, event: Event, task_id: str) -> Answer | None:
        """The answer in place of the lost one, or one that says to wait; None where the creation is to be repeated."""
        others = (task for task in self._registry if task.task_id != task_id and task.base_url == self._upstream.base_url)
        taken = {task.remote_id or task.task_id for task in others if task.upstream}

        def is_taken(remote_id: str) -> bool:
            return remote_id in taken or self._given.get(remote_id, task_id) != task_id

        answer = await self._upstream.find_created(event, is_taken)
        if isinstance(answer.body, RemoteIds):
            self._log.info("creation_found", task_id=task_id, remote_id=answer.body.task_id or event.task_id)
            return answer
        if answer.outcome is Outcome.TRANSIENT and answer.status in _NOT_NOW:
            return answer
        detail = "no task in the server's list fits" if answer.outcome is Outcome.DELIVERED else answer.detail
        self._log.warning("creation_repeated", task_id=task_id, detail=f"its answer was lost; {detail}")
        return None

    def _noted(self, event: Event, task_id: str, answer: Answer) -> Answer:
        if answer.is_lost:
            if not self._upstream.passes_over_repeats:
                self._lost[task_id] = event.title
        elif self._lost:
            if answer.outcome in {Outcome.DELIVERED, Outcome.REFUSED}:
                self._lost.pop(task_id, None)
            if isinstance(answer.body, RemoteIds):
                self._given[answer.body.task_id or event.task_id] = task_id
            if not self._lost:
                self._given.clear()
        return answer
