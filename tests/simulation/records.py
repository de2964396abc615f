"""What is known of tasks without the daemon: what their agents did and were answered, and what people asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulation.lives import Caller
    from simulation.world import World

ENDED = frozenset({"done", "failed", "interrupted"})
_CARRIED_OUT_S = 30.0  # for how long what was sent on a connection that broke may still be carried out


class Outcome(IntEnum):
    """What an agent knows of a call of its."""

    REFUSED = 0
    UNDECIDED = 1
    ACCEPTED = 2


@dataclass
class Call:
    """A call of an agent's that is an event."""

    number: int
    event_id: str
    mark: str
    method: str
    params: dict[str, Any]
    outcome: Outcome = Outcome.UNDECIDED


@dataclass
class Stop:
    """A person's request.

    Attributes:
        at: When, monotonic.
        restored: How often its backend had been put back by then; ``reopened``, how often its task had been reopened there.
    """

    interrupt_id: str
    at: float
    restored: int
    reopened: int
    acknowledged: bool = False


@dataclass
class TaskModel:
    """One task, as its agent knows it.

    Attributes:
        status: As its agent reported it; ``ended`` once that was answered.
        tried_at: When the agent last sent anything, monotonic; ``heard_at``, when that was last answered by the daemon.
        handled_at: When the daemon can last have heard of it: the last reply, or the last file; ``handled_wall_ms`` by the
            machine's clock.
        read_at: When the spool was last read to its end that held something of it.
        asked: How many requests are on their way.
        open_since: Since when a person wants it to stop and neither its end nor an answer has reached the backend.
        reported_there: The status that was last reported to its backend; ``steps_there``, those of its steps.
        over_there: Whether it has ended there with its last step; ``ended_there``, whether in any way.
        reopened: How often it had ended for its backend and went on: a stop that outlasts that is another one to the daemon.
        sure: Whether the daemon itself has answered for the last status: what lies in the spool it may not know yet.
        plans: Whether its plan may change.
        patience_s: For how long an agent that is silent is not taken for lost; by default as long as the lease.
    """

    number: int
    task_id: str
    url: str
    lease_s: float
    pid: int | None = None
    status: str = "running"
    sure: bool = False
    created: bool = False
    tried_at: float = 0.0
    heard_at: float = 0.0
    all_heard: list[float] = field(default_factory=list)
    handled_at: float = 0.0
    handled_wall_ms: int = 0
    read_at: float = 0.0
    asked: int = 0
    loose_until: float = 0.0
    died_at: float | None = None
    steps: dict[str, str] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    stops: dict[str, Stop] = field(default_factory=dict)
    requested: str | None = None
    open_since: float | None = None
    reopened: int = 0
    reported_there: str | None = None
    steps_there: dict[str, str] = field(default_factory=dict)
    over_there: bool = False
    ended_there: bool = False
    plans: bool = True
    patience_s: float | None = None

    @property
    def ended(self) -> bool:
        """Whether its agent has ended it."""
        return self.status in ENDED

    @contextmanager
    def in_flight(self, world: World, caller: Caller) -> Iterator[None]:
        """Notes that requests are on their way: until they are answered the daemon may hear of its agent at any time."""
        self.asked += 1
        try:
            yield
        finally:
            self.asked -= 1
            self.handled(world)
            if not caller.open and not caller.life_over:
                self.loose_until = world.loop.now + _CARRIED_OUT_S

    def handled(self, world: World) -> None:
        """Notes that the daemon may have heard of its agent just now."""
        self.handled_at, self.handled_wall_ms = world.loop.now, world.wall_ms()

    def silent_s(self, world: World) -> float:
        """For how long the daemon can't have heard of its agent."""
        if self.asked or world.loop.now < self.loose_until:
            return 0.0
        return world.loop.now - self.handled_at

    @property
    def is_session(self) -> bool:
        """Whether it is a coding agent's session."""
        return False


@dataclass
class Sign:
    """A sign of life that a session's hook has left.

    Attributes:
        life: The daemon that made the file; another one begins with an empty file.
        at: When, monotonic; ``wall_ms`` by the machine's clock, which had been put back by ``put_back_s`` until then.
    """

    life: object
    at: float
    wall_ms: int
    put_back_s: float


@dataclass
class SessionModel(TaskModel):
    """A coding agent's session.

    Attributes:
        status: What its last report makes it; ``either`` where a sign answered a question, which may be lost.
        turns: How many prompts were accepted.
        in_turn: Whether it is at work; ``asks``, whether it waits for an answer meanwhile.
        over: Whether it has ever ended.
        stop_since: Since when a person wants it to stop, and nobody has spoken to it.
        stop_may_come: Whether a stop that was requested before the newest prompt may be known only behind it.
        signed: The newest sign that the daemon has had the time to read.
    """

    agent: str = ""
    session_id: str = ""
    turns: int = 0
    in_turn: bool = False
    asks: bool = False
    over: bool = False
    stop_since: float | None = None
    stop_may_come: bool = False
    signed: Sign | None = None

    @property
    def is_session(self) -> bool:
        """Whether it is a coding agent's session."""
        return True

    def prompted(self, world: World) -> None:
        """A person speaks."""
        self.stop_may_come = self.stop_may_come or (self.stop_since is not None and self.requested is not None)
        self.stop_since = None
