"""ClawLog servers of all shapes, drawn at random: FastAPI applications with their own documents that keep what they are told.

A server's traits (names, verbs, prefixes, envelopes, words, types of ids, shapes, strictness) follow from its seed alone.
``held`` is what it was told, in the daemon's own words.
"""

from __future__ import annotations

import inspect
import random
import uuid
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Literal

from fastapi import FastAPI, HTTPException, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, create_model

from support.foreign.held import Held, RefusedError, Step, Task
from support.foreign.traits import VERBS, Traits


class GeneratedServer:
    """One server: its application and what it holds."""

    def __init__(self, seed: int) -> None:
        self.traits = Traits.draw(seed)
        self.held = Held()
        self._next = 0
        self.app = FastAPI(title=random.Random(seed).choice(["ClawLog", "Agent status", "任务状态服务"]))
        self.app.add_exception_handler(RefusedError, self._on_refusal)  # type: ignore[arg-type]
        self._out = dict(self.traits.words)
        self._in = {theirs: ours for ours, theirs in self.traits.words.items()}
        self._add_routes()

    def _on_refusal(self, request: object, refusal: RefusedError) -> JSONResponse:
        del request
        t = self.traits
        if t.errors_as_200 and t.envelope == "head":
            return JSONResponse({"result": {"code": refusal.status * 100 + 1, "message": refusal.text}, "data": None})
        if t.errors_as_200 and t.envelope in {"code", "success"}:
            code = {"code": refusal.status * 100 + 1} if t.envelope == "code" else {"success": False, "code": refusal.status}
            return JSONResponse({**code, "msg": refusal.text, "data": None})
        return JSONResponse({"detail": refusal.text}, refusal.status)

    def _create(self, title: str, titles: list[str]) -> Any:
        t = self.traits
        self._next += 1
        key: Any = {"int": self._next, "uuid": str(uuid.UUID(int=self._next + (t.seed << 64))), "hex": f"{self._next:08x}"}[
            t.task_key
        ]
        steps = []
        for number, each in enumerate(titles):
            made = {"id": self._next * 100 + number, "uuid": str(uuid.UUID(int=self._next * 1000 + number)), "index": number}
            steps.append(Step(made.get(t.step_key, number + 1), each))
        return self._wrap(self._task_view(self.held.add(Task(key, title, steps))))

    def _set_step(self, task: Task, step: Step, word: str, summary: str | None) -> Any:
        status = self._in.get(word)
        if status is None:
            self.held.misused.append(f"status {word!r}")
            raise RefusedError(422, "no such status")
        if self.traits.through_running and step.status == "pending" and status in {"done", "failed"}:
            raise RefusedError(409, f"cannot go from pending to {word}")
        step.status = status
        step.told.append((status, summary))
        return self._wrap(self._task_view(task))

    def _beat(self, task: Task, summary: str | None) -> Any:
        task.beats += 1
        if summary:
            task.summaries.append(summary)
        return self._wrap({"ok": True} if self.traits.envelope == "none" else self._task_view(task))

    def _ack(self, task: Task, summary: str | None) -> Any:
        if not task.stop:
            raise RefusedError(409, "no stop is open")
        task.acks.append(summary)
        task.status = "interrupted"
        if self.traits.ack_clears:
            task.stop = False
        return self._wrap(self._task_view(task))

    # ── How it shows it ────────────────────────────────────────────────────────────────────────────────────────────

    def _flag(self, task: Task) -> Any:
        if self.traits.flag == "mode":
            return "soft_stop" if task.stop else "none"
        return int(task.stop) if self.traits.flag_as == "int" else task.stop

    def _step_name(self) -> str:
        t = self.traits
        return {"id": "id", "uuid": t.name("step_id"), "index": "index", "position": "position"}[t.step_key]

    def _task_view(self, task: Task) -> dict[str, Any]:
        t = self.traits
        steps = [
            {
                self._step_name(): self._shown_key(each.key),
                t.title.replace("task_", ""): each.title,
                t.status: self._out[each.status],
            }
            for each in task.steps
        ]
        view = {
            t.name("task_id") if t.style != "rest" else "id": self._shown_key(task.key),
            t.title: task.title, t.status: task.status,
            "steps": steps,
            "created_at": "2026-01-01T00:00:00Z",
        }  # fmt: skip
        if t.control == "detail":
            view[t.name(t.flag)] = self._flag(task)
        return view

    def _wrap(self, view: Any) -> Any:
        match self.traits.envelope:
            case "code":
                return {"code": 0, "msg": "ok", "data": view}
            case "head":
                return {"result": {"code": 0, "message": "ok"}, "data": view}
            case "success":
                return {"success": True, "data": view}
            case "result":
                return {"result": view}
            case "task":
                return {"task": view}
        return view

    # ── Its routes ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _model(self, name: str, /, **members: tuple[Any, Any]) -> type[BaseModel]:
        config = ConfigDict(extra="forbid") if self.traits.strict else ConfigDict()
        return create_model(f"{name}{self.traits.seed}", __config__=config, **members)  # type: ignore[call-overload,no-any-return]

    def _body(self, name: str, /, **members: tuple[Any, Any]) -> type[BaseModel]:
        """A request's body: with a key of its own where each must have one, and within another where bodies are nested."""
        if self.traits.keyed:
            members[self.traits.name("request_id")] = (str, ...)
        inner = self._model(name, **members)
        return self._model(f"{name}Body", **{self.traits.nested: (inner, ...)}) if self.traits.nested else inner

    def _given(self, body: BaseModel) -> dict[str, Any]:
        given: dict[str, Any] = body.model_dump()
        given = given[self.traits.nested] if self.traits.nested else given
        if self.traits.keyed and not given[self.traits.name("request_id")]:
            self.held.misused.append("no key")
        return given

    def _text(self, *, required: bool = False) -> tuple[Any, Any]:
        most = self.traits.most_chars
        return (str, Field(max_length=most)) if required else (str | None, Field(default=None, max_length=most))

    def _status_type(self, words: list[str]) -> tuple[Any, Any]:
        match self.traits.statuses_as:
            case "enum":
                return Enum(f"Status{self.traits.seed}", {f"S{n}": each for n, each in enumerate(words)}, type=str), ...
            case "literal":
                return Literal[tuple(words)], ...
            case _:
                return str, Field(description=f"one of: {' / '.join(words)}")

    def _key_type(self, kind: str) -> Any:
        return int if kind in {"int", "id", "index", "position"} and not self.traits.keys_as_text else str

    def _shown_key(self, key: Any) -> Any:
        return str(key) if self.traits.keys_as_text else key

    def _route(
        self,
        method: str,
        path: str,
        handler: Callable[..., Any],
        summary: str,
        answer: str = "",
        /,
        **parameters: tuple[Any, Any],
    ) -> None:
        if answer == "list" and not self.traits.lists:
            return

        def endpoint(**given: Any) -> Any:
            return handler(**given)

        kinds = inspect.Parameter.KEYWORD_ONLY
        endpoint.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                inspect.Parameter(name, kinds, annotation=kind, default=inspect.Parameter.empty if default is ... else default)
                for name, (kind, default) in parameters.items()
            ]
        )
        endpoint.__name__ = (
            f"{summary.replace(' ', '_')}_{len(self.app.routes)}" if summary.isascii() else f"r{len(self.app.routes)}"
        )
        shown = answer and self.traits.declared and self._answer(answer)
        declared = {"response_model": shown} if shown else {}
        self.app.add_api_route(self.traits.prefix + path, endpoint, methods=[method], summary=summary, **declared)

    def _answer(self, kind: str) -> Any:
        """The type of what is answered, as a document shows it."""
        t = self.traits
        flag = (Literal["none", "soft_stop"] if t.flag == "mode" else int if t.flag_as == "int" else bool, ...)
        key = (self._key_type(t.task_key), ...)
        if kind == "control":
            view: Any = self._model("ControlView", **{t.name("task_id"): key, t.name(t.flag): flag})
        else:
            step = self._model("StepView", **{
                self._step_name(): (self._key_type(t.step_key), ...),
                t.title.replace("task_", ""): (str, ...), t.status: (str, ...),
            })  # fmt: skip
            members = {
                t.name("task_id") if t.style != "rest" else "id": key, t.title: (str, ...), t.status: (str, ...),
                "steps": (list[step], ...), "created_at": (str, ...),  # type: ignore[valid-type]
            }  # fmt: skip
            view = self._model("TaskView", **members, **({t.name(t.flag): flag} if t.control == "detail" else {}))
            view = list[view] if kind == "list" else view
        match t.envelope:
            case "code":
                return self._model(f"Of{kind}", code=(int, ...), msg=(str, ...), data=(view, ...))
            case "head":
                head = self._model("Head", code=(int, ...), message=(str, ...))
                return self._model(f"Of{kind}", result=(head, ...), data=(view, ...))
            case "success":
                return self._model(f"Of{kind}", success=(bool, ...), data=(view, ...))
            case "result":
                return self._model(f"Of{kind}", result=(view, ...))
            case "task":
                return self._model(f"Of{kind}", task=(view, ...))
        return view

    def _said(self, english: str, chinese: str) -> str:
        return chinese if self.traits.chinese else english

    def _add_routes(self) -> None:
        t = self.traits
        {"rest": self._rest, "verbs": self._rest, "rpc": self._rpc, "events": self._events}[t.style]()
        if t.decoys:
            text = self._model("Comment", text=(str, ...))
            self._route(
                "POST",
                f"/{t.noun}/{{task_id}}/comments",
                lambda task_id, body: self._decoy("comment"),
                "Add comment",
                task_id=(str, ...),
                body=(text, ...),
            )
            self._route(
                "POST",
                f"/{t.noun}/{{task_id}}/stop",
                lambda task_id: self._decoy("stop"),
                self._said("Request stop", "请求软停止"),
                task_id=(str, ...),
            )
            self._route(
                "POST", f"/{t.noun}/{{task_id}}/archive", lambda task_id: self._decoy("archive"), "Archive", task_id=(str, ...)
            )
            self._route("GET", "/health", lambda: {"ok": True}, "Health")

    def _decoy(self, what: str) -> Any:
        self.held.misused.append(what)
        raise HTTPException(400, "a decoy")

    def _create_model(self) -> type[BaseModel]:
        t = self.traits
        inner = t.title.replace("task_", "")
        item: Any = str if t.step_shape == "texts" else self._model("NewStep", **{inner: (str, ...)})
        return self._body(
            "Create",
            **{t.name(t.title): (str, ...), "steps": (list[item], Field(default=[])), "agent": (str | None, "openclaw")},
        )

    def _on_create(self, body: BaseModel) -> Any:
        t = self.traits
        given = self._given(body)
        titles = [each if isinstance(each, str) else next(iter(each.values())) for each in given["steps"]]
        return self._create(given[t.name(t.title)], titles)

    def _status_of(self, given: Mapping[str, Any]) -> str:
        value = given[self.traits.name(self.traits.status)]
        return str(value.value if isinstance(value, Enum) else value)

    def _rest(self) -> None:
        t = self.traits
        one = f"/{t.noun}/{{task_id}}"
        key, step_key = (self._key_type(t.task_key), ...), (self._key_type(t.step_key), ...)
        name = {"id": "step_id", "uuid": "step_id", "index": "index", "position": "position"}[t.step_key]
        summary = t.name(t.summary)
        self._route(
            "POST",
            f"/{t.noun}{'/' if t.slash else ''}",
            self._on_create,
            self._said("Create task", "创建任务"),
            "task",
            body=(self._create_model(), ...),
        )
        self._route(
            "GET",
            f"/{t.noun}{'/' if t.slash else ''}",
            lambda: self._wrap([self._task_view(each) for each in self.held.tasks.values()]),
            self._said("List tasks", "任务列表"),
            "list",
        )
        self._route(
            "GET",
            one,
            lambda task_id: self._wrap(self._task_view(self.held.find(task_id))),
            self._said("Get task", "任务详情"),
            "task",
            task_id=key,
        )
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
        if t.control != "detail":
            self._route(
                "GET",
                f"{one}/{t.control}",
                lambda task_id: self._control_view(self.held.find(task_id)),
                self._said("Control state", "查询控制状态"),
                "control",
                task_id=key,
            )
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

    def _set_task(self, task: Task, given: Mapping[str, Any], summary: str) -> Any:
        task.status = self._status_of(given)
        if given.get(summary):
            task.summaries.append(given[summary])
        return self._wrap(self._task_view(task))

    def _control_view(self, task: Task) -> Any:
        t = self.traits
        return self._wrap({t.name("task_id"): self._shown_key(task.key), t.name(t.flag): self._flag(task)})

    def _rpc(self) -> None:
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

    def _events(self) -> None:
        t = self.traits
        one, key, summary = f"/{t.noun}/{{task_id}}", (self._key_type(t.task_key), ...), t.name(t.summary)
        step_id = t.name({"id": "step_id", "uuid": "step_id", "index": "index", "position": "position"}[t.step_key])
        kind = random.Random(t.seed).choice(["type", "kind", "event"])
        of_steps = (
            {f"step_{VERBS[ours][0]}": ours for ours in self._out if ours in VERBS} if t.event_words else {"step_update": ""}
        )
        kinds = Enum(f"Kind{t.seed}", {each: each for each in (*of_steps, "heartbeat", "interrupt_ack")}, type=str)
        self._route(
            "POST",
            f"/{t.noun}{'/' if t.slash else ''}",
            self._on_create,
            self._said("Create task", "创建任务"),
            "task",
            body=(self._create_model(), ...),
        )
        self._route(
            "GET",
            f"/{t.noun}",
            lambda: self._wrap([self._task_view(each) for each in self.held.tasks.values()]),
            "List tasks",
            "list",
        ) if not t.slash else None
        self._route(
            "GET",
            one,
            lambda task_id: self._wrap(self._task_view(self.held.find(task_id))),
            self._said("Get task", "任务详情"),
            "task",
            task_id=key,
        )
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
        if t.control != "detail":
            self._route(
                "GET",
                f"{one}/{t.control}",
                lambda task_id: self._control_view(self.held.find(task_id)),
                self._said("Control state", "查询控制状态"),
                "control",
                task_id=key,
            )
