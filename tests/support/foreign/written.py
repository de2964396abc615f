"""Four servers as people write them: enveloped errors with status 200, steps by their index, one verb per route, strict types.

Each is a FastAPI application that serves its own document and keeps what it was told in ``held``.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import count
from typing import Any, ClassVar, Literal
from uuid import uuid4

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from support.foreign.held import RefusedError, Step, Task
from support.foreign.written_server import Server
from support.foreign.written_strict import StrictServer


class EnvelopedServer(Server):
    """Ids are integers, answers come in an envelope, and an error has status 200 and a code that is not 0."""

    class NewTask(BaseModel):
        title: str
        agent: str | None = "openclaw"
        steps: list[str] = []

    class StepStatus(StrEnum):
        pending = "pending"
        running = "running"
        done = "done"
        error = "error"

    class StepUpdate(BaseModel):
        status: EnvelopedServer.StepStatus | None = None
        summary: str | None = Field(None, max_length=255)

    class TaskUpdate(BaseModel):
        status: str
        title: str | None = None

    class Words(BaseModel):
        summary: str | None = ""

    class Enveloped(BaseModel):
        code: int = 0
        msg: str = "ok"
        data: Any = None

    def __init__(self) -> None:
        super().__init__()
        self._numbers = count(1)
        self.app.add_exception_handler(
            RefusedError,
            lambda _, error: JSONResponse({"code": error.status * 100 + 1, "msg": str(error), "data": None}),  # type: ignore[attr-defined]
        )
        self.app.include_router(self._router())

    def _view(self, task: Task) -> EnvelopedServer.Enveloped:
        steps = [
            {"id": each.key, "task_id": task.key, "step_index": n, "title": each.title, "status": each.status}
            for n, each in enumerate(task.steps)
        ]
        acked = bool(task.acks)
        view = {
            "id": task.key,
            "title": task.title,
            "status": task.status,
            "interrupt_requested": task.stop,
            "interrupt_acked": acked,
            "steps": steps,
        }
        return self.Enveloped(data=view)

    def _router(self) -> APIRouter:
        router, held = APIRouter(prefix="/api/tasks", tags=["任务"]), self.held

        @router.post("/", response_model=self.Enveloped, summary="创建任务")
        def create_task(body: EnvelopedServer.NewTask) -> Any:
            steps = [Step(next(self._numbers), title) for title in body.steps]
            return self._view(held.add(Task(next(self._numbers), body.title, steps)))

        @router.get("/", response_model=self.Enveloped, summary="任务列表")
        def list_tasks(page: int = 1, size: int = 20) -> Any:
            shown = [self._view(each).data for each in list(held.tasks.values())[(page - 1) * size : page * size]]
            return self.Enveloped(data={"items": shown, "total": len(held.tasks)})

        @router.get("/{task_id}", response_model=self.Enveloped, summary="任务详情")
        def get_task(task_id: int) -> Any:
            return self._view(held.find(task_id))

        @router.patch("/{task_id}", response_model=self.Enveloped, summary="更新任务状态")
        def update_task(task_id: int, body: EnvelopedServer.TaskUpdate) -> Any:
            held.find(task_id).status = body.status
            return self._view(held.find(task_id))

        @router.patch("/{task_id}/steps/{step_id}", response_model=self.Enveloped, summary="更新步骤状态")
        def update_step(task_id: int, step_id: int, body: EnvelopedServer.StepUpdate) -> Any:
            task = held.find(task_id)
            step = held.step_of(task, step_id)
            if body.status is not None:
                step.status = "failed" if body.status == "error" else body.status.value
                step.told.append((step.status, body.summary))
            return self._view(task)

        @router.post("/{task_id}/heartbeat", response_model=self.Enveloped, summary="心跳")
        def heartbeat(task_id: int, body: EnvelopedServer.Words | None = None) -> Any:
            held.find(task_id).beat(body.summary if body else None)
            return self.Enveloped(data={"task_id": task_id})

        @router.get("/{task_id}/control", response_model=self.Enveloped, summary="查询控制状态")
        def get_control(task_id: int) -> Any:
            view = self._view(held.find(task_id)).data
            return self.Enveloped(data={key: view[key] for key in ("interrupt_requested", "interrupt_acked")})

        @router.post("/{task_id}/soft_stop", response_model=self.Enveloped, summary="请求软停止")
        def soft_stop(task_id: int) -> Any:
            held.misused.append("soft_stop")
            return self.Enveloped()

        @router.post("/{task_id}/interrupt/ack", response_model=self.Enveloped, summary="确认中断")
        def ack_interrupt(task_id: int, body: EnvelopedServer.Words) -> Any:
            task = held.find(task_id)
            if not task.stop:
                raise RefusedError(409, "没有待确认的中断请求")
            task.acknowledge(body.summary, clears=True)
            return self._view(task)

        return router


class IndexedServer(Server):
    """No prefix, steps by their index, notes in the query, no route for control: the flag is in the task, and stays."""

    class NewTask(BaseModel):
        name: str
        steps: list[str]

    class StepUpdate(BaseModel):
        state: Literal["todo", "in_progress", "completed", "failed"]
        message: str = ""

    _WORDS: ClassVar = {"todo": "pending", "in_progress": "running", "completed": "done", "failed": "failed"}

    def __init__(self) -> None:
        super().__init__()
        self.app.add_exception_handler(
            RefusedError,
            lambda _, error: JSONResponse({"detail": str(error)}, error.status),  # type: ignore[attr-defined]
        )
        self._add_routes()

    def _view(self, task: Task) -> Any:
        words = {ours: theirs for theirs, ours in self._WORDS.items()}
        steps = [{"index": each.key, "name": each.title, "state": words[each.status]} for each in task.steps]
        return {
            "id": task.key,
            "name": task.title,
            "state": task.status,
            "stop_requested": task.stop,
            "stopped": bool(task.acks),
            "steps": steps,
        }

    def _add_routes(self) -> None:
        app, held = self.app, self.held

        @app.post("/tasks")
        def new_task(t: IndexedServer.NewTask) -> Any:
            steps = [Step(index, title) for index, title in enumerate(t.steps)]
            return self._view(held.add(Task(uuid4().hex[:8], t.name, steps)))

        @app.get("/tasks")
        def all_tasks() -> Any:
            return [self._view(each) for each in held.tasks.values()]

        @app.get("/tasks/{task_id}")
        def one_task(task_id: str) -> Any:
            return self._view(held.find(task_id))

        @app.post("/tasks/{task_id}/steps/{index}")
        def update_step(task_id: str, index: int, u: IndexedServer.StepUpdate) -> Any:
            step = held.step_of(held.find(task_id), index)
            step.status = self._WORDS[u.state]
            step.told.append((step.status, u.message or None))
            return {"ok": True}

        @app.post("/tasks/{task_id}/heartbeat")
        def heartbeat(task_id: str, note: str = "") -> Any:
            held.find(task_id).beat(note)
            return {"ok": True}

        @app.post("/tasks/{task_id}/stop")
        def stop(task_id: str) -> Any:
            held.misused.append("stop")
            return {"ok": True}

        @app.post("/tasks/{task_id}/ack")
        def ack(task_id: str, note: str = "") -> Any:
            held.find(task_id).acknowledge(note, clears=False)
            return {"ok": True}


class RpcServer(Server):
    """A verb per route, all ids in the body or the query, errors with status 200, and no types for answers."""

    class NewTask(BaseModel):
        title: str = Field(description="任务标题")
        steps: list[str] = Field(default=[], description="步骤标题列表，按顺序")

    class StepUpdate(BaseModel):
        task_id: int
        step_id: int
        status: str = Field(description="步骤状态: pending / running / done / failed / skipped")
        summary: str | None = Field(default="", description="一句话说明，别太长")

    class Sign(BaseModel):
        task_id: int
        summary: str | None = ""

    class Stop(BaseModel):
        task_id: int

    def __init__(self) -> None:
        super().__init__()
        self._numbers = count(1)
        self.app.add_exception_handler(
            RefusedError,
            lambda _, error: JSONResponse({"code": error.status, "msg": str(error), "data": None}),  # type: ignore[attr-defined]
        )
        self._add_routes()

    def _ok(self, data: Any = None) -> Any:
        return {"code": 0, "msg": "ok", "data": data}

    def _add_routes(self) -> None:
        app, held = self.app, self.held

        @app.post("/api/task/create", summary="创建任务")
        def create_task(req: RpcServer.NewTask) -> Any:
            task = held.add(Task(next(self._numbers), req.title, [Step(next(self._numbers), title) for title in req.steps]))
            listed = [
                {"id": each.key, "sort": n, "title": each.title, "status": each.status} for n, each in enumerate(task.steps, 1)
            ]
            return self._ok({"task_id": task.key, "steps": listed})

        @app.get("/api/task/list", summary="任务列表")
        def task_list(page: int = 1, size: int = 20) -> Any:
            return self._ok({"list": [{"id": each.key} for each in held.tasks.values()][(page - 1) * size : page * size]})

        @app.get("/api/task/detail", summary="任务详情")
        def task_detail(task_id: int) -> Any:
            return self._ok({"id": held.find(task_id).key, "status": held.find(task_id).status})

        @app.post("/api/step/update", summary="更新步骤状态")
        def update_step(req: RpcServer.StepUpdate) -> Any:
            if req.status not in {"pending", "running", "done", "failed", "skipped"}:
                raise RefusedError(400, "状态不对")
            step = held.step_of(held.find(req.task_id), req.step_id)
            step.status = req.status
            step.told.append((req.status, req.summary or None))
            return self._ok()

        @app.post("/api/task/heartbeat", summary="心跳")
        def heartbeat(req: RpcServer.Sign) -> Any:
            held.find(req.task_id).beat(req.summary)
            return self._ok()

        @app.get("/api/task/control", summary="查询控制状态（agent 轮询）")
        def control(task_id: int) -> Any:
            task = held.find(task_id)
            return self._ok({"task_id": task.key, "status": task.status, "interrupt_requested": int(task.stop)})

        @app.post("/api/task/stop", summary="软停止（页面上的停止按钮）")
        def stop_task(req: RpcServer.Stop) -> Any:
            held.misused.append(f"stop {req.task_id}")
            return self._ok()

        @app.post("/api/task/ack", summary="agent 确认停止")
        def ack(req: RpcServer.Sign) -> Any:
            held.find(req.task_id).acknowledge(req.summary, clears=True)
            return self._ok()


WRITTEN: dict[str, type[Server]] = {
    "enveloped": EnvelopedServer,
    "indexed": IndexedServer,
    "rpc": RpcServer,
    "strict": StrictServer,
}
