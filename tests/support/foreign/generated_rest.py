"""Servers whose paths name tasks and steps, with a status in the body or a verb at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import Query
from pydantic import BaseModel

from support.foreign.generated_server import GeneratedServer
from support.foreign.traits import VERBS


class RestServer(GeneratedServer):
    """A path for each task and step."""

    def _add_style(self) -> None:
        t = self.traits
        one = f"/{t.noun}/{{task_id}}"
        key, step_key = (self._key_type(t.task_key), ...), (self._key_type(t.step_key), ...)
        name = {"id": "step_id", "uuid": "step_id", "index": "index", "position": "position"}[t.step_key]
        summary = t.name(t.summary)
        self._add_tasks(f"/{t.noun}")
        if t.style == "verbs":
            note = self._body("Note", **{summary: self._text()})
            for ours in self._out:
                if ours in VERBS:
                    verb = VERBS[ours][t.seed % len(VERBS[ours])]
                    handler = self._verb(self._out[ours], name, summary)
                    self._route(
                        "POST",
                        f"{one}/steps/{{{name}}}/{verb}",
                        handler,
                        f"{verb} step",
                        task_id=key,
                        **{name: step_key},
                        body=(note, ...),
                    )
        else:
            update = self._body(
                "StepUpdate", **{t.name(t.status): self._status_type(list(self._out.values())), summary: self._text()}
            )
            self._route(
                t.update,
                f"{one}/steps/{{{name}}}",
                self._verb(None, name, summary),
                self._said("Update step", "更新步骤状态"),
                task_id=key,
                **{name: step_key},
                body=(update, ...),
            )
        self._rest_signs(one, key, summary)

    def _verb(self, word: str | None, name: str, summary: str) -> Callable[..., Any]:
        def handler(task_id: Any, body: BaseModel, **step: Any) -> Any:
            task, given = self.held.find(task_id), self._given(body)
            return self._set_step(task, self.held.step_of(task, step[name]), word or self._status_of(given), given.get(summary))

        return handler

    def _rest_signs(self, one: str, key: tuple[Any, Any], summary: str) -> None:
        t = self.traits
        note = self._body("Sign", **{summary: self._text()})
        beat, ack = self._said("Heartbeat", "心跳"), self._said("Acknowledge interrupt", "确认中断")
        if t.by_query:
            parameter = {summary: (str | None, Query(default=None, max_length=t.most_chars))}
            self._route(
                "POST",
                f"{one}/heartbeat",
                lambda task_id, **q: self._beat(self.held.find(task_id), q[summary]),
                beat,
                task_id=key,
                **parameter,
            )
            self._route(
                "POST",
                f"{one}/{t.ack}",
                lambda task_id, **q: self._ack(self.held.find(task_id), q[summary]),
                ack,
                task_id=key,
                **parameter,
            )
        else:
            self._route(
                "POST",
                f"{one}/heartbeat",
                lambda task_id, body: self._beat(self.held.find(task_id), self._given(body)[summary]),
                beat,
                task_id=key,
                body=(note, ...),
            )
            self._route(
                "POST",
                f"{one}/{t.ack}",
                lambda task_id, body: self._ack(self.held.find(task_id), self._given(body)[summary]),
                ack,
                task_id=key,
                body=(note, ...),
            )
        self._add_control(one)
        if t.task_route:
            update = self._body("TaskUpdate", **{t.name(t.status): (str, ...), summary: self._text()})
            self._route(
                t.update,
                one,
                lambda task_id, body: self._set_task(self.held.find(task_id), self._given(body), summary),
                self._said("Update task", "更新任务状态"),
                task_id=key,
                body=(update, ...),
            )
