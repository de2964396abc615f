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

from fastapi import FastAPI, HTTPException
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, create_model

from support.foreign.held import Held, RefusedError, Step, Task
from support.foreign.traits import Traits


class GeneratedServer:
    """One server: its application and what it holds. A style of addressing tasks and steps is a subclass."""

    def __init__(self, traits: Traits) -> None:
        seed = traits.seed
        self.traits = traits
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
        self._add_style()
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

    def _add_style(self) -> None:
        """Adds the routes of its style."""
        raise NotImplementedError

    def _add_tasks(self, path: str) -> None:
        """Adds the routes that create, list and read tasks, each at its own path."""
        t = self.traits
        slash = "/" if t.slash else ""
        self._route(
            "POST",
            f"{path}{slash}",
            self._on_create,
            self._said("Create task", "创建任务"),
            "task",
            body=(self._create_model(), ...),
        )
        if t.style != "events" or not t.slash:
            self._route(
                "GET",
                f"{path}{slash}",
                lambda: self._wrap([self._task_view(each) for each in self.held.tasks.values()]),
                self._said("List tasks", "任务列表"),
                "list",
            )
        self._route(
            "GET",
            f"{path}/{{task_id}}",
            lambda task_id: self._wrap(self._task_view(self.held.find(task_id))),
            self._said("Get task", "任务详情"),
            "task",
            task_id=(self._key_type(t.task_key), ...),
        )

    def _add_control(self, one: str) -> None:
        """Adds the route at which a task's control state is read, below its own path; some tell it with the task alone."""
        t = self.traits
        if t.control != "detail":
            self._route(
                "GET",
                f"{one}/{t.control}",
                lambda task_id: self._control_view(self.held.find(task_id)),
                self._said("Control state", "查询控制状态"),
                "control",
                task_id=(self._key_type(t.task_key), ...),
            )

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

    def _set_task(self, task: Task, given: Mapping[str, Any], summary: str) -> Any:
        task.status = self._status_of(given)
        if given.get(summary):
            task.summaries.append(given[summary])
        return self._wrap(self._task_view(task))

    def _control_view(self, task: Task) -> Any:
        t = self.traits
        return self._wrap({t.name("task_id"): self._shown_key(task.key), t.name(t.flag): self._flag(task)})
