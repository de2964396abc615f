"""From a request to the model's answer, whatever the protocol."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from support.models.script import PLAIN, Script, Turn, chosen
from support.models.tools import CODE_MODE, SEARCH, Offer, Use, lends_plan_tool, uses

_LOOKING = "I look for a tool that keeps a plan."
_NO_PERSON = "<task-notification>"
"""What a message begins with that Claude Code writes in a person's place."""


@dataclass(frozen=True, slots=True)
class Request:
    """What an agent sends.

    Attributes:
        model: The model's name.
        streamed: Whether the answer is to be a stream.
        offer: The tools.
        prompts: What was said in a person's place, oldest first.
        conversation: All of it, as JSON.
    """

    model: str
    streamed: bool
    offer: Offer
    prompts: tuple[str, ...]
    conversation: str


@dataclass(frozen=True, slots=True)
class Call:
    """A use of a tool, with the id by which its result comes back."""

    id: str
    tool: str
    arguments: dict[str, Any] | str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says.

    Attributes:
        text: Its words.
        calls: The tools that it uses.
        delay_s: How long it takes.
        script: The script that this is of; None where it is of none, such as a conversation's title.
        number: The turn of the script.
    """

    text: str
    calls: tuple[Call, ...] = ()
    delay_s: float = 0.0
    script: str | None = None
    number: int = 0


def answer(request: Request, scripts: Mapping[str, Script]) -> Answer:
    """Plays the next turn of the script that the request's person chose; the first script where none is chosen."""
    if not request.offer.names:
        return Answer("A scripted session.")  # a request for a conversation's title, or the like
    script = scripts.get(chosen(list(request.prompts)) or "", next(iter(scripts.values()), PLAIN))
    last = script.last_played(request.conversation)
    number = 0 if last is None else (last + 1) % len(script.turns)
    if number == 0 and last is not None and _NO_PERSON in "".join(request.prompts[-1:]):
        number = len(script.turns) - 1  # a subagent's end wakes the agent: that begins no script anew
        return Answer(f"Noted. {script.mark(number)}", script=script.name, number=number)
    turn = script.turns[number]
    if turn.plan and lends_plan_tool(request.offer) and _LOOKING not in request.conversation:
        text = f"{_LOOKING} {script.mark(number - 1)}"
        return Answer(text, _calls([SEARCH]), script=script.name, number=number - 1)
    # What is left out: this agent has no tool for it, or its condition does not hold.
    while not turn.is_due(request.conversation) or (not (used := _of(turn, request.offer)) and not turn.ends):
        number = (number + 1) % len(script.turns)
        turn = script.turns[number]
    return Answer(f"{turn.say} {script.mark(number)}", used, turn.delay_s, script.name, number)


def _of(turn: Turn, offer: Offer) -> tuple[Call, ...]:
    found = uses(turn, offer)
    if found and offer.code_mode:
        lines = [f"text(await tools.{use.tool}({json.dumps(use.arguments)}));" for use in found]
        found = [Use(CODE_MODE, "\n".join(lines))]
    return _calls(found)


def _calls(found: Sequence[Use]) -> tuple[Call, ...]:
    return tuple(Call(f"call_{secrets.token_hex(6)}", use.tool, use.arguments) for use in found)
