"""What a task wants to report, as a conversation: a generator that yields attempts and is sent what became of each.

So the rules of a task are written once, without I/O; ``blocking`` and ``asynchronous`` only carry the attempts to the daemon.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, TypeAlias, TypeVar

from clawlog.connection.call import Call
from clawlog.errors import Refused

R = TypeVar("R")


class Unreached(Enum):
    """What an attempt comes to that is for now only: no daemon has it, and it is not kept."""

    UNREACHED = auto()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of a conversation.

    It comes to the call's result (the daemon's, or the spool's in its place); to a ``Refused`` whose code is in ``answers``; to
    ``UNREACHED``; or to None, when it failed in another way, which a person has been told of.

    Attributes:
        call: The call.
        answers: Codes of refusals that the conversation itself deals with.
        keep: Whether it goes to the spool where no daemon can be reached; without that it is true at its time alone.
    """

    call: Call[Any]
    answers: frozenset[int] = frozenset()
    keep: bool = True


Outcome: TypeAlias = Any
Conversation: TypeAlias = Generator[Attempt, Outcome, R]
Start: TypeAlias = Callable[[], Conversation[R]]


def hold(start: Start[R], send: Callable[[Attempt], Outcome]) -> R:
    """Holds a conversation to its end.

    Args:
        start: Begins it, of what the program gave: any of that may be of the wrong kind, and raise.
        send: Makes an attempt; returns what it came to.
    """
    conversation = start()
    outcome: Outcome = None
    while True:
        try:
            attempt = conversation.send(outcome)
        except StopIteration as end:
            result: R = end.value
            return result
        outcome = send(attempt)


def is_lost(outcome: Outcome) -> bool:
    """Whether an attempt came to nothing, or to a refusal."""
    return outcome is None or outcome is Unreached.UNREACHED or isinstance(outcome, Refused)
