"""What is said: of one event, of many as a digest, and to try a target. For people as a text, for programs as JSON. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from clawlog_backend.domain.times import UtcMs
from clawlog_backend.notify.rules import NotifiedEvent
from clawlog_backend.storage.notifications import Item

DIGEST = "digest"
TOLD_OF = 20  # tasks that a digest names
_SHOWN = 10  # of these, in a text
_WORDS = {
    NotifiedEvent.NEEDS_YOU: ("Needs you", "need you"),
    NotifiedEvent.DEAD: ("Dead", "dead"),
    NotifiedEvent.FAILED: ("Failed", "failed"),
    NotifiedEvent.DONE: ("Done", "done"),
    NotifiedEvent.STOPPED: ("Stopped", "stopped"),
    NotifiedEvent.STOP_UNANSWERED: ("Stop unanswered", "left a stop unanswered"),
}


class Severity(StrEnum):
    """How pressing it is."""

    INFO = "info"
    SUCCESS = "success"
    WARNING = "warning"
    FAILURE = "failure"


_SEVERITIES = {
    NotifiedEvent.NEEDS_YOU: Severity.WARNING,
    NotifiedEvent.DEAD: Severity.FAILURE,
    NotifiedEvent.FAILED: Severity.FAILURE,
    NotifiedEvent.DONE: Severity.SUCCESS,
    NotifiedEvent.STOPPED: Severity.INFO,
    NotifiedEvent.STOP_UNANSWERED: Severity.WARNING,
}


@dataclass(frozen=True, slots=True)
class Message:
    """What is said.

    Attributes:
        notification_id: The id by which a receiver knows a repeat.
        title: In a few words.
        text: In full, for people.
        severity: How pressing it is.
        body: For programs: the JSON of a webhook.
    """

    notification_id: str
    title: str
    text: str
    severity: Severity
    body: bytes


def message_of(item: Item, page: str | None) -> Message:
    """What a row of the queue says.

    Args:
        item: The row.
        page: Where the dashboard is, if that is known.
    """
    return _digest(item, page) if item.event == DIGEST else _one(item, page)


def test_message(notification_id: str, target: str, now: UtcMs) -> Message:
    """What is said to try a target."""
    text = f"A test from ClawLog: notifications reach the target {target}."
    data = {"target": target, "message": text}
    return Message(
        notification_id, "ClawLog test", f"{text}\n\n{_signature(notification_id)}", Severity.INFO, _body("test", now, data)
    )


def _one(item: Item, page: str | None) -> Message:
    event, task = NotifiedEvent(item.event), item.detail
    lines = [task.get("summary") or "", _where(task), _address(page, task) or "", "", _signature(item.notification_id)]
    data = {"rule": item.rule, "event": event.value, "task": _task(task, page)}
    if event is NotifiedEvent.STOP_UNANSWERED:
        data["interrupt_id"] = task["interrupt_id"]
    return Message(
        item.notification_id,
        f"{_WORDS[event][0]}: {task['title']}",
        "\n".join(line for place, line in enumerate(lines) if line or place == 3).strip(),
        _SEVERITIES[event],
        _body(f"task.{event.value}", UtcMs(task["at"]), data),
    )


def _digest(item: Item, page: str | None) -> Message:
    told = item.detail
    number, events = told["number"], {NotifiedEvent(name): count for name, count in told["events"].items()}
    in_order = [event for event in NotifiedEvent if event in events]
    counts = ", ".join(f"{events[event]:,} {_WORDS[event][1]}" for event in in_order)
    lines = ["In quiet hours:" if told["held"] else "", ""]
    lines += [_line(task) for task in told["tasks"][:_SHOWN]]
    if number > _SHOWN:
        lines.append(f"… and {number - min(_SHOWN, len(told['tasks'])):,} more")
    lines += ["", page or "", _signature(item.notification_id)]
    data = {
        "rule": item.rule,
        "number": number,
        "events": {event.value: events[event] for event in in_order},
        "quiet_hours": told["held"],
        "since": UtcMs(told["since"]).rfc3339(),
        "tasks": [{"event": task["event"], **_task(task, page)} for task in told["tasks"]],
    }
    severity = max((_SEVERITIES[event] for event in in_order), key=list(Severity).index)
    text = "\n".join(lines).strip()
    return Message(item.notification_id, f"ClawLog: {counts}", text, severity, _body(DIGEST, UtcMs(told["at"]), data))


def _line(task: Mapping[str, Any]) -> str:
    summary = f": {task['summary']}" if task.get("summary") else ""
    where = f" ({_where(task)})" if _where(task) else ""
    return f"{_WORDS[NotifiedEvent(task['event'])][0]} · {task['title']}{where}{summary}"


def _where(task: Mapping[str, Any]) -> str:
    return " · ".join(f"{key} {task[key]}" for key in ("project", "host", "agent") if task.get(key))


def _address(page: str | None, task: Mapping[str, Any]) -> str | None:
    return None if page is None else f"{page}/tasks/{quote(task['task_id'], safe='')}"


def _task(task: Mapping[str, Any], page: str | None) -> dict[str, Any]:
    names = ("task_id", "title", "summary", "project", "host", "agent")
    found = {name: task[name] for name in names if task.get(name) is not None}
    found["at"] = UtcMs(task["at"]).rfc3339()
    address = _address(page, task)
    return found if address is None else found | {"url": address}


def _signature(notification_id: str) -> str:
    return f"notification {notification_id}"


def _body(kind: str, at: UtcMs, data: Mapping[str, Any]) -> bytes:
    return json.dumps({"type": kind, "timestamp": at.rfc3339(), "data": data}, ensure_ascii=False).encode()
