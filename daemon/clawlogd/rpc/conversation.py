"""One caller's stream of requests and replies, whatever carries it.

Requests begin in order; replies leave in order. A caller has its turn for some milliseconds, then the others have theirs. One
that does not read its replies has no more requests carried out, and what it may have in hand is bounded in bytes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from time import perf_counter
from typing import Protocol

from clawlogd.context import Peer
from clawlogd.rpc.dispatcher import Dispatcher
from clawlogd.rpc.inbox import TOO_LARGE, HeldBytes, Inbox
from clawlogd.rpc.replies import Parts, Pending, Reply
from clawlogd.rpc.session import ConnectionSession

_MAX_UNANSWERED = 1024  # requests that have begun and are not yet answered
_TURN_S = 0.005
_TURN_BYTES = 32 * 1024  # of replies
_TIME_CHECKED_EVERY = 8  # requests
_COUNTED_FROM_BYTES = 4096  # what is held counts from here on, so that a usual request is not counted at all
_LARGE_BYTES = 64 * 1024  # a reply over it is refused while too much waits to be read


class Outlet(Protocol):
    """Where replies go."""

    @property
    def open(self) -> bool:
        """Whether more may be sent now; when it may again, the conversation is resumed."""
        ...

    @property
    def unsent_bytes(self) -> int:
        """How much of what was sent has not left yet."""
        ...

    def send(self, messages: list[bytes], /) -> None:
        """Sends messages, each whole."""
        ...

    def send_part(self, part: bytes, /, *, last: bool) -> None:
        """Sends the next part of one message."""
        ...

    def progressed(self) -> None:
        """Called after each turn: something was answered, or what is in hand has changed."""
        ...


class Conversation:
    """Orders one caller's requests and replies.

    Args:
        dispatcher: Runs the verbs.
        inbox: The caller's messages.
        outlet: Where replies go.
        held: How much all callers have in hand.
        peer: Who the caller is.
    """

    def __init__(self, *, dispatcher: Dispatcher, inbox: Inbox, outlet: Outlet, held: HeldBytes, peer: Peer) -> None:
        self._dispatcher = dispatcher
        self._inbox = inbox
        self._outlet = outlet
        self._held = held
        self._counted = 0
        self._replies: deque[Reply] = deque()
        self._parts: Iterator[bytes] | None = None  # of the reply that is being sent
        self._blocked_by: Pending | None = None
        self._awaited: asyncio.Future[object] | None = None
        self._next_turn: asyncio.Handle | None = None
        self._closed = False
        self.session = ConnectionSession(self._push, peer)

    @property
    def idle(self) -> bool:
        """Whether every request has been answered."""
        return not self._inbox.has_more and not self._replies and self._parts is None

    @property
    def takes_more(self) -> bool:
        """Whether more may be read from the caller."""
        return not self._inbox.has_more and self._outlet.open and not (self._counted and self._held.full)

    def close(self) -> None:
        """Ends with the caller. Its requests are still carried out, but for one that only waits; the replies are dropped."""
        self._closed = True
        self._parts = None
        self.session.close()
        if self._blocked_by is not None and self._blocked_by.waits:
            self._blocked_by.done.cancel()
        self._held.forget(self)
        self.go_on()

    def receive_one(self, line: bytes) -> bool:
        """Carries out the one request that has come, where nothing else is in hand: as it mostly is, so it is the shortest way.

        Returns:
            Whether that was so; else nothing was done.
        """
        if self._replies or self._blocked_by is not None or self._parts is not None or self._next_turn is not None:
            return False
        if self._counted or not self._outlet.open:
            return False
        self._dispatcher.begin_turn()
        reply = self._dispatcher.handle(line, self.session)
        if type(reply) is bytes:
            self._outlet.send([reply])
            if self.session.refused:
                self.session.refused.clear()
        elif reply is not None:
            self._enqueue(reply)
            self._flush([], _TURN_BYTES)
            self._end_turn()
        return True

    def go_on(self) -> None:
        """Carries out what has come, and sends what is due, for as long as a turn lasts."""
        if self._next_turn is not None:
            self._next_turn.cancel()
            self._next_turn = None
        ends, left_bytes = perf_counter() + _TURN_S, _TURN_BYTES
        if self._replies or self._parts is not None:
            left_bytes -= self._flush([], left_bytes)
        self._dispatcher.begin_turn()
        out: list[bytes] = []
        count = 0
        while self._blocked_by is None and self._parts is None and self._may_begin():
            if left_bytes <= 0 or (count and not count % _TIME_CHECKED_EVERY and perf_counter() > ends):
                break
            line = self._inbox.take()
            if line is None:
                break
            count += 1
            reply = self._dispatcher.too_large() if line == TOO_LARGE else self._dispatcher.handle(line, self.session)
            if self._replies or isinstance(reply, Pending | Parts):
                self._enqueue(reply)
                if isinstance(reply, Parts):
                    break
            elif reply is not None:
                out.append(reply)  # nothing is ahead of it
                left_bytes -= len(reply)
        self._flush(out, left_bytes)
        self._end_turn()

    def resume(self) -> None:
        """Goes on in a turn of its own."""
        if self._next_turn is None:
            self._next_turn = asyncio.get_running_loop().call_soon(self.go_on)

    def cut_parts(self) -> None:
        """Ends the reply that is being sent in parts where it is."""
        self._parts = None
        self._outlet.send_part(b"", last=True)

    def _enqueue(self, reply: Reply) -> None:
        self._replies.append(reply)
        if isinstance(reply, Pending) and reply.blocks:
            self._blocked_by = reply
            reply.done.add_done_callback(self._unblock)

    def _may_begin(self) -> bool:
        return self._closed or (self._outlet.open and len(self._replies) < _MAX_UNANSWERED)

    def _end_turn(self) -> None:
        if self._can_go_on():
            self.resume()
        if self.session.refused and self.idle:
            self.session.refused.clear()
        self._count()
        if not self._closed:
            self._outlet.progressed()

    def _can_go_on(self) -> bool:
        """Whether it is for this caller's turn alone that nothing more is done."""
        if self._parts is not None:
            return self._outlet.open
        if self._replies and not self._waits_for(self._replies[0]):
            return self._outlet.open or self._closed
        return self._inbox.has_more and self._blocked_by is None and self._may_begin()

    def _waits_for(self, reply: Reply) -> bool:
        """Whether a reply that is not there yet will give this caller its next turn."""
        return isinstance(reply, Pending) and not reply.done.done() and reply.done is self._awaited

    def _count(self) -> None:
        held = self._inbox.held_bytes
        if self._counted or held > _COUNTED_FROM_BYTES or not self._outlet.open:
            held = 0 if self._closed and not self._inbox.has_more else held + self._outlet.unsent_bytes
            if held <= _COUNTED_FROM_BYTES:
                held = 0
            by, self._counted = held - self._counted, held
            if by:
                self._held.change(by)
            if held and self._held.full and not self._closed:
                self._held.when_there_is_room(self, self._outlet.progressed)

    def _unblock(self, _: object) -> None:
        self._blocked_by = None
        self.go_on()

    def _flush(self, out: list[bytes], left_bytes: int) -> int:
        """Sends what is due, in order. Returns how many bytes that were."""
        sent = sum(map(len, out))
        replies = self._replies
        while (replies or self._parts is not None) and sent <= left_bytes and (self._closed or self._outlet.open):
            if self._parts is not None:
                self._send(out)
                out = []
                sent += self._send_part()
                continue
            reply = replies[0]
            if isinstance(reply, Pending):
                if not reply.done.done():
                    if reply.done is not self._awaited:
                        self._awaited = reply.done
                        reply.done.add_done_callback(self._continue)
                    break
                reply = reply.message()
            replies.popleft()
            if isinstance(reply, Parts):
                self._parts = None if self._closed else iter(reply)
            elif reply is not None:
                if len(reply) > _LARGE_BYTES and self._held.full:
                    reply = self._dispatcher.too_much_unread()
                out.append(reply)
                sent += len(reply)
        self._send(out)
        return sent

    def _send(self, messages: list[bytes]) -> None:
        if messages and not self._closed:
            self._outlet.send(messages)

    def _send_part(self) -> int:
        assert self._parts is not None  # noqa: S101 - the caller has looked
        part = next(self._parts, None)
        if part is None:
            self._parts = None
            self._outlet.send_part(b"", last=True)
            return 0
        self._outlet.send_part(part, last=False)
        return len(part)

    def _continue(self, _: object) -> None:
        self._awaited = None
        if self._next_turn is None:
            self._flush([], _TURN_BYTES)
            self._end_turn()

    def _push(self, message: bytes) -> None:
        if not self._closed:
            self._outlet.send([message])
            self._outlet.progressed()
