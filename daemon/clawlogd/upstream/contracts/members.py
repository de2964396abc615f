"""What the members of an operation stand for: by name, place and type, each is given a value, left out, or unexplained.

Only what the document declares is sent. An optional member is sent only where it says what the report says; one that must be
there and that nothing explains makes the operation useless for the action.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clawlogd.upstream.contracts import words
from clawlogd.upstream.contracts.document import Member, Operation

_BARE_IDS = frozenset({"id", "uuid", "key", "pk"})
_MAX_NESTING = 2


@dataclass(slots=True)
class Request:
    """What a request of an operation looks like, and what was found out on the way.

    Attributes:
        path: The path's template.
        query: Templates by name.
        body: Templates by name; None for a request without a body.
        roles: What was found → the member that stands for it.
        unexplained: The members that must be there and that nothing explains.
    """

    path: str
    query: dict[str, Any] = field(default_factory=dict)
    body: dict[str, Any] | None = None
    roles: dict[str, Member] = field(default_factory=dict)
    unexplained: list[str] = field(default_factory=list)

    @property
    def names_task(self) -> bool:
        """Whether it says which task is meant."""
        return "task_id" in self.roles

    @property
    def step_member(self) -> Member | None:
        """The member that says which step is meant."""
        return next((self.roles[each] for each in ("step_id", "index", "position") if each in self.roles), None)


def make_request(action: str, operation: Operation, constants: Mapping[str, Any]) -> Request:
    """Gives each member of an operation its value for an action.

    Args:
        action: ``create``, ``step``, ``task``, ``heartbeat``, ``control``, ``ack``, ``read`` or ``list_tasks``.
        operation: What takes the members.
        constants: Members of the body that are given already, by name.
    """
    request = Request(operation.path)
    members = [each for each in operation.members if each.name not in constants or each.place != "body"]
    _assign_roles(action, operation, members, request)
    for member in members:
        if member.place == "body":
            continue
        template = _template(action, member, request)
        if member.place == "path":
            if template is None:
                request.unexplained.append(member.name)
            request.path = request.path.replace(f"{{{member.name}}}", template or "x")
        elif template is not None:
            request.query[member.name] = template
        elif member.required:
            request.unexplained.append(member.name)
    if operation.has_body:
        body = _body(action, [each for each in members if each.place == "body"], request, 0)
        body = {**constants, **body}
        request.body = body if body or operation.body_required else {}
    return request


def _body(action: str, members: Sequence[Member], request: Request, depth: int) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for member in members:
        template = _template(action, member, request)
        wraps = template is None and member.members and words.snake(member.name) in words.WRAPPERS and depth < _MAX_NESTING
        if wraps and (member.required or action == "create"):
            template = _body(action, member.members, request, depth + 1) or None
        if template is not None:
            body[member.name] = template
        elif member.required:
            request.unexplained.append(member.name)
    return body


def _assign_roles(action: str, operation: Operation, members: Sequence[Member], request: Request) -> None:
    """Finds for each role the member that fills it best; each member fills at most one."""
    flat = [*members, *(inner for each in members if words.snake(each.name) in words.WRAPPERS for inner in each.members)]
    taken: set[int] = set()
    for role in _ROLES[action]:
        names = words.MEMBERS.get(role, words.ACKNOWLEDGED_NAMES)
        for member in flat:
            if id(member) in taken or words.snake(member.name) not in names or not _fits(role, member):
                continue
            request.roles[role] = member
            taken.add(id(member))
            break
    _assign_bare_ids(action, operation, flat, request, taken)
    if action == "step" and "step_id" in request.roles:
        for other in ("index", "position"):
            request.roles.pop(other, None)
    if action == "step" and "index" in request.roles:
        request.roles.pop("position", None)


def _assign_bare_ids(action: str, operation: Operation, flat: Sequence[Member], request: Request, taken: set[int]) -> None:
    """Members that are called ``id`` alone are what stands before them in the path, else what is still missing."""
    segments = operation.path.split("/")
    for member in flat:
        if id(member) in taken or words.snake(member.name) not in _BARE_IDS:
            continue
        before: set[str] = set()
        if member.place == "path":
            place = segments.index(f"{{{member.name}}}") if f"{{{member.name}}}" in segments else 0
            before = words.split(segments[place - 1]) if place else set()
        elif member.place == "body" and action in {"create", "list_tasks"}:
            continue
        if action == "step" and (before & words.STEP or (not before & words.TASK and request.names_task)):
            role = "step_id"
        else:
            role = "task_id"
        if role not in request.roles:
            request.roles[role] = member
            taken.add(id(member))


def _fits(role: str, member: Member) -> bool:
    """Whether a value of a role is of a type that a member takes."""
    kinds = member.kinds
    if not kinds:
        return role != "steps" or not member.enum
    match role:
        case "steps":
            return "array" in kinds and (not member.item_kinds or bool(member.item_kinds & {"string", "object"}))
        case "index" | "position":
            return bool(kinds & {"integer", "number", "string"})
        case "task_id" | "step_id" | "interrupt_id":
            return bool(kinds & {"integer", "string"})
        case "metadata":
            return "object" in kinds
        case "acknowledged":
            return "boolean" in kinds
        case "at":
            return bool(kinds & {"string", "integer", "number"})
        case "done" | "total":
            return bool(kinds & {"integer", "number"})
        case _:
            return "string" in kinds


_ROLES: Mapping[str, Sequence[str]] = {
    "create": ("title", "steps", "task_id", "summary", "event_id", "agent", "metadata", "status", "at"),
    "step": ("task_id", "step_id", "index", "position", "status", "summary", "event_id", "agent", "at"),
    "task": ("task_id", "status", "summary", "event_id", "agent", "at"),
    "heartbeat": ("task_id", "summary", "status", "event_id", "agent", "at"),
    "control": ("task_id",),
    "ack": ("task_id", "acknowledged", "summary", "interrupt_id", "status", "event_id", "agent", "at"),
    "read": ("task_id",),
    "list_tasks": (),
}


def _template(action: str, member: Member, request: Request) -> Any:
    """What a member is given; None for one that is left out."""
    role = next((role for role, each in request.roles.items() if each is member), None)
    match role:
        case "task_id" if action == "create":
            return "{task_id}" if member.required and "string" in member.kinds else None
        case "task_id" | "step_id" | "interrupt_id":
            return _typed(role, member)
        case "index" | "position":
            return _typed("step_id", member)
        case "title" | "event_id":
            return f"{{{role}}}" if role == "title" or member.required else None
        case "steps":
            return _steps(member, request)
        case "status":
            return _status(action, member)
        case "summary":
            return "{summary_text}" if member.required and action != "create" else "{summary}"
        case "agent":
            return "{agent}" if member.required else None
        case "metadata":
            return "{metadata}"
        case "acknowledged":
            return True
        case "at":
            return _time(member)
    return _default(member)


def _typed(name: str, member: Member) -> str:
    if member.place != "body" or not member.kinds:
        return f"{{{name}}}"
    if "string" in member.kinds:
        return f"{{{name}:str}}"
    return f"{{{name}:int}}"


def _status(action: str, member: Member) -> Any:
    if action in {"step", "task"}:
        return "{status}"
    if not member.required:
        return None
    wanted = {"create": "pending", "heartbeat": "running", "ack": "interrupted"}[action]
    return words.status_words(member.enum, (wanted,)).get(wanted)


def _time(member: Member) -> str | None:
    if "string" in member.kinds:
        return "{at}" if member.required or member.format == "date-time" else None
    text = f"{member.name} {member.words}".lower()
    if words.snake(member.name).endswith("_ms") or "millisecond" in text or "毫秒" in text:
        return "{at_ms}"
    if "number" in member.kinds or "second" in text or "unix" in text or "秒" in text:
        return "{at_s}" if member.required or "second" in text or "unix" in text else None
    return None


def _default(member: Member) -> Any:
    """The value of a member that can have but one."""
    if member.required and len(member.enum) == 1:
        return member.enum[0]
    return None


def _steps(member: Member, request: Request) -> Any:
    if not member.members:
        return ["{step.title}"]
    item: dict[str, Any] = {}
    for each in member.members:
        name = words.snake(each.name)
        if name in words.MEMBERS["title"] and "title" not in item.values() and "{step.title}" not in item.values():
            item[each.name] = "{step.title}"
        elif not each.required:
            continue
        elif name in words.MEMBERS["index"]:
            item[each.name] = "{step.index}"
        elif name in words.MEMBERS["position"]:
            item[each.name] = "{step.position}"
        elif (name in words.MEMBERS["step_id"] or name in _BARE_IDS) and "string" in each.kinds:
            item[each.name] = "{step.step_id}"
        elif name in words.MEMBERS["status"] and (pending := words.status_words(each.enum or ("pending",), ("pending",))):
            item[each.name] = pending["pending"]
        elif name in words.MEMBERS["summary"] and "{step.title}" in item.values():
            item[each.name] = ""
        elif name in words.MEMBERS["summary"]:
            item[each.name] = "{step.title}"
        else:
            request.unexplained.append(f"{member.name}.{each.name}")
    if "{step.title}" not in item.values():
        request.unexplained.append(f"{member.name}.title")
    return [item]
