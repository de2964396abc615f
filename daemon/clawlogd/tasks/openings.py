"""New sessions of coding agents whose tasks are not created yet, for a moment: what they are about is said right behind.

The report that a session has begun is not accepted before its task is, so that nothing is lost when the daemon ends meanwhile.
"""

from __future__ import annotations

import asyncio


class Openings:
    """The sessions that wait."""

    def __init__(self) -> None:
        self._heard: dict[str, asyncio.Event] = {}

    async def wait(self, task_id: str, timeout_s: float) -> None:
        """Returns when something else is heard of a session, or after a time.

        Args:
            task_id: The id of the session's task.
            timeout_s: After how long at the latest.
        """
        heard = self._heard.setdefault(task_id, asyncio.Event())
        try:
            async with asyncio.timeout(timeout_s):
                await heard.wait()
        except TimeoutError:
            return
        finally:
            if self._heard.get(task_id) is heard:
                del self._heard[task_id]

    def hear(self, task_id: str) -> None:
        """Notes that something was heard of a session."""
        if (heard := self._heard.get(task_id)) is not None:
            heard.set()
