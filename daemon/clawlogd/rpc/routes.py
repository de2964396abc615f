"""Each verb by its name, with the reader of its parameters built once."""

from __future__ import annotations

from typing import Any

from clawlogd.rpc.decoding import ParamsReader
from clawlogd.rpc.discovery import SERVED
from clawlogd.verbs.verb import Verb


class Route:
    """The way to one verb.

    Args:
        verb: The verb.

    Attributes:
        params: The type of its parameters.
        handler: Carries it out.
        from_memory: Answers where what the spool holds cannot matter.
        waits: Whether it only waits for something to happen.
        read: Reads its parameters from a request's text.
        about_tasks: Whether it is about tasks.
        intent: Which event a call would result in.
        repeatable: Whether a call may have an event id, so that repeating it changes nothing.
        result: The type of its result.
    """

    __slots__ = ("about_tasks", "from_memory", "handler", "intent", "params", "read", "repeatable", "result", "waits")

    def __init__(self, verb: Verb[Any]) -> None:
        self.about_tasks = verb.about_tasks
        self.params = verb.params
        self.intent = verb.intent
        self.from_memory = verb.from_memory
        self.handler = verb.handler
        self.waits = verb.waits
        self.read = ParamsReader(verb.params).read
        self.repeatable = verb.intent is not None
        self.result = verb.result


ROUTES: dict[str, Route] = {verb.name: Route(verb) for verb in SERVED}
