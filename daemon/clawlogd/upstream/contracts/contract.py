"""A contract: how one server wants to be spoken to. A frozen value, read from TOML; nothing in it is ever executed.

A template is a text, number, list or table in which ``{name}`` stands for a named value (see ``templates``). A pointer says
where an answer holds something (JSON Pointer, RFC 6901); where several are given, the first that leads somewhere counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from clawlogd.upstream.contracts.templates import check_path, check_template, uses

_MAX_POINTERS = 1000

Pointer = Annotated[str, Meta(pattern=r"\A(/.*)?\Z", max_length=200)]
Pointers = Annotated[tuple[Pointer, ...], Meta(max_length=_MAX_POINTERS)]
Template = Any
Word = Annotated[str, Meta(min_length=1, max_length=100)]
Words = dict[str, Word]
"""Our status → the server's word for it. A status that is missing is told in the nearest word, and by name in the summary."""


class Root(StrEnum):
    """What the paths of a contract begin at."""

    BASE = "base"
    ORIGIN = "origin"


class StandIn(StrEnum):
    """What stands in for a step's id."""

    INDEX = "index"
    POSITION = "position"


class _Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of a contract: an unknown key in it is an error."""


class Action(_Part, frozen=True):
    """One request.

    Attributes:
        method: The HTTP method.
        path: The path, a template.
        query: Names and templates; one whose value is absent is left out.
        body: A template of the JSON body; None for a request without one.
        statuses: The server's words for our statuses, where this action has its own.
        reason: Why this route was taken for this action, for people.
    """

    method: Annotated[str, Meta(pattern=r"\A(GET|POST|PUT|PATCH)\Z")]
    path: Annotated[str, Meta(pattern=r"\A/", max_length=1000)]
    query: dict[str, Template] = {}
    body: Template = None
    statuses: Words = {}
    reason: str = ""

    def __post_init__(self) -> None:
        """Refuses what is no template.

        Raises:
            ValueError: A name in braces is not known, or a path is no path.
        """
        check_path(self.path)
        check_template(self.query)
        check_template(self.body)

    @property
    def route(self) -> str:
        """Method and path, for people; and the body's fixed words, which tell reports apart that share a path."""
        fixed = self.body.items() if isinstance(self.body, dict) else ()
        words = [f"{name}={each}" for name, each in fixed if isinstance(each, str) and each and "{" not in each]
        return " ".join([self.method, self.path, *words])


class CreateAnswer(_Part, frozen=True):
    """Where the answer to a creation holds the ids.

    Attributes:
        task_id: The task's id.
        steps: The list of steps.
        step_id: A step's id, within a step of that list; empty where steps are known by their place.
        position: A step's place, within a step of that list.
        title: A step's title, within a step of that list.
        step_id_from: What stands in for a step's id where the answer holds none: ``index`` (from 0) or ``position`` (from 1).
    """

    task_id: Pointers = ("/task_id", "/id")
    steps: Pointers = ("/steps",)
    step_id: Pointers = ("/step_id", "/id")
    position: Pointers = ("/position",)
    title: Pointers = ("/title",)
    step_id_from: StandIn | None = None


class Create(Action, frozen=True):
    """The creation of a task.

    Attributes:
        answer: Where the answer holds the ids.
        min_steps: How many steps the server wants at least; a task with none is given one with its own title.
        max_steps: How many it takes at most; what is told of later ones is told of the task.
        max_title_chars: The longest title that it takes.
    """

    answer: CreateAnswer = CreateAnswer()
    min_steps: Annotated[int, Meta(ge=0, le=1)] = 0
    max_steps: Annotated[int, Meta(ge=0)] | None = None
    max_title_chars: Annotated[int, Meta(ge=1)] | None = None


class ControlAnswer(_Part, frozen=True):
    """Where an answer holds whether a person wants the task to stop.

    Attributes:
        stop: The flag.
        stop_values: The values that mean a stop; any other value means none.
        reason: The person's words.
        requested_at: When it was asked for.
        interrupt_id: The request's id.
        acknowledged: What shows, by being there and not false, that the stop was acknowledged.
    """

    stop: Pointers = ("/interrupt_requested",)
    stop_values: tuple[bool | int | str, ...] = (True, 1, "true")
    reason: Pointers = ("/reason",)
    requested_at: Pointers = ("/requested_at",)
    interrupt_id: Pointers = ("/interrupt_id",)
    acknowledged: Pointers = ()


class ListAnswer(_Part, frozen=True):
    """Where a list of tasks holds what a task is recognised by.

    Attributes:
        tasks: The list.
        task_id: A task's id, within a task of that list.
        title: A task's title, within a task of that list.
        created_at: When it was created, within a task of that list.
    """

    tasks: Pointers = ("/tasks", "/items", "/data", "")
    task_id: Pointers = ("/task_id", "/id")
    title: Pointers = ("/title",)
    created_at: Pointers = ("/created_at",)


class ListTasks(Action, frozen=True):
    """The question which tasks there are."""

    answer: ListAnswer = ListAnswer()


class Control(Action, frozen=True):
    """The question whether a task is to stop."""

    answer: ControlAnswer = ControlAnswer()


class Envelope(_Part, frozen=True):
    """What an answer says of itself beside its HTTP status.

    Attributes:
        code: Where it holds a code; an answer without one is taken by its status.
        ok: The codes that mean success.
        message: Where the message stands.
    """

    code: Pointers = ()
    ok: tuple[bool | int | str, ...] = (0, 200, "0", "200", "ok", "OK", "success", True)
    message: Pointers = ("/message", "/msg", "/detail", "/error")


class TokenHeader(_Part, frozen=True):
    """How the token is sent.

    Attributes:
        header: The header's name.
        scheme: What stands before the token; empty for the token alone.
    """

    header: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9-]{1,64}\Z")] = "Authorization"
    scheme: Annotated[str, Meta(pattern=r"\A[A-Za-z0-9-]{0,32}\Z")] = "Bearer"


class Contract(_Part, frozen=True):
    """How one server wants to be spoken to.

    Attributes:
        create: Creates a task with its steps.
        step: Reports a step's status.
        task: Reports a task's status.
        heartbeat: Reports that the agent is alive.
        control: Asks whether a person wants the task to stop.
        heartbeat_answer: Where the answer to a heartbeat says so, at a server that cannot be asked.
        ack: Reports that the agent stopped.
        read: Reads one task: whether the server has it.
        list_tasks: Reads the newest tasks: whether it has any, and whether one whose creation was not answered is among them.
        plan: Replaces all steps of a task. Its body names them by ``{step.step_id}``: so those that stay keep their ids.
        metadata: Changes a task's metadata.
        link: Adds a link to a task.
        root: What the paths begin at: ``base`` (the ``base_url``) or ``origin`` (scheme, host and port).
        step_statuses: The server's words for a step's statuses.
        task_statuses: The server's words for a task's statuses.
        summary_chars: The longest summary that the server takes.
        running_first: Whether a step must pass through ``running`` before it ends, and its end is refused otherwise. A refusal
            with 409 says so by itself.
        envelope: What answers say of themselves.
        token: How the token is sent.
        source: Where the contract is from, for people.
    """

    create: Create
    step: Action | None = None
    task: Action | None = None
    heartbeat: Action | None = None
    control: Control | None = None
    heartbeat_answer: ControlAnswer | None = None
    ack: Action | None = None
    read: Action | None = None
    list_tasks: ListTasks | None = None
    plan: Action | None = None
    metadata: Action | None = None
    link: Action | None = None
    root: Root = Root.BASE
    step_statuses: Words = {}
    task_statuses: Words = {}
    summary_chars: Annotated[int, Meta(ge=1)] | None = None
    running_first: bool = False
    envelope: Envelope = Envelope()
    token: TokenHeader = TokenHeader()
    source: str = ""

    def __post_init__(self) -> None:
        """Refuses a plan after which what is reported of one step could be taken for another's.

        Raises:
            ValueError: Its body does not name the steps by their ids, or steps are known by their place.
        """
        if self.plan is None:
            return
        if not uses(self.plan.body, "step.step_id"):
            raise ValueError("plan: its body has no {step.step_id}, by which steps keep their ids: add it, or leave plan out")
        if self.create.answer.step_id_from is not None:
            raise ValueError("plan: steps are known by their place (step_id_from), which a plan changes: leave plan out")

    def routes(self) -> tuple[str, ...]:
        """Method and path of each action: two contracts with the same are of the same server."""
        return tuple(f"{name} {action.method} {action.path}" for name, action in self.actions())

    def actions(self) -> Iterator[tuple[str, Action]]:
        """Each action that the server has, with its name."""
        for name in ("create", "step", "task", "heartbeat", "control", "ack", "read", "list_tasks", "plan", "metadata", "link"):
            if (action := getattr(self, name)) is not None:
                yield name, action


def read_contract(text: str) -> Contract:
    """Reads a contract from TOML.

    Raises:
        ValueError: It is no TOML, or no contract; the message names the place.
    """
    try:
        return msgspec.toml.decode(text, type=Contract)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise ValueError(str(error)) from None
