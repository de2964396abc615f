"""A backend that notifies, its clock, and what agents and people do there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from clawlog_backend.backend import Backend
from clawlog_backend.domain.events import InterruptRequested, batch_event
from clawlog_backend.domain.times import UtcMs
from clawlog_backend.notify.rules import NotifiedEvent, Rule, Rules, Service, Target
from clawlog_backend.settings import Settings
from support.receivers import KEY, WebhookReceiver

EVERYTHING = frozenset(NotifiedEvent)
GATHER_MS = 5_000
MINUTE_MS = 60_000


class Clock:
    """Stands still until a test puts it forward."""

    def __init__(self) -> None:
        self.now = UtcMs.now()

    def __call__(self) -> UtcMs:
        return self.now

    def forward(self, ms: int) -> None:
        self.now = self.now.plus(ms=ms)


class Place:
    """A backend and what agents and people do there."""

    def __init__(self, backend: Backend, clock: Clock) -> None:
        self.backend = backend
        self.clock = clock

    async def send(self, *events: dict[str, Any]) -> None:
        outcomes = await self.backend.writer.submit([self._event(**event) for event in events])
        assert [outcome.error for outcome in outcomes] == [None] * len(events)

    def _event(self, **fields: Any) -> Any:
        return batch_event.validate_python({"event_id": str(uuid4()), "at": self.clock.now.rfc3339(), **fields})

    async def task(self, task_id: str, status: str | None = None, summary: str | None = None, **metadata: str) -> None:
        created = {"kind": "task_created", "task_id": task_id, "title": f"Task {task_id}", "metadata": metadata}
        await self.send(created)
        if status is not None:
            await self.status(task_id, status, summary)

    async def status(self, task_id: str, status: str, summary: str | None = None) -> None:
        await self.send({"kind": "task_status", "task_id": task_id, "status": status, "summary": summary})

    async def stop(self, task_id: str, reason: str = "wrong host") -> None:
        event = InterruptRequested(event_id=f"stop-{task_id}", task_id=task_id, at=self.clock.now, reason=reason)
        await self.backend.writer.submit([event])

    async def look(self) -> None:
        """Have it look at what happened, and wait until what it began to deliver is delivered or has failed."""
        await self.backend.notifier.look()
        await self.backend.notifier.delivered()

    async def told(self) -> None:
        """Have it tell what happened until now, once it was gathered."""
        await self.backend.notifier.look()
        self.clock.forward(GATHER_MS)
        await self.look()


@asynccontextmanager
async def running(database: str, rules: Rules, clock: Clock) -> AsyncIterator[Place]:
    backend = Backend(Settings(database=database, port=0), rules=rules, clock=clock)
    for part in (backend.notifier, backend.maintenance, backend.search):  # they look when the test has them do so
        part.run = _at_rest  # type: ignore[method-assign]
    async with backend:
        yield Place(backend, clock)


async def _at_rest() -> None:
    pass


def rules_to(receiver: WebhookReceiver, **changes: Any) -> Rules:
    ops = Target("ops", Service.WEBHOOK, receiver.url, (KEY,))
    rule = Rule(**({"name": "all", "events": EVERYTHING, "targets": ("ops",)} | changes))
    return Rules("https://clawlog.example.com", {"ops": ops}, {rule.name: rule})
