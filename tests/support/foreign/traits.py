"""How a generated server is made: drawn at random, from a seed alone."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

VOCABULARIES: tuple[Mapping[str, str], ...] = (
    {"pending": "pending", "running": "running", "done": "done", "failed": "failed", "skipped": "skipped"},
    {"pending": "todo", "running": "in_progress", "done": "completed", "failed": "failed"},
    {"pending": "PENDING", "running": "IN_PROGRESS", "done": "SUCCEEDED", "failed": "FAILED", "skipped": "SKIPPED"},
    {"pending": "queued", "running": "started", "done": "finished", "failed": "error"},
    {"pending": "waiting", "running": "active", "done": "success", "failed": "failure", "skipped": "ignored"},
    {"pending": "待处理", "running": "进行中", "done": "完成", "failed": "失败", "skipped": "跳过"},
)
VERBS = {"running": ("start", "begin"), "done": ("complete", "finish", "done"), "failed": ("fail",), "skipped": ("skip",)}


@dataclass(frozen=True)
class Traits:
    """How a server is made, see the module's docstring."""

    seed: int
    prefix: str
    noun: str
    style: Literal["rest", "rpc", "events", "verbs"]
    slash: bool
    update: str
    camel: bool
    title: str
    step_shape: Literal["texts", "objects"]
    step_key: Literal["id", "uuid", "index", "position"]
    task_key: Literal["int", "uuid", "hex"]
    status: str
    words: Mapping[str, str]
    statuses_as: Literal["enum", "literal", "described", "open"]
    summary: str
    most_chars: int | None
    by_query: bool
    envelope: Literal["none", "code", "success", "result", "task", "head"]
    errors_as_200: bool
    declared: bool
    control: Literal["control", "interrupt", "signal", "detail"]
    flag: Literal["interrupt_requested", "stop_requested", "should_stop", "soft_stop", "mode"]
    flag_as: Literal["bool", "int"]
    ack: Literal["ack", "interrupt/ack", "control/ack", "acknowledge"]
    ack_clears: bool
    strict: bool
    through_running: bool
    task_route: bool
    chinese: bool
    decoys: bool
    nested: Literal["", "data", "payload"]
    keyed: bool
    keys_as_text: bool
    event_words: bool
    lists: bool

    @classmethod
    def draw(cls, seed: int) -> Traits:
        """The traits of a seed."""
        r = random.Random(seed)
        style = r.choice(["rest", "rest", "rpc", "rpc", "events", "verbs"])
        return cls(
            seed=seed,
            prefix=r.choice(["", "/api", "/api/v1", "/v1", "/clawlog/api"]),
            noun=r.choice(["task", "tasks"]),
            style=style,
            slash=r.random() < 0.25,
            update=r.choice(["PATCH", "PUT", "POST"]),
            camel=r.random() < 0.2,
            title=r.choice(["title", "name", "task_name"]),
            step_shape=r.choice(["texts", "objects"]),
            step_key=r.choice(["id", "uuid", "index", "position"]),
            task_key=r.choice(["int", "uuid", "hex"]),
            status=r.choice(["status", "state"]),
            words=r.choice(VOCABULARIES),
            statuses_as=r.choice(["enum", "enum", "literal", "described"]),
            summary=r.choice(["summary", "message", "detail", "note", "description", "text"]),
            most_chars=r.choice([None, None, 100, 255, 500]),
            by_query=style == "rest" and r.random() < 0.2,
            envelope=r.choice(["none", "none", "code", "success", "result", "task", "head"]),
            errors_as_200=r.random() < 0.5,
            declared=r.random() < 0.4,
            control=r.choice(["control", "control", "interrupt", "signal", "detail"]),
            flag=r.choice(["interrupt_requested", "stop_requested", "should_stop", "soft_stop", "mode"]),
            flag_as=r.choice(["bool", "bool", "int"]),
            ack=r.choice(["ack", "interrupt/ack", "control/ack", "acknowledge"]),
            ack_clears=r.random() < 0.4,
            strict=r.random() < 0.5,
            through_running=r.random() < 0.25,
            task_route=r.random() < 0.5,
            chinese=r.random() < 0.3,
            decoys=r.random() < 0.7,
            nested=r.choice(["", "", "", "", "data", "payload"]),
            keyed=r.random() < 0.15,
            keys_as_text=r.random() < 0.15,
            event_words=r.random() < 0.5,
            lists=r.random() < 0.8,
        )

    def name(self, snake: str) -> str:
        """A member's name as this server spells it."""
        if not self.camel:
            return snake
        first, *rest = snake.split("_")
        return first + "".join(each.title() for each in rest)
