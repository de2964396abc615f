"""Replies: messages that are there, and messages that will be."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
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
    """

    __slots__ = ("blocks", "done")

    def __init__(self, done: asyncio.Future[Any], *, blocks: bool) -> None:
        self.done = done
        self.blocks = blocks

    def message(self) -> bytes | None:
        """The message to send, once ``done`` is done; None for none (a notification's, or a caller's that has gone)."""
        return None if self.done.cancelled() else self.done.result()


class Committing(Pending):
    """A reply that may be sent once the open group is on disk.

    Args:
        committed: Done when it is, or when that failed.
        message: The reply; None for none.
        request: The request, which is refused if the commit failed.
    """

    __slots__ = ("_message", "_request")

    def __init__(self, committed: asyncio.Future[None], message: bytes | None, request: Request | Envelope) -> None:
        self.done = committed
        self.blocks = False
        self._message = message
        self._request = request

    def message(self) -> bytes | None:
        """The message to send, once ``done`` is done."""
        error = self.done.exception()
        return self._message if error is None else refuse(self._request, error)


Reply = bytes | Pending | None
"""A message to send, now or later; None for none at all."""


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
    text = b"%d" % request_id if type(request_id) is int else encode(request_id)
    return b'{"jsonrpc":"2.0","id":%s,"result":%s}' % (text, result)


def refuse(request: Request | Envelope, error: BaseException) -> bytes | None:
    """The reply to a request that failed; None for a notification."""
    refusal = refusal_of(request.method, error)
    return None if request.is_notification else encode_error(request.id, refusal)


def encode_batch(replies: Sequence[bytes]) -> bytes | None:
    """The reply to a batch; None when none of its requests has one. Written by hand for the same reason."""
    return b"[" + b",".join(replies) + b"]" if replies else None
