"""ZeroMQ's wire protocol, as far as a client of the daemon needs it: a DEALER over a local stream, without encryption.

Implemented here so that a script on a bare Python can reach a daemon over ZeroMQ. It follows ZMTP 3.0
(https://rfc.zeromq.org/spec/23/) and answers the PING of 3.1 (https://rfc.zeromq.org/spec/37/), with the NULL mechanism
alone: an address that needs CURVE goes through pyzmq. No I/O is done here.
"""

from __future__ import annotations

from clawlog.connection.call import ConnectionLost
from clawlog.connection.session import MAX_REPLY_BYTES

GREETING = b"\xff" + bytes(8) + b"\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + b"\0" + bytes(31)
"""Signature, version 3.0, mechanism, as-server, filler: 64 bytes."""

_MORE = 0x01
_LONG = 0x02
_COMMAND = 0x04


def frame(body: bytes, flags: int = 0) -> bytes:
    """One frame: flags, size in one byte or in eight, body."""
    if len(body) > 255:
        return bytes([flags | _LONG]) + len(body).to_bytes(8, "big") + body
    return bytes([flags, len(body)]) + body


def command(name: bytes, data: bytes = b"") -> bytes:
    """A command frame."""
    return frame(bytes([len(name)]) + name + data, _COMMAND)


def property_(name: bytes, value: bytes) -> bytes:
    """One of a READY command's properties."""
    return bytes([len(name)]) + name + len(value).to_bytes(4, "big") + value


class Zmtp:
    """The framing of a ZeroMQ connection: greeting and handshake first, then messages.

    Messages that are queued before the handshake is over wait for it.
    """

    def __init__(self) -> None:
        self._input = bytearray()
        self._output = bytearray(GREETING)
        self._waiting = bytearray()
        self._greeted = False
        self._ready = False
        self._parts: list[bytes] = []

    def send(self, message: bytes) -> None:
        """Queues a message."""
        target = self._output if self._ready else self._waiting
        target += frame(message)

    def take_output(self) -> bytes:
        """Returns the bytes to send now."""
        output = bytes(self._output)
        self._output.clear()
        return output

    def receive(self, data: bytes) -> list[bytes]:
        """Takes the stream's next bytes and returns the messages that they complete."""
        self._input += data
        if not self._greeted and not self._greet():
            return []
        messages = []
        while (next_frame := self._next_frame()) is not None:
            flags, body = next_frame
            if flags & _COMMAND:
                self._obey(body)
                continue
            self._parts.append(body)
            if not flags & _MORE:
                # An empty delimiter may precede the payload, as for a REQ.
                messages.append(self._parts[-1])
                self._parts = []
        return messages

    def _greet(self) -> bool:
        if len(self._input) < len(GREETING):
            return False
        greeting = bytes(self._input[: len(GREETING)])
        del self._input[: len(GREETING)]
        if greeting[0] != 0xFF or greeting[9] & 1 == 0 or greeting[10] < 3:
            raise ConnectionLost("no ZeroMQ peer of version 3 answers at that address")
        mechanism = greeting[12:32].rstrip(b"\0")
        if mechanism != b"NULL":
            raise ConnectionLost(
                f"the peer requires the mechanism {mechanism.decode('ascii', 'replace')}; over ipc NULL is expected"
            )
        self._output += command(b"READY", property_(b"Socket-Type", b"DEALER") + property_(b"Identity", b""))
        self._greeted = True
        return True

    def _next_frame(self) -> tuple[int, bytes] | None:
        if len(self._input) < 2:
            return None
        flags = self._input[0]
        head = 9 if flags & _LONG else 2
        if len(self._input) < head:
            return None
        size = int.from_bytes(self._input[1:head], "big")
        if size > MAX_REPLY_BYTES:
            raise ConnectionLost(f"a frame of {size} bytes")
        if len(self._input) < head + size:
            return None
        body = bytes(self._input[head : head + size])
        del self._input[: head + size]
        return flags, body

    def _obey(self, body: bytes) -> None:
        name = body[1 : 1 + body[0]] if body else b""
        if name == b"READY":
            self._ready = True
            self._output += self._waiting
            self._waiting.clear()
        elif name == b"PING":
            # Its context, after a time-to-live of two bytes, comes back in the PONG.
            self._output += command(b"PONG", body[1 + len(name) + 2 :])
        elif name == b"ERROR":
            reason = body[2 + len(name) :].decode("utf-8", "replace")
            raise ConnectionLost(f"the peer refused the handshake: {reason}")
