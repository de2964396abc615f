"""Servers whose paths name what is done, and whose bodies name the task and step."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from support.foreign.generated_server import GeneratedServer


class RpcServer(GeneratedServer):
    """A path for each verb."""

    def _add_style(self) -> None:
        t = self.traits
        key, step = self._key_type(t.task_key), self._key_type(t.step_key)
        task_id, summary = t.name("task_id"), t.name(t.summary)
        step_id = {"id": "step_id", "uuid": "step_id", "index": "step_index", "position": "step_no"}[t.step_key]
        step_id = t.name(step_id)
        self._route(
            "POST",
            "/task/create",
            self._on_create,
            self._said("Create task", "创建任务"),
            "task",
            body=(self._create_model(), ...),
        )
        self._route(
            "GET",
            "/task/list",
            lambda: self._wrap([self._task_view(each) for each in self.held.tasks.values()]),
            self._said("List", "任务列表"),
            "list",
        )
        self._route(
            "GET",
            "/task/detail",
            lambda **q: self._wrap(self._task_view(self.held.find(q[task_id]))),
            self._said("Detail", "任务详情"),
            "task",
            **{task_id: (key, ...)},
        )
        update = self._body(
            "StepUpdate",
            **{
                task_id: (key, ...),
                step_id: (step, ...),
                t.name(t.status): self._status_type(list(self._out.values())),
                summary: self._text(),
            },
        )

        def on_step(body: BaseModel) -> Any:
            given = self._given(body)
            task = self.held.find(given[task_id])
            return self._set_step(task, self.held.step_of(task, given[step_id]), self._status_of(given), given[summary])

        self._route("POST", "/step/update", on_step, self._said("Update step", "更新步骤状态"), body=(update, ...))
        sign = self._body("Sign", **{task_id: (key, ...), summary: self._text()})
        self._route(
            "POST",
            "/task/heartbeat",
            lambda body: self._beat(self.held.find(self._given(body)[task_id]), self._given(body)[summary]),
            self._said("Heartbeat", "心跳"),
            body=(sign, ...),
        )
        self._route(
            "POST",
            "/task/ack",
            lambda body: self._ack(self.held.find(self._given(body)[task_id]), self._given(body)[summary]),
            self._said("Acknowledge stop", "确认停止"),
            body=(sign, ...),
        )
        if t.control != "detail":
            self._route(
                "GET",
                f"/task/{t.control}",
                lambda **q: self._control_view(self.held.find(q[task_id])),
                self._said("Control", "查询控制状态"),
                "control",
                **{task_id: (key, ...)},
            )
