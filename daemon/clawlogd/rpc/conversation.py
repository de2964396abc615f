"""One caller's stream of requests and replies, whatever carries it.

Requests begin in order; replies leave in order. A caller that sends faster than it reads its replies is held back.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from clawlogd.rpc.dispatcher import Dispatcher
from clawlogd.rpc.replies import Pending, Reply
from clawlogd.rpc.session import ConnectionSession

_MAX_UNANSWERED = 2048  # requests that have begun and are not yet answered, or are read and have not yet begun


class Conversation:
    """Orders one caller's requests and replies.

    Args:
        dispatcher: Runs the verbs.
        send: Sends replies, each one message.
        hold: Called with True when no more should be read from the caller for now, with False when reading may go on.
        answered: Called whenever every request has been answered.
    """

    def __init__(
        self,
        *,
        dispatcher: Dispatcher,
        send: Callable[[list[bytes]], None],
        hold: Callable[[bool], None],
        answered: Callable[[], None],
    ) -> None:
        self._dispatcher = dispatcher
        self._send = send
        self._hold = hold
        self._answered = answered
        self._held = False
        self._waiting: deque[bytes | None] = deque()
        self._replies: deque[Reply] = deque()
        self._blocked = False
        self._awaited: asyncio.Future[object] | None = None
        self._closed = False
        self.session = ConnectionSession(self._push)

    def receive(self, lines: Sequence[bytes | None]) -> None:
        """Processes the caller's next messages; None stands for one over the bound."""
        self._waiting.extend(lines)
        self._go_on()

    @property
    def idle(self) -> bool:
        """Whether every request has been answered."""
        return not self._waiting and not self._replies

    def close(self) -> None:
        """Ends with the caller. Its requests are still carried out; the replies are dropped."""
        self._closed = True
        self.session.close()

    def _go_on(self) -> None:
        context = self._dispatcher.context(self.session)
        out: list[bytes] = []
        while self._waiting and not self._blocked:
            line = self._waiting.popleft()
            reply = self._dispatcher.too_large() if line is None else self._dispatcher.handle(line, context)
            if isinstance(reply, Pending):
                self._replies.append(reply)
                if reply.blocks:
                    self._blocked = True
                    reply.done.add_done_callback(self._unblock)
            elif self._replies:
                self._replies.append(reply)
            elif reply is not None:
                out.append(reply)  # nothing is ahead of it
        self._flush(out)

    def _unblock(self, _: object) -> None:
        self._blocked = False
        self._go_on()

    def _flush(self, out: list[bytes]) -> None:
        replies = self._replies
        while replies:
            reply = replies[0]
            if isinstance(reply, Pending):
                if not reply.done.done():
                    if reply.done is not self._awaited:
                        self._awaited = reply.done
                        reply.done.add_done_callback(self._continue)
                    break
                reply = reply.message()
            replies.popleft()
            if reply is not None:
                out.append(reply)
        if out and not self._closed:
            self._send(out)
        if self._held is not (len(replies) + len(self._waiting) > _MAX_UNANSWERED):
            self._held = not self._held
            self._hold(self._held)
        if not replies and not self._waiting:
            self._answered()

    def _continue(self, _: object) -> None:
        self._awaited = None
        self._flush([])

    def _push(self, message: bytes) -> None:
        if not self._closed:
            self._send([message])
