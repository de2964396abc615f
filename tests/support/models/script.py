"""What the model is to say: scripts of turns, and which turn a conversation has come to.

A turn is one answer of the model. The server remembers nothing: each answer ends in a mark, ``(turn NAME N)``, and the last
such mark in a conversation says which turn is next. So it serves many sessions at once, and those that are resumed. A person
chooses the script by writing ``[play NAME]`` into the prompt; after its last turn a script begins again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SUBAGENT = "subagent"
"""The script that a subagent plays."""

_CHOICE = re.compile(r"\[play ([a-z0-9-]+)\]")


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer of the model; one without any use of a tool ends the agent's loop.

    Attributes:
        say: What it says.
        plan: Its plan, whole, for the agent's plan tool: titles with ``pending``, ``in_progress`` or ``completed``.
        shell: Commands for the agent's shell tool; several are parallel calls.
        calls: Uses of tools by their own names, with arguments.
        ask: A question for the agent's tool that asks its user.
        subagent: A prompt for a subagent, which plays the script ``subagent``.
        report: What a subagent tells the agent that started it, where it has a tool for that.
        delay_s: How long the answer takes.
        only_if: A text that the conversation has to hold, else the turn is left out: the model heeds what tools answer.
        unless: A text that it must not hold.
    """

    say: str = ""
    plan: tuple[tuple[str, str], ...] = ()
    shell: tuple[str, ...] = ()
    calls: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    ask: str | None = None
    subagent: str | None = None
    report: str | None = None
    delay_s: float = 0.0
    only_if: str | None = None
    unless: str | None = None

    def is_due(self, conversation: str) -> bool:
        """Whether it is to be played."""
        return (self.only_if is None or self.only_if in conversation) and (
            self.unless is None or self.unless not in conversation
        )

    @property
    def ends(self) -> bool:
        """Whether it is meant to use no tool."""
        return not (self.plan or self.shell or self.calls or self.ask or self.subagent)


@dataclass(frozen=True, slots=True)
class Script:
    """Turns, under a name of lower-case letters, digits and hyphens."""

    name: str
    turns: tuple[Turn, ...] = field(default=())

    def mark(self, number: int) -> str:
        """What the text of a turn ends in."""
        return f"(turn {self.name} {number})"

    def last_played(self, conversation: str) -> int | None:
        """The number of the last turn that a conversation has; None where it has none."""
        marks = re.findall(rf"\(turn {self.name} (-?\d+)\)", conversation)
        return int(marks[-1]) if marks else None


def play(name: str) -> str:
    """What a prompt holds that chooses a script."""
    return f"[play {name}]"


def chosen(texts: list[str]) -> str | None:
    """The script that the last of these prompts with a choice in it chose."""
    for text in reversed(texts):
        if found := _CHOICE.findall(text):
            return str(found[-1])
    return None


PLAIN = Script(
    "plain",
    (
        Turn("I plan three steps.", plan=(("Say one", "in_progress"), ("Say two", "pending"), ("Report", "pending"))),
        Turn("Now the first.", shell=("echo one",)),
        Turn("That is done.", plan=(("Say one", "completed"), ("Say two", "in_progress"), ("Report", "pending"))),
        Turn("Now the second.", shell=("echo two",)),
        Turn("That too.", plan=(("Say one", "completed"), ("Say two", "completed"), ("Report", "completed"))),
        Turn("All done: one and two were said."),
    ),
)
"""What is played where nothing else was chosen."""

LOOKING_AROUND = Script(
    SUBAGENT, (Turn("I look.", shell=("echo from the subagent",)), Turn("The subagent is done.", report="I looked."))
)
