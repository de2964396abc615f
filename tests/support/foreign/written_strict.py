"""A server as people write them: strict types, nothing undeclared."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, ClassVar
from uuid import UUID, uuid4

from fastapi import APIRouter, HTTPException
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from support.foreign.held import RefusedError, Step, Task
from support.foreign.written_server import Server

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
