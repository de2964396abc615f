"""What a verb is, to whatever carries its requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Generic

import msgspec

from clawlogd.context import CallContext
from clawlogd.outbox.identity import Intent
from clawlogd.services import Services
from clawlogd.verbs.fields import P


class Durable(msgspec.Struct, frozen=True, gc=False):
    """A result that may be answered once the open group is on disk.

    Attributes:
        result: The result as JSON: the outbox keeps the same bytes, for a call that is repeated.
    """

    result: bytes


class Streamed(msgspec.Struct, frozen=True, gc=False):
    """A result that may be large, made as its caller reads it.

    Attributes:
        parts: The result's JSON, in parts of some kilobytes.
    """

    parts: Iterator[bytes]


Result = Durable | Streamed | msgspec.Struct
Handler = Callable[[Services, P, CallContext], Result | Awaitable[Result]]
"""Takes the services, the parameters and the circumstances; returns a result, or an awaitable of one. Raises domain errors."""


FromMemory = Callable[[Services, P], msgspec.Struct | None]
"""Carries out a verb that is called now, where nothing in the spool could change its answer, and it accepts nothing that could
overtake what is there. Returns None where that is not sure, and has changed nothing then."""


Intention = Callable[[Services, P], Intent]
"""Takes the services and the parameters; returns which event the call would result in. Does not raise."""


@dataclass(frozen=True, slots=True)
class Verb(Generic[P]):
    """One verb.

    Attributes:
        name: Its name on the wire.
        params: The type of its parameters.
        result: The type of its result: what a caller may rely on. The handler may answer its bytes instead.
        handler: Carries it out.
        intent: Which event a call would result in, of a verb that may be repeated with its ``event_id``.
        waits: Whether an awaitable of its handler only waits for something to happen: it is cut short when the daemon ends.
        about_tasks: Whether it is about tasks: then what the spool holds comes first.
        from_memory: Answers before that, where it may; None where there is no such way.
    """

    name: str
    params: type[P]
    result: type[msgspec.Struct]
    handler: Handler[P]
    intent: Intention[P] | None = None
    waits: bool = False
    about_tasks: bool = True
    from_memory: FromMemory[P] | None = None
