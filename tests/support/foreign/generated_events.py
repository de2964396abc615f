"""Servers that take all that happens to a task at one route."""

from __future__ import annotations

import random
from enum import Enum
from typing import Any

from pydantic import BaseModel, Field

from support.foreign.generated_server import GeneratedServer
from support.foreign.traits import VERBS


class EventsServer(GeneratedServer):
    """One route for events."""

    def _add_style(self) -> None:
        t = self.traits
        one, key, summary = f"/{t.noun}/{{task_id}}", (self._key_type(t.task_key), ...), t.name(t.summary)
        step_id = t.name({"id": "step_id", "uuid": "step_id", "index": "index", "position": "position"}[t.step_key])
        kind = random.Random(t.seed).choice(["type", "kind", "event"])
        of_steps = (
            {f"step_{VERBS[ours][0]}": ours for ours in self._out if ours in VERBS} if t.event_words else {"step_update": ""}
        )
        kinds = Enum(f"Kind{t.seed}", {each: each for each in (*of_steps, "heartbeat", "interrupt_ack")}, type=str)
        self._add_tasks(f"/{t.noun}")
        said, more = self._status_type(list(self._out.values()))
        status = {t.name(t.status): (said | None, Field(default=None, description=getattr(more, "description", None)))}
        step = {step_id: (self._key_type(t.step_key) | None, None)}
        model = self._body("Event", **{kind: (kinds, ...), **step, **({} if t.event_words else status), summary: self._text()})

        def on_event(task_id: Any, body: BaseModel) -> Any:
            given, task = self._given(body), self.held.find(task_id)
            match given[kind].value:
                case "heartbeat":
                    return self._beat(task, given[summary])
                case "interrupt_ack":
                    return self._ack(task, given[summary])
            word = self._out[of_steps[given[kind].value]] if t.event_words else self._status_of(given)
            return self._set_step(task, self.held.step_of(task, given[step_id]), word, given[summary])

        self._route(
            "POST", f"{one}/events", on_event, self._said("Report an event", "上报事件"), task_id=key, body=(model, ...)
        )
        self._add_control(one)
