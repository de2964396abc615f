"""The callers of a ZeroMQ endpoint: what each has in hand, and what waits to be sent to it.

libzmq holds messages for each caller without telling how much that is. So a large one is handed to it without a copy, and is
known to have left when libzmq lets go of its memory; until then that caller gets no other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import lru_cache

import zmq

from clawlogd.context import Origin, Peer
from clawlogd.logs import Log
from clawlogd.rpc.conversation import Conversation
from clawlogd.rpc.dispatcher import Dispatcher
from clawlogd.rpc.inbox import HeldBytes, MessageInbox

_LARGE_BYTES = 4096
_MAX_INBOX_BYTES = 1024 * 1024
_MAX_JOINED_BYTES = 1024 * 1024  # of a reply in parts, while too much waits to be read

_MAX_QUEUED = 1024  # messages for a caller, beyond those that libzmq keeps for it; then it is left

Address = tuple[bytes, ...]

_CREDENTIALS = 3  # user, group and process
_UNKNOWN = Peer(Origin.UNKNOWN)

_log = Log("zeromq")


def peer_of(frame: zmq.Frame) -> Peer:
    """Who sent a frame over a Unix socket: libzmq asks the kernel when a caller connects, as the Unix listener does."""
    try:
        return _peer_at(str(frame.get("Peer-Address")))
    except zmq.ZMQError:
        return _UNKNOWN


@lru_cache(maxsize=512)
def _peer_at(address: str) -> Peer:
    """Reads what libzmq says, such as ``localhost:1000:1000:4242``: user, group, process."""
    *_, pid = address.split(":") if address.count(":") >= _CREDENTIALS else ("",)
    return Peer(Origin.THIS_KERNEL, int(pid)) if pid.isascii() and pid.isdigit() else _UNKNOWN


class ZeromqCaller:
    """One caller; an ``Outlet``.

    Args:
        socket: The ROUTER.
        address: The frames before a message to it.
        dispatcher: Runs the verbs.
        held: How much all callers have in hand.
        peer: What is known of it.
        changed: Called after each turn.
    """

    def __init__(
        self,
        *,
        socket: zmq.Socket[bytes],
        address: Address,
        dispatcher: Dispatcher,
        held: HeldBytes,
        peer: Peer,
        changed: Callable[[ZeromqCaller], None],
    ) -> None:
        self.address = address
        self._socket = socket
        self._dispatcher = dispatcher
        self._held = held
        self._changed = changed
        self._inbox = MessageInbox()
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._leaving: tuple[zmq.MessageTracker, int] | None = None
        self._parts: list[bytes] | None = None
        self._parts_bytes = 0
        self.gone = False
        self.conversation = Conversation(dispatcher=dispatcher, inbox=self._inbox, outlet=self, held=held, peer=peer)

    def receive(self, messages: list[bytes]) -> None:
        """Takes messages; those beyond what a caller may have in hand are refused at once."""
        for message in messages:
            if self._inbox.held_bytes > _MAX_INBOX_BYTES or (self._inbox.held_bytes and self._held.full):
                if not self.try_to_send(self._dispatcher.too_much_waiting()):
                    self._leave()
                    break
            else:
                self._inbox.feed(message)
        self.conversation.go_on()

    @property
    def idle(self) -> bool:
        """Whether it can be forgotten: nothing is in hand, and it is notified of nothing."""
        return self.conversation.idle and not self._queue and self._leaving is None and not self.conversation.session.subscribed

    @property
    def only_notified(self) -> bool:
        """Whether nothing is in hand, and it is notified of something."""
        return self.conversation.idle and self.open and self.conversation.session.subscribed

    @property
    def waits(self) -> bool:
        """Whether something waits to leave."""
        return bool(self._queue) or self._leaving is not None

    def try_to_send(self, message: bytes) -> bool:
        """Sends a message if it can be sent now; finds out whether the caller is gone. Returns whether it was sent."""
        try:
            self._socket.send_multipart([*self.address, message], zmq.NOBLOCK)
        except zmq.Again:
            return False
        except zmq.ZMQError:
            self.gone = True  # a ROUTER finds out only by sending
        return not self.gone

    def send_waiting(self) -> None:
        """Sends what waits, as much as goes."""
        was_open = self.open
        if self._leaving is not None and self._leaving[0].done:
            self._leaving = None
        self._hand_on()
        if self.open and not was_open:
            self.conversation.resume()

    def _hand_on(self) -> None:
        while self._queue and self._leaving is None and not self.gone:
            message = self._queue[0]
            large = len(message) > _LARGE_BYTES
            try:
                tracker = self._socket.send_multipart([*self.address, message], zmq.NOBLOCK, copy=not large, track=large)
            except zmq.Again:
                break
            except zmq.ZMQError:
                self.gone = True
                break
            self._queue.popleft()
            self._queued_bytes -= len(message)
            if large and tracker is not None and not tracker.done:
                self._leaving = (tracker, len(message))
        if self.gone:
            self._queue.clear()
            self._queued_bytes, self._leaving = 0, None

    def _leave(self) -> None:
        """Gives up a caller that sends and does not read."""
        _log.warning_seldom("caller_reads_nothing", unsent=len(self._queue))
        self.gone = True

    # ── As an outlet ───────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def open(self) -> bool:
        """Whether all that was sent has been handed on."""
        return not self._queue and self._leaving is None

    @property
    def unsent_bytes(self) -> int:
        """How much has not left."""
        return self._queued_bytes + self._parts_bytes + (self._leaving[1] if self._leaving is not None else 0)

    def send(self, messages: list[bytes], /) -> None:
        """Sends messages."""
        self._queue.extend(messages)
        self._queued_bytes += sum(map(len, messages))
        self._hand_on()
        if len(self._queue) > _MAX_QUEUED:
            self._leave()

    def send_part(self, part: bytes, /, *, last: bool) -> None:
        """Keeps the part of a message, and sends the message with the last."""
        if self._parts is None:
            self._parts = []
        self._parts.append(part)
        self._parts_bytes += len(part)
        if self._held.full and self._parts_bytes > _MAX_JOINED_BYTES:
            self._parts = [self._dispatcher.too_much_unread()]
            self._parts_bytes = len(self._parts[0])
            self.conversation.cut_parts()
        if last:
            message = b"".join(self._parts)
            self._parts, self._parts_bytes = None, 0
            self.send([message])

    def progressed(self) -> None:
        """Sends, and lets the listener look whether more is to be done."""
        self._changed(self)
