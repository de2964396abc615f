"""New sessions of coding agents whose tasks are not created yet, for a moment: what they are about is said right behind.

The report that a session has begun is not accepted before its task is, so that nothing is lost when the daemon ends meanwhile.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard of a session.

    Attributes:
        prompt: What a person has said to it, as far as that is taken.
    """

    prompt: str | None


class Openings:
    """The sessions that wait."""

    def __init__(self) -> None:
        self._waiting: dict[str, asyncio.Future[Heard]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    async def wait(self, task_id: str, timeout_s: float) -> Heard | None:
        """What else is heard of a session; None when a time is over.

        Args:
            task_id: The id of the session's task.
            timeout_s: After how long at the latest.
        """
        waiting = self._waiting.setdefault(task_id, asyncio.get_running_loop().create_future())
        await asyncio.wait([waiting], timeout=timeout_s)
        if self._waiting.get(task_id) is waiting:
            del self._waiting[task_id]
        return waiting.result() if waiting.done() else None

    def hear(self, task_id: str, prompt: str | None) -> None:
        """Notes that something was heard of a session.

        Args:
            task_id: The id of the session's task.
            prompt: What a person has said to it.
        """
        waiting = self._waiting.pop(task_id, None)
        if waiting is not None and not waiting.done():
            waiting.set_result(Heard(prompt))
