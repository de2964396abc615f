"""A call of the daemon: one request, and how to read its result. Any connection can carry it.

A call is a value. It carries its ``event_id`` from the start, so that sending it twice (after a lost connection), or writing
it to the spool, takes effect once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from clawlog.connection.results import JsonObject
from clawlog.errors import ClawlogError, ProtocolViolation, Refused
from clawlog.protocol import jsonrpc
from clawlog.protocol.errors import INVALID_PARAMS, SHUTTING_DOWN

T = TypeVar("T")

DEFAULT_TIMEOUT_S = 10.0
"""How long a call waits for its reply, beyond its own ``may_take_s``."""

MAX_ATTEMPTS = 3
"""How often a call is sent when its connection is lost. Repeating is safe: it carries its ``event_id``."""


class ConnectionLost(Exception):  # noqa: N818 - as in clawlog.errors
    """The connection is lost, or the other side can no longer be understood. Clients reconnect; users never see this."""


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request, and how to read its result.

    Attributes:
        method: The verb.
        params: Its parameters, complete.
        read: Turns the reply's ``result`` into a value.
        may_take_s: How long the daemon may take over it, beyond a connection's own timeout.
        instead: Results in place of refusals, by their code.
        implied: Names of parameters that nobody asked for: where the daemon refuses one, the call may be made without it.
    """

    method: str
    params: Mapping[str, Any]
    read: Callable[[JsonObject], T]
    may_take_s: float = 0.0
    instead: Mapping[int, JsonObject] = field(default_factory=dict)
    implied: frozenset[str] = frozenset()

    def without_implied(self, error: ClawlogError) -> Call[T] | None:
        """The same call, the same event, without an implied parameter for which it was refused; None where that is not why."""
        if not isinstance(error, Refused) or error.code != INVALID_PARAMS:
            return None
        field = error.data.get("field")
        if field not in self.implied:
            return None
        params = {name: value for name, value in self.params.items() if name != field}
        return replace(self, params=params, implied=self.implied - {field})

    def encode(self, number: int) -> bytes:
        """Returns the request as one message.

        Raises:
            ValueError: A parameter cannot be written as JSON in UTF-8.
        """
        return jsonrpc.encode_request(self.method, self.params, number)

    def encode_notification(self) -> bytes:
        """Returns the call as a notification: without a reply, its outcome stays unknown."""
        return jsonrpc.encode_notification(self.method, self.params)

    def decode_reply(self, response: jsonrpc.Response) -> T:
        """Returns the value of a reply.

        Raises:
            Refused: The daemon declined.
            ProtocolViolation: The result has an unknown shape.
        """
        if response.error is None:
            return self.decode_result(response.result)
        if response.error.code in self.instead:
            return self.decode_result(self.instead[response.error.code])
        raise Refused(response.error.code, response.error.message, response.error.data)

    def decode_outcome(self, response: jsonrpc.Response) -> T | Refused:
        """Returns the value of a reply, or the refusal.

        Raises:
            ConnectionLost: The daemon is shutting down: the call is for the next one.
            ProtocolViolation: The result has an unknown shape.
        """
        if response.error is not None and response.error.code == SHUTTING_DOWN:
            raise ConnectionLost(response.error.message)
        try:
            return self.decode_reply(response)
        except Refused as refusal:
            return refusal

    def decode_result(self, result: Any) -> T:
        """Returns the value of a ``result`` member.

        Raises:
            ProtocolViolation: It has an unknown shape.
        """
        try:
            return self.read(result)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            what = f"The answer to {self.method} is not understood ({error!r})"
            raise ProtocolViolation(f"{what}: is the daemon of another version?") from error
