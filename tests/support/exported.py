"""Tasks that end, and what their export says of itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from support.running_backend import Api, RunningBackend, event

SETTLED_MS = 3_000

Exporting = Callable[..., tuple[RunningBackend, Api]]


def at(second: float) -> str:
    return f"2026-02-28T09:{int(second // 60):02d}:{second % 60:06.3f}Z"


async def ended(api: Api, task_id: str, *, parent: str | None = None, status: str = "done", **more: object) -> None:
    """A task that has ended."""
    given = {"parent_task_id": parent} if parent else {}
    await api.events(
        event("task_created", f"{task_id}-c", task_id, at(0), title=task_id.upper(), **given, **more),
        event("task_status", f"{task_id}-r", task_id, at(1), status="running"),
        event("task_status", f"{task_id}-e", task_id, at(9), status=status),
    )


async def waiting(api: Api) -> dict[str, float]:
    """The metrics of the export."""
    _, text = await api("GET", "/metrics")
    lines = [line.rpartition(" ") for line in text.decode().splitlines() if line.startswith("clawlog_backend_trace")]
    return {name.removeprefix("clawlog_backend_"): float(value) for name, _, value in lines}


async def reach(api: Api, **wanted: float) -> dict[str, float]:
    """Wait until metrics have these values."""
    async with asyncio.timeout(15):
        while True:
            found = await waiting(api)
            if all(found[name] == value for name, value in wanted.items()):
                return found
            await asyncio.sleep(0.02)
