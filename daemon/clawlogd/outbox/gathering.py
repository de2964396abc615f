"""How a group of commands grows before it is committed: by those who were just answered, and by nobody else.

What a commit costs whatever is in it is many times what an event in it does. So callers who each send one command after
another share one commit, and not two in turn. Nobody waits for a time: where nothing waits to be committed nothing is held up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from clawlogd.outbox.records import CommitGroup

_LARGE_GROUP = 64  # events, among which what a commit costs by itself is lost
_TURNS = 4  # of the event loop: replies leave, what comes behind them is seen, it is read; then once more


async def gather_more(waiting: Callable[[], CommitGroup | None]) -> None:
    """Gives those who were just answered a few turns to read that and to send again, while a group waits that is not large.

    Args:
        waiting: The group that is to be committed next; None while there is none.
    """
    for _ in range(_TURNS):
        group = waiting()
        if group is None or len(group.events) >= _LARGE_GROUP:
            return
        await asyncio.sleep(0)
