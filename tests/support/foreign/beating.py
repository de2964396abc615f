"""A server that says only in the answer to a heartbeat whether a task is to stop; nothing else of it can be asked."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from pydantic import BaseModel

from support.foreign.held import Step, Task
from support.foreign.written import Server


class BeatingServer(Server):
    """Tasks and steps have UUIDs. The flag stands in the heartbeat's answer, and falls with the acknowledgement."""

    class NewTask(BaseModel):
        title: str
        steps: list[str]

    class StepUpdate(BaseModel):
        status: str
        summary: str | None = None

    class Words(BaseModel):
        summary: str | None = None

    class StepView(BaseModel):
        step_id: str
        title: str

    class TaskView(BaseModel):
        task_id: str
        steps: list[BeatingServer.StepView]

    class Heard(BaseModel):
        interrupt_requested: bool
        reason: str | None
        requested_at: str | None

    class Accepted(BaseModel):
        accepted: bool

    def __init__(self) -> None:
        super().__init__()
        app, held = self.app, self.held

        @app.post("/runs/tasks", response_model=self.TaskView, summary="Create a task")
        def create_task(body: BeatingServer.NewTask) -> Any:
            task = held.add(Task(uuid4(), body.title, [Step(uuid4(), title) for title in body.steps]))
            steps = [self.StepView(step_id=str(each.key), title=each.title) for each in task.steps]
            return self.TaskView(task_id=str(task.key), steps=steps)

        @app.put("/runs/tasks/{task_id}/steps/{step_id}", response_model=self.Accepted, summary="Update a step")
        def update_step(task_id: str, step_id: str, body: BeatingServer.StepUpdate) -> Any:
            step = held.step_of(held.find(task_id), step_id)
            step.status = body.status
            step.told.append((body.status, body.summary))
            return self.Accepted(accepted=True)

        @app.post("/runs/tasks/{task_id}/heartbeat", response_model=self.Heard, summary="Heartbeat")
        def beat(task_id: str, body: BeatingServer.Words) -> Any:
            task = held.find(task_id)
            task.beat(body.summary)
            reason = "enough" if task.stop else None
            return self.Heard(interrupt_requested=task.stop, reason=reason, requested_at=task.stop_at if task.stop else None)

        @app.post("/runs/tasks/{task_id}/ack", response_model=self.Accepted, summary="Acknowledge a stop")
        def acknowledge(task_id: str, body: BeatingServer.Words) -> Any:
            held.find(task_id).acknowledge(body.summary, clears=True)
            return self.Accepted(accepted=True)
