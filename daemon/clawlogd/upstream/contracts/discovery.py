"""A contract from a server's OpenAPI document, with a reason for each choice; or what is missing for one.

Nothing is guessed: where no operation fits, or two fit about as well, the action has none, and a contract that lacks one of the
actions without which a task cannot be followed is no contract.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from clawlogd.upstream.contracts import words
from clawlogd.upstream.contracts.candidates import CLOSE, Candidate, candidates, find_flag, routes_of
from clawlogd.upstream.contracts.contract import (
    Action,
    Contract,
    Control,
    ControlAnswer,
    Create,
    CreateAnswer,
    Envelope,
    ListAnswer,
    ListTasks,
    Root,
    StandIn,
)
from clawlogd.upstream.contracts.document import Member, read_operations

NEEDED = ("create", "step", "heartbeat", "control", "ack")
"""The actions without which a server is not spoken to."""

_ACTIONS = (*NEEDED, "task", "read", "list_tasks")
_PREFIXES = ("", "/data", "/result", "/task", "/data/task", "/result/task", "/payload")
_ID_NAMES = ("task_id", "id", "task_uuid", "uuid", "tid", "key")
_STEP_LISTS = ("steps", "step_list", "stages", "plan", "items", "todos")
_STEP_ID_NAMES = ("step_id", "id", "uuid", "sid", "key")
_INDEX_NAMES = ("index", "idx", "step_index")
_POSITION_NAMES = (
    "position",
    "pos",
    "step_index",
    "index",
    "idx",
    "sort",
    "order",
    "seq",
    "no",
    "number",
    "step_no",
    "step_number",
    "step_order",
)
_TITLE_NAMES = ("title", "name", "step_title", "step_name", "label")
_ACKNOWLEDGED = (
    "acknowledged",
    "acked",
    "interrupt_acked",
    "interrupt_acknowledged",
    "stop_acked",
    "stop_acknowledged",
    "acknowledged_at",
    "acked_at",
    "ack_at",
)
_TASK_LISTS = ("tasks", "items", "results", "records", "rows", "list", "data")
_CREATED = ("created_at", "create_time", "created_time", "created_on", "created", "ctime", "started_at")
_REASONS = ("reason", "interrupt_reason", "stop_reason", "message", "note")
_TIMES = ("requested_at", "interrupt_requested_at", "stop_requested_at", "stop_at")
_STOP_IDS = ("interrupt_id", "stop_id", "request_id")
_CODES = ("code", "errcode", "err_code", "errno", "error_code", "status_code")
_SUCCESS = ("success", "ok")
_HEADS = ("result", "meta", "head", "header", "status", "error")
_MESSAGES = ("message", "msg", "detail", "error", "errmsg")


@dataclass(frozen=True, slots=True)
class Choice:
    """What was found for one action.

    Attributes:
        action: The action.
        route: Method and path; None where there is none.
        reason: Why this one, or why none, for people.
        score: How well it fits.
    """

    action: str
    route: str | None
    reason: str
    score: int = 0


@dataclass(frozen=True, slots=True)
class Discovery:
    """What a document says about how a server wants to be spoken to.

    Attributes:
        contract: The contract; None where something is missing for one.
        choices: What was found for each action.
    """

    contract: Contract | None
    choices: tuple[Choice, ...]

    @property
    def missing(self) -> tuple[Choice, ...]:
        """The needed actions that nothing was found for."""
        return tuple(each for each in self.choices if each.route is None and each.action in NEEDED)


def discover(document: object, *, root: Root = Root.BASE, source: str = "") -> Discovery:
    """Finds a contract in an OpenAPI document.

    Args:
        document: The document, decoded.
        root: What its paths begin at.
        source: Where it was found, for people.
    """
    routes = routes_of(read_operations(document))
    chosen: dict[str, Candidate] = {}
    choices: list[Choice] = []
    for action in _ACTIONS:
        candidate, choice = _choose(action, candidates(action, routes))
        choices.append(choice)
        if candidate is not None:
            chosen[action] = candidate
    if "control" not in chosen and (heard := _heard_with_beats(chosen.get("heartbeat"))) is not None:
        choices = [heard if each.action == "control" else each for each in choices]
    if any(each.route is None and each.action in NEEDED for each in choices):
        return Discovery(None, tuple(choices))
    return Discovery(_contract(chosen, root, source), tuple(choices))


def _heard_with_beats(heartbeat: Candidate | None) -> Choice | None:
    """The control state in the heartbeat's answer: where the document says that it is there."""
    flag = find_flag(heartbeat.route.operation.answer) if heartbeat is not None else None
    if heartbeat is None or flag is None:
        return None
    return Choice("control", heartbeat.route.operation.title, f"the heartbeat's answer has {flag}", heartbeat.score)


def _choose(action: str, found: Sequence[Candidate]) -> tuple[Candidate | None, Choice]:
    if not found:
        return None, Choice(action, None, "no operation fits")
    best = found[0]
    title = best.route.operation.title
    if not best.usable:
        needs = ", ".join(best.request.unexplained)
        return None, Choice(action, None, f"{title} needs {needs}, which nothing explains", best.score)
    rivals = [each for each in found[1:] if each.usable and each.score > best.score - CLOSE and not _same(each, best)]
    if rivals and action in NEEDED:
        other = rivals[0].route.operation.title
        return None, Choice(action, None, f"{title} and {other} fit about as well", best.score)
    return best, Choice(action, title, "; ".join(best.reasons), best.score)


def _same(one: Candidate, other: Candidate) -> bool:
    """Whether two candidates are two methods of one route."""
    return one.route.operation.path == other.route.operation.path and one.route.constants == other.route.constants


def _contract(chosen: dict[str, Candidate], root: Root, source: str) -> Contract:
    create, step, control = chosen["create"], chosen["step"], chosen.get("control")
    steps = create.request.roles["steps"]
    titles = [
        create.request.roles["title"],
        *(each for each in steps.members if words.snake(each.name) in words.MEMBERS["title"]),
    ]
    summaries = [each.request.roles["summary"] for each in chosen.values() if "summary" in each.request.roles]
    actions = {name: _action(each, Action) for name, each in chosen.items() if name not in {"create", "control", "list_tasks"}}
    return Contract(
        create=msgspec.structs.replace(
            _action(create, Create),
            answer=_create_answer(create, step),
            min_steps=1 if steps.min_items else 0,
            max_steps=steps.max_items,
            max_title_chars=_least(titles),
        ),
        step=actions["step"],
        task=actions.get("task"),
        heartbeat=actions["heartbeat"],
        control=msgspec.structs.replace(_action(control, Control), answer=_control_answer(control)) if control else None,
        heartbeat_answer=None if control else _control_answer(chosen["heartbeat"]),
        ack=actions["ack"],
        read=actions.get("read"),
        list_tasks=_list_tasks(chosen.get("list_tasks")),
        root=root,
        step_statuses=dict(step.statuses),
        task_statuses=dict(chosen["task"].statuses) if "task" in chosen else {},
        summary_chars=_least(summaries),
        envelope=_envelope(list(chosen.values())),
        source=source,
    )


A = TypeVar("A", bound=Action)


def _action(candidate: Candidate, kind: type[A]) -> A:
    request = candidate.request
    return kind(
        method=candidate.route.operation.method,
        path=request.path,
        query=request.query,
        body={candidate.route.operation.wrapper: request.body} if candidate.route.operation.wrapper else request.body,
        reason="; ".join(candidate.reasons),
    )


def _least(members: Sequence[Member]) -> int | None:
    return min((each.max_chars for each in members if each.max_chars), default=None)


def _create_answer(create: Candidate, step: Candidate) -> CreateAnswer:
    answer = create.route.operation.answer
    member = step.request.step_member
    name = words.snake(member.name) if member is not None else ""
    stand_in = None
    own: tuple[str, ...] = (member.name,) if member is not None else ()
    if name in words.MEMBERS["index"]:
        step_ids, stand_in = (*own, *_INDEX_NAMES), StandIn.INDEX
    elif name in words.MEMBERS["position"]:
        step_ids, stand_in = (*own, *(each for each in _POSITION_NAMES if each not in _INDEX_NAMES)), StandIn.POSITION
    else:
        step_ids = (*own, *_STEP_ID_NAMES)
    return CreateAnswer(
        task_id=_pointers(answer, _ID_NAMES) + (("/data",) if _leaves_open(answer) else ()),
        steps=_pointers(answer, _STEP_LISTS),
        step_id=_plain(step_ids),
        position=_plain(_POSITION_NAMES),
        title=_plain(_TITLE_NAMES),
        step_id_from=stand_in,
    )


def _control_answer(control: Candidate) -> ControlAnswer:
    answer = control.route.operation.answer
    extra = ("/control", "/data/control", "/interrupt", "/data/interrupt", "/stop", "/task/control", "/data/stop")
    flags = (*words.STOP_FLAGS, "requested")
    return ControlAnswer(
        stop=_pointers(answer, flags, extra),
        stop_values=words.STOP_VALUES,
        reason=_pointers(answer, _REASONS, extra),
        requested_at=_pointers(answer, _TIMES, extra),
        interrupt_id=_pointers(answer, _STOP_IDS, extra),
        acknowledged=_pointers(answer, _ACKNOWLEDGED, extra),
    )


def _list_tasks(candidate: Candidate | None) -> ListTasks | None:
    if candidate is None:
        return None
    answer = ListAnswer(
        tasks=(*(f"{prefix}/{name}" for prefix in _PREFIXES for name in _TASK_LISTS), *_PREFIXES),
        task_id=_plain(_ID_NAMES),
        title=_plain(sorted(words.MEMBERS["title"], key=lambda each: _rank(each, _TITLE_NAMES))),
        created_at=_plain(_CREATED),
    )
    return msgspec.structs.replace(_action(candidate, ListTasks), answer=answer)


def _leaves_open(answer: Sequence[Member]) -> bool:
    """Whether the document leaves open what is in an answer, or in a part of it."""
    return not answer or any(not each.members and (not each.kinds or "object" in each.kinds) for each in answer)


def _pointers(answer: Sequence[Member], names: Sequence[str], extra: Sequence[str] = ()) -> tuple[str, ...]:
    """Where an answer may hold one of some names: where the document says so, else wherever it leaves it open."""
    declared = _declared(answer, frozenset(map(words.snake, names)), "", 0)
    by_name = sorted(declared, key=lambda each: _rank(each, names))
    if not _leaves_open(answer):
        return tuple(by_name)
    spelt = dict.fromkeys(each for name in names for each in (name, words.camel(name)))
    places = [f"{prefix}/{name}" for name in spelt for prefix in (*_PREFIXES, *extra)]
    return tuple(dict.fromkeys([*by_name, *places]))


def _rank(pointer: str, names: Sequence[str]) -> int:
    name = words.snake(pointer.rsplit("/", 1)[-1])
    return next((number for number, each in enumerate(names) if words.snake(each) == name), len(names))


def _declared(members: Sequence[Member], names: frozenset[str], prefix: str, depth: int) -> list[str]:
    found = [f"{prefix}/{_escaped(each.name)}" for each in members if words.snake(each.name) in names]
    if depth < 2:
        for each in members:
            if each.members and "array" not in each.kinds:
                found += _declared(each.members, names, f"{prefix}/{_escaped(each.name)}", depth + 1)
    return found


def _plain(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"/{_escaped(each)}" for name in names for each in (name, words.camel(name))))


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _envelope(chosen: Sequence[Candidate]) -> Envelope:
    """The envelope that answers come in: where the document declares one, or leaves the answers open."""
    answers = [member for each in chosen for member in each.route.operation.answer]
    names = {words.snake(member.name) for member in answers}
    names |= {words.snake(inner.name) for member in answers if member.name in _HEADS for inner in member.members}
    is_open = any(not each.route.operation.answer for each in chosen)
    wrapped = bool(names & {*_CODES, *_SUCCESS}) and bool(names & {*_MESSAGES, "data", "result"})
    if not wrapped and not is_open:
        return Envelope()
    inner = tuple(f"/{head}{each}" for head in _HEADS for each in _plain(_CODES))
    messages = tuple(f"/{head}{each}" for head in _HEADS for each in _plain(_MESSAGES))
    return Envelope(code=(*_plain((*_CODES, *_SUCCESS)), *inner), message=(*_plain(_MESSAGES), *messages))
