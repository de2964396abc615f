"""The person: watches the backend while the agent works, and presses Stop during the long step.

Everything goes through the backend's HTTP API, as with the dashboard.
"""

from __future__ import annotations

import asyncio

from clawlog.cli.commands.demo.agent import LONG_STEP
from clawlog.cli.commands.demo.timeline import Actor, Timeline
from clawlog.cli.render import times
from clawlog.cli.render.backend_views import BackendEvent, BackendTask, Receipts
from clawlog.cli.sources.backend import Backend

POLL_S = 0.1
STOP_AFTER_S = 2.5
"""How long the long step runs before the stop is requested."""

REASON = "that is enough to see it work"
REQUESTED_BY = "clawlog demo"

_OF_THE_DAEMON = {"heartbeat", "interrupt_seen", "interrupt_delivered"}


class Person:
    """The person.

    Args:
        backend: The backend.
        timeline: Prints what they see and do.
    """

    def __init__(self, backend: Backend, timeline: Timeline) -> None:
        self._backend = backend
        self._timeline = timeline
        self._last_seq = 0
        self._liveness: str | None = None
        self._request: Receipts | None = None

    async def run(self) -> Receipts:
        """Watches until the stop is acknowledged.

        Returns:
            The backend's answer to the request.

        Raises:
            BackendUnreachable: The backend does not answer.
            BackendRefused: It declines.
        """
        running_since: float | None = None
        while True:
            task = await self._fetch()
            now = asyncio.get_running_loop().time()
            if task is not None:
                self._show_news(task)
                if self._request is not None and task.stop is not None and task.stop.acknowledged_at is not None:
                    return self._request
                if running_since is None and task.steps[LONG_STEP - 1].status == "running":
                    running_since = now
                if self._request is None and running_since is not None and now > running_since + STOP_AFTER_S:
                    self._request = await self._press_stop(task)
            await asyncio.sleep(POLL_S)

    async def _fetch(self) -> BackendTask | None:
        newest = await asyncio.to_thread(self._backend.tasks, limit=1)
        return await asyncio.to_thread(self._backend.task, newest[0].task_id) if newest else None

    async def _press_stop(self, task: BackendTask) -> Receipts:
        self._timeline.show(Actor.PERSON, f'presses Stop: "{REASON}" (POST /api/tasks/{task.task_id}/interrupt)')
        return await asyncio.to_thread(self._backend.request_stop, task.task_id, reason=REASON, requested_by=REQUESTED_BY)

    def _show_news(self, task: BackendTask) -> None:
        for event in task.events:
            if event.seq > self._last_seq:
                self._last_seq = event.seq
                actor = Actor.DAEMON if event.kind in _OF_THE_DAEMON else Actor.BACKEND
                self._timeline.show(actor, _described(event, task))
        if task.liveness != self._liveness:
            self._liveness = task.liveness
            evidence = f" (evidence: {task.evidence})" if task.evidence and task.liveness == "alive" else ""
            self._timeline.show(Actor.BACKEND, f"shows the agent as {task.liveness}{evidence}")


def _described(event: BackendEvent, task: BackendTask) -> str:
    lag_ms = times.between(event.at, event.received_at) * 1000
    match event.kind:
        case "task_created":
            what = f'has the task "{task.title}" with {len(task.steps)} steps'
        case "step_status":
            what = f"has step {_position(event, task)} {event.status}" + (f': "{event.summary}"' if event.summary else "")
        case "heartbeat":
            what = "reports the agent alive" + (f': "{event.summary}"' if event.summary else "")
        case "interrupt_requested":
            return "has the stop request"
        case "interrupt_seen":
            what = "has seen the request"
        case "interrupt_delivered":
            what = "has passed it on to the agent"
        case "interrupt_ack":
            what = f'has the acknowledgement: "{event.summary}"'
        case _:
            what = f"has {event.kind} {event.status or ''}".rstrip()
    return f"{what} ({lag_ms:.0f} ms later)" if lag_ms >= 1 else what


def _position(event: BackendEvent, task: BackendTask) -> str:
    return next((str(step.position) for step in task.steps if step.step_id == event.step_id), "?")
