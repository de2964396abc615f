"""What a verb is, to whatever carries its requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic

import msgspec

from clawlogd.context import CallContext
from clawlogd.services import Services
from clawlogd.verbs.fields import P


class Durable(msgspec.Struct, frozen=True, gc=False):
    """A result that may be answered once the open group is on disk.

    Attributes:
        result: The result as JSON: the outbox keeps the same bytes, for a call that is repeated.
    """

    result: bytes


Result = Durable | msgspec.Struct
Handler = Callable[[Services, P, CallContext], Result | Awaitable[Result]]
"""Takes the services, the parameters and the circumstances; returns a result, or an awaitable of one. Raises domain errors."""


@dataclass(frozen=True, slots=True)
class Verb(Generic[P]):
    """One verb.

    Attributes:
        name: Its name on the wire.
        params: The type of its parameters.
        handler: Carries it out.
        waits: Whether an awaitable of its handler only waits for something to happen: it is cut short when the daemon ends.
    """

    name: str
    params: type[P]
    handler: Handler[P]
    waits: bool = False
