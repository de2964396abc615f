"""Who is told what: the rules and the targets, as the rest of the backend uses them. Pure.

An address or a key is in no ``repr``, so that none gets into a log by way of one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from clawlog_backend.notify.quiet import QuietHours

DEFAULT_GATHER_MS = 5_000
DEFAULT_DIGEST_OVER = 5
DEFAULT_UNANSWERED_MS = 300_000


class NotifiedEvent(StrEnum):
    """What can be told of a task."""

    NEEDS_YOU = "needs_you"
    """It waits for a person."""
    DEAD = "dead"
    """Its agent is gone."""
    FAILED = "failed"
    DONE = "done"
    STOPPED = "stopped"
    STOP_UNANSWERED = "stop_unanswered"
    """It was asked to stop, and for so long has not acknowledged that."""


class Service(StrEnum):
    """By what a target is reached."""

    WEBHOOK = "webhook"
    APPRISE = "apprise"


@dataclass(frozen=True, slots=True)
class Target:
    """Where notifications go.

    Attributes:
        name: Its name, which alone is shown.
        service: By what it is reached.
        address: Its URL; a secret.
        keys: What a webhook is signed with; more than one while keys are changed.
    """

    name: str
    service: Service
    address: str = field(repr=False)
    keys: tuple[bytes, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is told of which tasks to which targets, and when.

    Attributes:
        name: Its name.
        events: What is told.
        targets: To whom, by their names.
        projects: Patterns, one of which its project has to match; without any, every task. So are ``hosts`` and ``agents``.
        unanswered_ms: For how long a stop may be unanswered.
        quiet: When nothing is told.
        drops_in_quiet: What happens in quiet hours is not told at all, rather than when they end.
        gather_ms: How long what happens is gathered, from the first on, before it is told.
        digest_over: More than so many are told as one.
    """

    name: str
    events: frozenset[NotifiedEvent]
    targets: tuple[str, ...]
    projects: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    unanswered_ms: int = DEFAULT_UNANSWERED_MS
    quiet: QuietHours | None = None
    drops_in_quiet: bool = False
    gather_ms: int = DEFAULT_GATHER_MS
    digest_over: int = DEFAULT_DIGEST_OVER

    def takes(self, event: NotifiedEvent, *, project: str | None, host: str | None, agent: str | None) -> bool:
        """Whether this is told of such a task."""
        wanted = ((self.projects, project), (self.hosts, host), (self.agents, agent))
        return event in self.events and all(
            not patterns or any(fnmatchcase(value or "", pattern) for pattern in patterns) for patterns, value in wanted
        )


@dataclass(frozen=True, slots=True)
class Rules:
    """All of it.

    Attributes:
        page: Where the dashboard is for those who are told; ``None`` for where the backend listens.
        targets: The targets by their names.
        rules: The rules by their names, in the order of the settings.
    """

    page: str | None = None
    targets: dict[str, Target] = field(default_factory=dict)
    rules: dict[str, Rule] = field(default_factory=dict)


NO_RULES = Rules()
