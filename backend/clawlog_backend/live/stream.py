"""One event stream: the messages of a reader of the change feed, from its greeting to its end. Knows nothing of HTTP."""

from __future__ import annotations

import asyncio
import json

from clawlog_backend import __version__
from clawlog_backend.domain.times import Clock
from clawlog_backend.live.changes import ChangeFeed, encode_message

_KEEP_ALIVE_S = 15.0


class EventStream:
    """Reads a subscription's messages until its reader leaves or the feed closes. To be closed after use.

    Args:
        feed: Where changes come from.
        clock: What time it is.
        task_n: The number of the one task to read, with its events; ``None`` for all tasks.
        watched: Of a reader of all tasks: the numbers of those whose signs of life it reads, too.
        since: The number of the last event that the reader knows, if it resumes.

    Raises:
        Busy: Too many streams are open already.
    """

    def __init__(
        self, feed: ChangeFeed, *, clock: Clock, task_n: int | None, watched: frozenset[int], since: int | None
    ) -> None:
        self._feed = feed
        self._clock = clock
        self._since = since
        self._subscription = feed.subscribe(task_n, watched)
        self._left = False

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to send."""
        return self._left or self._feed.closing

    async def first(self) -> bytes:
        """The greeting, and what a reader that resumes has missed."""
        hello = {"version": __version__, "server_time": self._clock().rfc3339()}
        data = json.dumps(hello).encode()
        if self._since is None:
            return encode_message("hello", data, self._subscription.upto) + await self._present()
        missed = await self._feed.catch_up(self._subscription, self._since)
        return encode_message("hello", data, self._since) + missed + await self._present()

    async def _present(self) -> bytes:
        return await self._feed.counts(self._subscription) + await self._feed.signs(self._subscription)

    async def next(self) -> bytes:
        """The next messages; a comment where there are none for a while, nothing where the stream may have ended."""
        try:
            async with asyncio.timeout(_KEEP_ALIVE_S):
                await self._subscription.woken.wait()
        except TimeoutError:
            return b": still here\n\n"
        return self._feed.read_unread(self._subscription)

    def leave(self) -> None:
        """Note that the reader has left, which ends a wait in :meth:`next`."""
        self._left = True
        self._subscription.woken.set()

    def close(self) -> None:
        """End the subscription."""
        self._feed.unsubscribe(self._subscription)
