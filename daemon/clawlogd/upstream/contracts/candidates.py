"""Which operation of a document does which action: each candidate has a score and a reason that people can read.

A report may have a route of its own, a route for each status (``…/start``, ``…/finish``), or share one route for all events,
whose member ``type`` says which it is: the last two are taken apart here, and all compared as if each had a route of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from clawlog.protocol import vocabulary
from clawlogd.upstream.contracts import words
from clawlogd.upstream.contracts.document import Member, Operation
from clawlogd.upstream.contracts.members import Request, make_request

STEP_STATUSES = vocabulary.STEP_STATUSES
TASK_STATUSES = vocabulary.REPORTED_TASK_STATUSES
ENOUGH = 60
CLOSE = 8
_FOREIGN_COST = 60
_JOINED_SCORE = 95
_PARAMETER = re.compile(r"\{[^{}/]*\}")
_NEUTRAL = frozenset(
    ["api", "v0", "v1", "v2", "v3", "v4", "rest", "clawlog", "agent", "agents", "service", "public", "internal"]
)
_WORD = re.compile(r"[A-Za-z][A-Za-z_.-]{2,40}")


@dataclass(frozen=True, slots=True)
class Route:
    """An operation, or one of the reports that share it.

    Attributes:
        operation: The operation.
        constants: Members of its body that are given: those that say which report it is.
        path: Its literal words, and those of the constants.
        text: The words of its operation id, summary and tags.
        last: The literal words of its last segments, behind the last parameter.
    """

    operation: Operation
    constants: Mapping[str, Any] = field(default_factory=dict)
    path: frozenset[str] = frozenset()
    text: frozenset[str] = frozenset()
    last: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Candidate:
    """An operation that may do an action.

    Attributes:
        action: The action.
        route: The operation.
        request: What its request looks like.
        score: How well it fits.
        reasons: Why, for people.
        statuses: The server's words for our statuses, where it has its own.
    """

    action: str
    route: Route
    request: Request
    score: int
    reasons: tuple[str, ...]
    statuses: Mapping[str, str] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Whether all that it must be given is known."""
        return not self.request.unexplained


def routes_of(operations: Iterable[Operation]) -> list[Route]:
    """All routes of a document, those that share an operation taken apart."""
    found = []
    for operation in operations:
        literal = _PARAMETER.sub(" ", operation.path)
        behind = operation.path.rsplit("}", 1)[1] if "}" in operation.path else ""
        route = Route(
            operation,
            path=frozenset(words.split(literal) - _NEUTRAL),
            text=frozenset(words.split(operation.text) | set(_chinese(operation.text))),
            last=frozenset(words.split(behind)),
        )
        kind = next((each for each in operation.members if each.place == "body" and _is_kind(each)), None)
        values = _kind_values(kind) if kind is not None else []
        if kind is None or not values:
            found.append(route)
            continue
        for value in values:
            said = words.split(value)
            found.append(
                replace(route, constants={kind.name: value}, path=route.path - {"event", "events"} | said, last=frozenset(said))
            )
    return found


def _chinese(text: str) -> list[str]:
    return re.findall(r"[\u4e00-\u9fff]+", text)


def _is_kind(member: Member) -> bool:
    return words.snake(member.name) in words.KIND_NAMES and (not member.kinds or "string" in member.kinds)


def _kind_values(member: Member) -> Sequence[str]:
    if member.enum:
        return member.enum
    return list(dict.fromkeys(each for each in _WORD.findall(member.words) if words.split(each) & _KIND_WORDS))


_KIND_WORDS = words.STEP | words.HEARTBEAT | words.ACK


def candidates(action: str, routes: Sequence[Route]) -> list[Candidate]:
    """The candidates for an action, the best first; those that cannot be meant are left out."""
    scored = [_judged(each) for route in routes if (each := _SCORERS[action](route)) is not None]
    found = [each for each in scored if each.score >= ENOUGH]
    if action in {"step", "task"}:
        found += _joined(action, routes)
    # Of two that are alike, the one that changes a part is preferred to the one that replaces the whole.
    order = {"PATCH": 0, "POST": 1, "PUT": 2, "GET": 0}
    return sorted(found, key=lambda each: (not each.usable, -each.score, order[each.route.operation.method]))


def _judged(candidate: Candidate) -> Candidate:
    """A candidate with what speaks against it: words of something else."""
    foreign = (candidate.route.path | candidate.route.last) & words.FOREIGN
    if not foreign:
        return candidate
    reasons = (*candidate.reasons, f"speaks of {', '.join(sorted(foreign))}")
    return replace(candidate, score=candidate.score - _FOREIGN_COST, reasons=reasons)


def _writes(route: Route) -> bool:
    return route.operation.method != "GET"


def _create(route: Route) -> Candidate | None:
    request = make_request("create", route.operation, route.constants)
    if (
        not _writes(route)
        or "title" not in request.roles
        or "steps" not in request.roles
        or (request.names_task and request.roles["task_id"].place == "path")
    ):
        return None
    score, reasons = 60, [f"takes {request.roles['title'].name} and {request.roles['steps'].name}"]
    if route.path & words.TASK or route.text & words.TASK:
        score += 15
        reasons.append("its words speak of a task")
    if (route.path | route.text) & {"create", "new", "add", "start", "begin", "register", "创建任务", "新建任务", "创建"}:
        score += 10
        reasons.append("its words say that it creates")
    if route.path & words.STEP:
        score -= 30
    if "{" in route.operation.path:
        score -= 20
    return Candidate("create", route, request, score, tuple(reasons))


def _step(route: Route) -> Candidate | None:
    request = make_request("step", route.operation, route.constants)
    member = request.step_member
    if (
        not _writes(route)
        or member is None
        or "status" not in request.roles
        or "steps" in {words.snake(m.name) for m in route.operation.members}
    ):
        return None
    if route.path & words.HEARTBEAT or route.path & words.ACK:
        return None
    status = request.roles["status"]
    known = _statuses(status, STEP_STATUSES)
    score, reasons = 55, [f"{member.name} names a step, {status.name} its status"]
    if known is not None and not {"running", "done"} <= set(known):
        return None
    if known:
        score += 15
        reasons.append(f"statuses {', '.join(known.values())}")
    if (route.path | route.text) & words.STEP:
        score += 20
        reasons.append("its words speak of a step")
    if "summary" in request.roles:
        score += 5
    if request.names_task:
        score += 5
    return Candidate("step", route, request, score, tuple(reasons), known or {})


def _statuses(member: Member, wanted: Sequence[str]) -> dict[str, str] | None:
    """The server's words: of the enumeration, or those that the description lists; None where it says nothing."""
    if member.enum:
        return words.status_words(member.enum, wanted)
    return words.listed_words(member.words, wanted) or None


def _task(route: Route) -> Candidate | None:
    request = make_request("task", route.operation, route.constants)
    if not _writes(route) or not request.names_task or "status" not in request.roles:
        return None
    if route.path & (words.HEARTBEAT | words.ACK | words.STEP) or (route.last & words.STOP):
        return None
    if make_request("step", route.operation, route.constants).step_member is not None:
        return None
    status = request.roles["status"]
    known = _statuses(status, TASK_STATUSES)
    if known is not None and "done" not in known:
        return None
    score, reasons = 60, [f"{request.roles['task_id'].name} names a task, {status.name} its status"]
    if (route.path | route.text) & words.TASK:
        score += 10
    if known:
        score += 10
        reasons.append(f"statuses {', '.join(known.values())}")
    return Candidate("task", route, request, score, tuple(reasons), known or {})


def _heartbeat(route: Route) -> Candidate | None:
    request = make_request("heartbeat", route.operation, route.constants)
    if not _writes(route) or not request.names_task:
        return None
    if route.path & words.HEARTBEAT:
        score, reasons = 90, ["its path speaks of a heartbeat"]
    elif route.text & words.HEARTBEAT:
        score, reasons = 70, ["its words speak of a heartbeat"]
    else:
        return None
    if "summary" in request.roles:
        score += 5
    return Candidate("heartbeat", route, request, score, tuple(reasons))


def _ack(route: Route) -> Candidate | None:
    request = make_request("ack", route.operation, route.constants)
    if not _writes(route) or not request.names_task or route.path & words.HEARTBEAT:
        return None
    score, reasons = 0, []
    if route.path & words.ACK:
        score, reasons = 90, ["its path speaks of an acknowledgement"]
    elif route.text & words.ACK:
        score, reasons = 70, ["its words speak of an acknowledgement"]
    if "acknowledged" in request.roles:
        score = max(score, 55) + 25
        reasons.append(f"{request.roles['acknowledged'].name} says that a stop was acknowledged")
    if not score:
        return None
    if "summary" in request.roles:
        score += 5
    return Candidate("ack", route, request, score, tuple(reasons))


def _control(route: Route) -> Candidate | None:
    request = make_request("control", route.operation, {})
    if route.operation.method != "GET" or not request.names_task:
        return None
    flag = find_flag(route.operation.answer)
    score, reasons = 0, []
    if route.path & words.CONTROL:
        score, reasons = 80, ["its path speaks of control"]
    elif route.text & words.CONTROL:
        score, reasons = 65, ["its words speak of control"]
    if flag:
        score += 50
        reasons.append(f"its answer has {flag}")
        if _is_detail(route):
            score += 15
            reasons.append("it answers the whole task")
    elif _is_detail(route):
        score += 60
        reasons.append("it answers the whole task, and the document does not say with what")
        if route.operation.answer and not _is_open(route.operation.answer):
            return None
    if route.path & words.ACK or route.operation.answer_is_list or route.last & words.STEP:
        return None
    return Candidate("control", route, request, score, tuple(reasons))


def find_flag(members: Sequence[Member], depth: int = 0) -> str | None:
    """The name of the member that says whether a task is to stop."""
    for name in words.SURE_STOP_FLAGS:
        for member in members:
            if words.snake(member.name) == words.snake(name):
                return member.name
    for member in members:  # another name says so by the values that it has
        if words.snake(member.name) in words.STOP_FLAGS and any(each in words.STOP_VALUES for each in member.enum):
            return member.name
    for member in members:
        if member.members and depth < 2 and (inner := find_flag(member.members, depth + 1)):
            return f"{member.name}.{inner}"
    return None


def _is_open(members: Sequence[Member]) -> bool:
    """Whether an answer has a part of which the document does not say what is in it."""
    return any(not each.members and (not each.kinds or "object" in each.kinds) for each in members)


def _is_detail(route: Route) -> bool:
    last = route.operation.path.rstrip("/").rsplit("/", 1)[-1]
    return last.startswith("{") or bool(words.split(last) & {"detail", "get", "info", "show", "one", "status", "state"})


def _read(route: Route) -> Candidate | None:
    request = make_request("read", route.operation, {})
    if route.operation.method != "GET" or not request.names_task or not _is_detail(route) or route.operation.answer_is_list:
        return None
    if route.path & (words.STEP | words.CONTROL | words.HEARTBEAT | words.ACK):
        return None
    return Candidate("read", route, request, 70, ("it answers one task",))


def _list(route: Route) -> Candidate | None:
    request = make_request("list_tasks", route.operation, {})
    if route.operation.method != "GET" or "{" in route.operation.path or not route.path & words.TASK:
        return None
    if any(each.required for each in route.operation.members):
        return None
    extra = route.path - words.TASK - {"list", "all"}
    return Candidate("list_tasks", route, request, 80 - 15 * len(extra), ("it answers the tasks",))


_SCORERS = {
    "create": _create, "step": _step, "task": _task, "heartbeat": _heartbeat,
    "ack": _ack, "control": _control, "read": _read, "list_tasks": _list,
}  # fmt: skip


def _joined(action: str, routes: Sequence[Route]) -> list[Candidate]:
    """Routes that are for one status each, joined to one candidate: the word stands in the path, or in the body."""
    groups: dict[tuple[object, ...], dict[str, _Single]] = {}
    for route in routes:
        if (single := _single(action, route)) is not None:
            groups.setdefault(single.key, {}).setdefault(single.status, single)
    needed = {"running", "done"} if action == "step" else {"done"}
    return [_join(action, group) for group in groups.values() if needed <= set(group)]


@dataclass(frozen=True, slots=True)
class _Single:
    """A route that is for one status alone.

    Attributes:
        status: Our status.
        word: The server's word for it.
        in_body: Whether that stands in the body, else it is the path's last segment.
        route: The route.
        request: What its request looks like.
    """

    status: str
    word: str
    in_body: bool
    route: Route
    request: Request

    @property
    def key(self) -> tuple[object, ...]:
        """What is the same for all that differ in nothing but the word."""
        operation, constants = self.route.operation, self.route.constants
        body = {name: each for name, each in (self.request.body or {}).items() if name not in constants}
        stem = operation.path if self.in_body else operation.path.rsplit("/", 1)[0]
        said = str(sorted(body.items(), key=str)), str(self.request.query)
        return self.in_body, operation.method, stem, *said, *sorted(constants)


def _single(action: str, route: Route) -> _Single | None:
    request = make_request(action, route.operation, route.constants)
    names_step = request.step_member is not None
    if not _writes(route) or not request.names_task or "status" in request.roles or names_step is not (action == "step"):
        return None
    if route.path & (words.HEARTBEAT | words.ACK) or (
        action == "task" and (route.path & words.STEP or route.last & words.STOP)
    ):
        return None
    in_body = bool(route.constants)
    if action == "step" and in_body and not route.path & words.STEP:
        return None
    last = route.operation.path.rsplit("/", 1)[-1]
    word = str(next(iter(route.constants.values()))) if in_body else last
    found = words.status_words([word], STEP_STATUSES if action == "step" else TASK_STATUSES)
    return _Single(next(iter(found)), word, in_body, route, request) if found and not word.startswith("{") else None


def _join(action: str, group: Mapping[str, _Single]) -> Candidate:
    one = next(iter(group.values()))
    if one.in_body:
        one.request.body = {
            name: "{status}" if name in one.route.constants else each for name, each in (one.request.body or {}).items()
        }
    else:
        one.request.path = one.request.path.rsplit("/", 1)[0] + "/{status}"
    statuses = {status: each.word for status, each in group.items()}
    reason = f"a {'word' if one.in_body else 'route'} for each status: {', '.join(statuses.values())}"
    return Candidate(action, one.route, one.request, _JOINED_SCORE, (reason,), statuses)
