"""The state of one connection, without I/O: numbers requests, and matches replies to them.

Both clients keep one per connection. It knows neither the bytes on the wire (``Framing`` does) nor time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from clawlog.connection import results
from clawlog.connection.call import Call, ConnectionLost
from clawlog.connection.features import Features
from clawlog.connection.results import StopState
from clawlog.errors import ProtocolViolation
from clawlog.protocol import jsonrpc
from clawlog.protocol.framing import LineReader


class Framing(Protocol):
    """How messages are delimited in a stream of bytes. Raises ``ConnectionLost`` when the stream is broken."""

    def send(self, message: bytes) -> None:
        """Queues a message."""

    def receive(self, data: bytes) -> list[bytes]:
        """Takes the stream's next bytes and returns the messages that they complete."""

    def take_output(self) -> bytes:
        """Returns the bytes to send now: queued messages, and the framing's own."""


class Lines:
    """One message per line: the Unix socket's framing."""

    def __init__(self) -> None:
        self._reader = LineReader(max_line_bytes=MAX_REPLY_BYTES)
        self._output = bytearray()

    def send(self, message: bytes) -> None:
        """Queues a message."""
        self._output += message
        self._output += b"\n"

    def receive(self, data: bytes) -> list[bytes]:
        """Takes the stream's next bytes and returns the lines that they complete."""
        messages = self._reader.feed(data)
        if self._reader.overflowed:
            raise ConnectionLost(f"a reply of more than {MAX_REPLY_BYTES} bytes")
        return messages

    def take_output(self) -> bytes:
        """Returns the bytes to send now."""
        output = bytes(self._output)
        self._output.clear()
        return output


MAX_REPLY_BYTES = 256 * 1024 * 1024
"""A bound against a runaway peer only: a list of 50,000 tasks is large."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply to a request of this session.

    Attributes:
        number: The request's.
        call: As it was sent.
        response: What came.
    """

    number: int
    call: Call[Any]
    response: jsonrpc.Response


@dataclass(frozen=True, slots=True)
class Changed:
    """A changed stop state, which the daemon pushes to a subscribed connection."""

    task_id: str | None
    stop: StopState


class Session:
    """The requests of one connection and their answers.

    Args:
        features: What is known of the daemon's version; it belongs to all connections of a client.
    """

    def __init__(self, features: Features | None = None) -> None:
        self._features = features or Features()
        self._last_number = 0
        self._unanswered: dict[int, Call[Any]] = {}

    def request(self, call: Call[Any]) -> tuple[int, bytes]:
        """Numbers a call; returns the number, which its reply repeats, and the message to send."""
        call = self._features.in_known_words(call)
        message = call.encode(self._last_number + 1)
        self._last_number += 1
        self._unanswered[self._last_number] = call
        return self._last_number, message

    def must_repeat(self, answer: Answer) -> bool:
        """Whether an answer shows that the daemon is older, so that the call is to be sent again, in words that it has."""
        return self._features.learn(answer.call, answer.response)

    def receive(self, message: bytes) -> Answer | Changed | None:
        """Reads a message; returns None for a notification that this version does not know.

        Raises:
            ProtocolViolation: It is not JSON-RPC, or a reply to no request of this session.
        """
        try:
            received = jsonrpc.decode_reply(message)
            if isinstance(received, jsonrpc.Request):
                if received.method != "interrupt.changed":
                    return None
                return Changed(received.params.get("task_id"), results.stop_state(received.params))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ProtocolViolation(f"Not a reply of clawlogd: {message[:80]!r} ({error})") from error
        if isinstance(received.id, int) and (call := self._unanswered.pop(received.id, None)) is not None:
            return Answer(received.id, call, received)
        if received.error is not None:
            # Without an id it concerns the connection as a whole, such as a line that was too long.
            raise ProtocolViolation(received.error.message)
        raise ProtocolViolation(f"A reply to no request: {message[:80]!r}")
