"""Four servers as people write them: enveloped errors with status 200, steps by their index, one verb per route, strict types.

Each is a FastAPI application that serves its own document and keeps what it was told in ``held``.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import count
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID, uuid4

from fastapi import APIRouter, FastAPI, HTTPException
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from support.foreign.held import Held, RefusedError, Step, Task


class Server:
    """An application and what it holds."""

    def __init__(self) -> None:
        self.app = FastAPI(title="ClawLog")
        self.held = Held()


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


Title = Annotated[str, Field(min_length=1, max_length=200)]
Words = Annotated[str, Field(max_length=255)]


class StrictServer(Server):
    """Nothing undeclared is taken, ids are UUIDs, steps have their own route and go through ``in_progress``; the flag stays."""

    class Strict(BaseModel):
        model_config = ConfigDict(extra="forbid")

    class NewStep(Strict):
        title: Title

    class NewTask(Strict):
        title: Title
        steps: list[StrictServer.NewStep] = Field(min_length=1, max_length=100)

    class StepStatus(StrEnum):
        PENDING = "pending"
        IN_PROGRESS = "in_progress"
        SUCCEEDED = "succeeded"
        FAILED = "failed"
        SKIPPED = "skipped"

    class StepUpdate(Strict):
        status: StrictServer.StepStatus | None = None
        summary: Words | None = None

    class Beat(Strict):
        message: Words | None = None

    class ControlUpdate(Strict):
        interrupt_requested: bool
        reason: Words | None = None

    class Ack(Strict):
        summary: Words

    class StepView(BaseModel):
        id: UUID
        task_id: UUID
        position: int
        title: str
        status: str

    class TaskView(BaseModel):
        id: UUID
        title: str
        status: str
        created_at: str
        steps: list[StrictServer.StepView]

    class ControlView(BaseModel):
        task_id: UUID
        interrupt_requested: bool = False
        reason: str | None = None
        requested_at: str | None = None
        acknowledged_at: str | None = None

    _WORDS: ClassVar = {
        "pending": "pending",
        "in_progress": "running",
        "succeeded": "done",
        "failed": "failed",
        "skipped": "skipped",
    }

    def __init__(self) -> None:
        super().__init__()
        self.steps: dict[UUID, tuple[Task, Step]] = {}
        self.app.add_exception_handler(
            RefusedError,
            lambda _, error: JSONResponse({"detail": str(error)}, error.status),  # type: ignore[attr-defined]
        )
        self.app.include_router(self._router(), prefix="/api/v1")

    def _view(self, task: Task) -> StrictServer.TaskView:
        words = {ours: theirs for theirs, ours in self._WORDS.items()}
        steps = [
            self.StepView(id=each.key, task_id=task.key, position=n, title=each.title, status=words[each.status])
            for n, each in enumerate(task.steps)
        ]
        return self.TaskView(id=task.key, title=task.title, status=task.status, created_at=task.created_at, steps=steps)

    def _router(self) -> APIRouter:
        router, held = APIRouter(), self.held
        steps = self.steps

        @router.post("/tasks/", response_model=self.TaskView, status_code=201)
        def create_task(payload: StrictServer.NewTask) -> Any:
            task = held.add(Task(uuid4(), payload.title, [Step(uuid4(), each.title) for each in payload.steps]))
            steps.update({step.key: (task, step) for step in task.steps})
            return self._view(task)

        @router.get("/tasks/", response_model=list[self.TaskView])  # type: ignore[name-defined]
        def list_tasks(limit: int = 50, offset: int = 0) -> Any:
            return [self._view(each) for each in list(held.tasks.values())[offset : offset + limit]]

        @router.get("/tasks/{task_id}", response_model=self.TaskView)
        def read_task(task_id: UUID) -> Any:
            return self._view(held.find(task_id))

        @router.post("/tasks/{task_id}/heartbeats", status_code=204)
        def record_heartbeat(task_id: UUID, payload: StrictServer.Beat) -> Response:
            held.find(task_id).beat(payload.message)
            return Response(status_code=204)

        @router.patch("/steps/{step_id}", response_model=self.StepView)
        def update_step(step_id: UUID, payload: StrictServer.StepUpdate) -> Any:
            if step_id not in steps:
                held.misused.append(f"no step {step_id}")
                raise HTTPException(404, "Step not found")
            task, step = steps[step_id]
            if payload.status is not None:
                new = self._WORDS[payload.status]
                if new != step.status and (step.status, new) not in _ALLOWED:
                    raise HTTPException(409, f"Cannot move step from {step.status} to {new}")
                step.status = new
                step.told.append((new, payload.summary))
            return next(each for each in self._view(task).steps if each.id == step_id)

        self._add_control(router)
        return router

    def _add_control(self, router: APIRouter) -> None:
        held = self.held

        @router.get("/tasks/{task_id}/control", response_model=self.ControlView)
        def read_control(task_id: UUID) -> Any:
            task = held.find(task_id)
            return self.ControlView(
                task_id=task_id, interrupt_requested=task.stop, requested_at=task.stop_at, acknowledged_at=task.ack_at
            )

        @router.put("/tasks/{task_id}/control", response_model=self.ControlView)
        def update_control(task_id: UUID, payload: StrictServer.ControlUpdate) -> Any:
            held.misused.append("control")
            return self.ControlView(task_id=task_id, **payload.model_dump())

        @router.post("/tasks/{task_id}/control/ack", status_code=204)
        def acknowledge_interrupt(task_id: UUID, payload: StrictServer.Ack) -> Response:
            if not held.find(task_id).stop:
                raise HTTPException(409, "No interrupt has been requested for this task")
            held.find(task_id).acknowledge(payload.summary, clears=False)
            return Response(status_code=204)


_ALLOWED = {("pending", "running"), ("pending", "skipped"), ("running", "done"), ("running", "failed"), ("running", "skipped")}

WRITTEN: dict[str, type[Server]] = {
    "enveloped": EnvelopedServer,
    "indexed": IndexedServer,
    "rpc": RpcServer,
    "strict": StrictServer,
}
