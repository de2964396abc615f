"""One caller's connection to the Unix socket: bytes in, lines to the conversation, replies out."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Protocol, cast

from clawlog.protocol.vocabulary import MAX_LINE_BYTES
from clawlogd.context import Origin, Peer
from clawlogd.rpc.conversation import Conversation
from clawlogd.rpc.dispatcher import Dispatcher
from clawlogd.rpc.inbox import HeldBytes, LineInbox

_UCRED = struct.Struct("3i")  # pid, uid, gid: see unix(7), SO_PEERCRED
_MAX_UNSENT_BYTES = 32 * 1024
_BRACE = ord("{")


class Listener(Protocol):
    """Who accepted a connection."""

    @property
    def dispatcher(self) -> Dispatcher:
        """Runs the verbs."""
        ...

    @property
    def held(self) -> HeldBytes:
        """How much all callers have in hand."""
        ...

    def admit(self, connection: Connection, uid: int, /) -> bool:
        """Accepts a new connection of a user, or says that it is not let in."""
        ...

    def discard(self, connection: Connection, /) -> None:
        """Forgets a connection that has closed."""
        ...


class Connection(asyncio.Protocol):
    """A connection; an ``Outlet``.

    Args:
        listener: Who accepted it.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._inbox = LineInbox()
        self._transport: asyncio.Transport | None = None
        self._conversation: Conversation | None = None
        self._ending = False
        self._reading = True
        self._write_paused = False  # the caller does not read its replies
        self._answered: asyncio.Future[None] | None = None  # made when somebody waits for it

    # ── As a protocol ──────────────────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Lets the caller in, or not."""
        # What a stream server makes; uvloop's is no subclass.
        self._transport = transport = cast("asyncio.Transport", transport)
        transport.set_write_buffer_limits(high=_MAX_UNSENT_BYTES)
        raw = transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        pid, uid, _ = _UCRED.unpack(raw)
        if not self._listener.admit(self, uid):
            transport.abort()
            return
        self._conversation = Conversation(
            dispatcher=self._listener.dispatcher,
            inbox=self._inbox,
            outlet=self,
            held=self._listener.held,
            peer=Peer(Origin.THIS_KERNEL, pid, uid=uid),
        )

    def data_received(self, data: bytes) -> None:
        """Takes what came."""
        if (
            data[0] == _BRACE
            and len(data) <= MAX_LINE_BYTES  # a longer one, which may come at once too, is the inbox's to refuse
            and data.find(b"\n") == len(data) - 1
            and self._conversation is not None
            and self._inbox.empty
            and self._conversation.receive_one(data)  # with its line end, which is white space in JSON
        ):
            return
        self._take(data)

    def eof_received(self) -> bool:
        """Answers what is due, and ends."""
        # A caller that has shut its sending side (as nc -N does) still gets the replies that are due. Its last line may lack
        # a line end.
        self._ending = True
        self._take(b"\n")
        return self._conversation is not None and not self._conversation.idle

    def pause_writing(self) -> None:
        """Notes that the caller does not read."""
        self._write_paused = True

    def resume_writing(self) -> None:
        """Goes on once it reads."""
        self._write_paused = False
        if self._conversation is not None:
            self._conversation.go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends with the caller."""
        del exc
        self._release_waiter()
        self._listener.discard(self)
        if self._conversation is not None:
            self._conversation.close()

    def _take(self, data: bytes) -> None:
        self._inbox.feed(data)
        if self._conversation is not None:
            self._conversation.go_on()

    # ── As an outlet ───────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def open(self) -> bool:
        """Whether the caller reads what it is sent."""
        return not self._write_paused

    @property
    def unsent_bytes(self) -> int:
        """How much the caller has not read."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def send(self, messages: list[bytes], /) -> None:
        """Sends messages, each as a line."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write((b"\n".join(messages) if len(messages) > 1 else messages[0]) + b"\n")

    def send_part(self, part: bytes, /, *, last: bool) -> None:
        """Sends a part of a line."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(part + b"\n" if last else part)

    def progressed(self) -> None:
        """Reads on, or waits; closes when all is answered and nothing more comes."""
        assert self._conversation is not None  # noqa: S101 - it is who calls
        if self._transport is None or self._transport.is_closing():
            return
        self._ending = self._ending or self._inbox.overflowed
        if self._conversation.idle:
            self._release_waiter()
            if self._ending:
                self.close()
                return
        reading = not self._ending and self._conversation.takes_more
        if reading is not self._reading:
            self._reading = reading
            (self._transport.resume_reading if reading else self._transport.pause_reading)()

    # ── For the listener ───────────────────────────────────────────────────────────────────────────────────────────

    def close(self) -> None:
        """Closes it, once what was sent has left."""
        if self._transport is not None:
            self._transport.close()

    async def until_answered(self) -> None:
        """Returns when no reply is due any more."""
        if self._conversation is not None and not self._conversation.idle:
            self._answered = asyncio.get_running_loop().create_future()
            await self._answered

    def _release_waiter(self) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(None)
