"""The standard contract, plain profile: a contract like any other."""

from __future__ import annotations

from clawlogd.upstream.contracts.contract import Action, Contract, Control, ControlAnswer, Create, CreateAnswer, ListTasks

_TASK = "/api/tasks/{task_id}"
_WHEN = {"summary": "{summary}", "at": "{at}"}
_STEP = {"step_id": "{step.step_id}", "title": "{step.title}"}

STANDARD_CONTRACT = Contract(
    create=Create(
        "POST",
        "/api/tasks",
        body={
            "task_id": "{task_id}",
            "title": "{title}",
            "steps": [_STEP],
            "summary": "{summary}",
            "metadata": "{metadata}",
            "parent_task_id": "{parent_task_id}",
        },
        answer=CreateAnswer(task_id=("/task_id", "/id"), steps=("/steps",), step_id=("/step_id", "/id")),
    ),
    step=Action("PATCH", f"{_TASK}/steps/{{step_id}}", body={"status": "{status}", "progress": "{progress}", **_WHEN}),
    task=Action("PATCH", _TASK, body={"status": "{status}", **_WHEN}),
    heartbeat=Action(
        "POST",
        f"{_TASK}/heartbeat",
        body={
            "at": "{at}",
            "agent_seen_at": "{agent_seen_at}",
            "evidence": "{evidence}",
            "stalled": "{stalled}",
            "summary": "{summary}",
            "pid": "{pid}",
            "progress": "{progress}",
        },
    ),
    control=Control("GET", f"{_TASK}/control", answer=ControlAnswer(stop=("/interrupt_requested",))),
    ack=Action("POST", f"{_TASK}/interrupt/ack", body={"interrupt_id": "{interrupt_id}", **_WHEN}),
    read=Action("GET", _TASK),
    list_tasks=ListTasks("GET", "/api/tasks", query={"limit": 1}),
    plan=Action("PUT", f"{_TASK}/steps", body={"steps": [{**_STEP, "status": "{step.status}"}], **_WHEN}),
    metadata=Action("PATCH", _TASK, body={"metadata": "{metadata}", **_WHEN}),
    link=Action("POST", f"{_TASK}/links", body={"name": "{name}", "url": "{url}"}),
    source="the standard contract",
)
"""How a backend of the standard contract is spoken to with a route for each kind of report."""
