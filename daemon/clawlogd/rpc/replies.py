"""Replies: messages that are there, and messages that will be."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from clawlog.protocol.jsonrpc import Request, encode_error
from clawlogd.rpc.decoding import Envelope
from clawlogd.rpc.refusals import refusal_of

encode = msgspec.json.Encoder().encode


class Pending:
    """A reply that will be there.

    Args:
        done: What it waits for.
        blocks: Whether the connection's next request must wait for it, too.
        waits: Whether it only waits for something to happen: it is cut short when nobody will read it.
    """

    __slots__ = ("blocks", "done", "waits")

    def __init__(self, done: asyncio.Future[Any], *, blocks: bool, waits: bool = False) -> None:
        self.done = done
        self.blocks = blocks
        self.waits = waits

    def message(self) -> bytes | Parts | None:
        """The message to send, once ``done`` is done; None for none (a notification's, or a caller's that has gone)."""
        return None if self.done.cancelled() else self.done.result()


class Committing(Pending):
    """A reply that may be sent once the open group is on disk.

    Args:
        committed: Done when it is, or when that failed.
        message: The reply; None for none.
        refuse: Makes the reply in its place if the commit failed.
    """

    __slots__ = ("_message", "_refuse")

    def __init__(
        self, committed: asyncio.Future[None], message: bytes | None, refuse: Callable[[BaseException], bytes | None]
    ) -> None:
        self.done = committed
        self.blocks = self.waits = False
        self._message = message
        self._refuse = refuse

    def message(self) -> bytes | None:
        """The message to send, once ``done`` is done."""
        error = self.done.exception()
        return self._message if error is None else self._refuse(error)


class Parts:
    """A reply that is made as it is read: it may be far larger than what is held of it at once.

    Where making it fails, it is the refusal instead; where a part has left already, it is cut off, which its reader sees.

    Args:
        request: The request.
        parts: The result's JSON, in parts.
    """

    def __init__(self, request: Request | Envelope, parts: Iterator[bytes]) -> None:
        self._request = request
        self._head = encode_result(request, b"") or b""
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        try:
            first = next(self._parts, b"")
        except Exception as error:  # noqa: BLE001 - answered, and logged where it is a fault of ours
            yield refuse(self._request, error) or b""
            return
        yield self._head[:-1] + first
        try:
            yield from self._parts
        except Exception as error:  # noqa: BLE001 - logged
            refuse(self._request, error)
            return
        yield b"}"


Reply = bytes | Pending | Parts | None
"""A message to send, now or later, at once or in parts; None for none at all."""


def encode_result(request: Request | Envelope, result: bytes) -> bytes | None:
    """The reply to a request that was carried out; None for a notification.

    Written around the result's own bytes, not by the protocol's encoder: the outbox keeps the same bytes for a repeated call,
    and to decode and encode them again would cost more than the command. A test compares the two.

    Args:
        request: The request.
        result: The result as JSON.
    """
    if request.is_notification:
        return None
    request_id = request.id
    if type(request_id) is int:
        return b'{"jsonrpc":"2.0","id":%d,"result":%s}' % (request_id, result)
    return b'{"jsonrpc":"2.0","id":%s,"result":%s}' % (encode(request_id), result)


def refuse(request: Request | Envelope, error: BaseException) -> bytes | None:
    """The reply to a request that failed; None for a notification."""
    refusal = refusal_of(request.method, error)
    return None if request.is_notification else encode_error(request.id, refusal)


def encode_batch(replies: Sequence[bytes]) -> bytes | None:
    """The reply to a batch; None when none of its requests has one. Written by hand for the same reason."""
    return b"[" + b",".join(replies) + b"]" if replies else None
