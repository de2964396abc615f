"""Example requests for the OpenAPI document. A test sends each one to a real backend, so none can go stale."""

from __future__ import annotations

from typing import Any, Final

from clawlog_backend.domain.fields import StepStatus, TaskStatus

_AT = "2026-02-28T09:30:00.000Z"
_TASK_ID = "2f6c1c0e-5d0a-4a52-9a3b-3f1f0a3f7c11"


def _named(**examples: tuple[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: {"summary": summary, "value": value} for name, (summary, value) in examples.items()}


def _event(number: int, kind: str, **fields: Any) -> dict[str, Any]:
    return {"event_id": f"e0000000-0000-4000-8000-{number:012}", "task_id": _TASK_ID, "kind": kind, "at": _AT, **fields}


REQUESTS: Final[dict[tuple[str, str], dict[str, dict[str, Any]]]] = {
    ("post", "/api/tasks"): _named(
        titles=("Only titles", {"title": "Deploy the web server", "steps": [{"title": "Check"}, {"title": "Start"}]}),
        offered=(
            "With ids of the caller's own",
            {
                "task_id": "deploy-7",
                "title": "部署 Nginx 服务",
                "steps": [{"step_id": "check", "title": "检查本地环境"}, {"step_id": "start", "title": "启动并测试"}],
                "summary": "starting",
                "metadata": {"host": "build-7"},
            },
        ),
    ),
    ("patch", "/api/tasks/{task_id}"): _named(
        finished=("It is finished", {"status": TaskStatus.DONE, "summary": "serving on port 80", "at": _AT}),
        reopened=("It goes on after all", {"status": TaskStatus.RUNNING}),
        waiting=("It waits for a person", {"status": TaskStatus.WAITING, "summary": 'approve "DROP COLUMN x"?'}),
        annotated=("Its metadata changes", {"metadata": {"branch": "main", "tmp": None}}),
    ),
    ("put", "/api/tasks/{task_id}/steps"): _named(
        changed=(
            "The plan has changed",
            {
                "steps": [
                    {"step_id": "check", "title": "Check", "status": StepStatus.DONE},
                    {"step_id": "backup", "title": "Make a backup first", "status": StepStatus.RUNNING},
                    {"step_id": "start", "title": "Start and test", "status": StepStatus.PENDING},
                ],
                "at": _AT,
            },
        ),
    ),
    ("post", "/api/tasks/{task_id}/links"): _named(
        pull_request=("A pull request", {"name": "pull request 42", "url": "https://example.com/pull/42"}),
    ),
    ("post", "/api/tasks/{task_id}/close"): _named(
        gone=("Its agent is gone", {"status": TaskStatus.FAILED, "summary": "the machine was replaced", "by": "Mu"}),
    ),
    ("post", "/api/tasks/{task_id}/acknowledge"): _named(seen=("Somebody has seen it", {"by": "Mu"})),
    ("post", "/api/actions"): _named(
        named=("Stop some tasks", {"action": "stop", "task_ids": [_TASK_ID], "reason": "wrong host", "by": "Mu"}),
        found=(
            "Acknowledge whatever failed on a host",
            {"action": "acknowledge", "filter": {"status": TaskStatus.FAILED, "host": "build-7", "attention": "open"}},
        ),
    ),
    ("patch", "/api/tasks/{task_id}/steps/{step_id}"): _named(
        begun=("It begins", {"status": StepStatus.RUNNING, "summary": "starting config generation"}),
        progress=(
            "It goes on",
            {"status": StepStatus.RUNNING, "progress": {"done": 318, "total": 2480, "unit": "files"}},
        ),
        finished=("It is finished", {"status": StepStatus.DONE, "summary": "nginx.conf generated and validated", "at": _AT}),
    ),
    ("post", "/api/tasks/{task_id}/heartbeat"): _named(
        process=(
            "The watched process runs",
            {"at": _AT, "agent_seen_at": _AT, "evidence": "process", "stalled": False, "pid": 4242},
        ),
        command=(
            "The agent gave a command not long ago",
            {"at": _AT, "agent_seen_at": _AT, "evidence": "command", "stalled": False, "summary": "writing the template"},
        ),
    ),
    ("post", "/api/tasks/{task_id}/interrupt"): _named(
        stop=("Please stop", {"mode": "soft_stop", "reason": "wrong host", "requested_by": "Mu"}),
    ),
    ("post", "/api/tasks/{task_id}/interrupt/ack"): _named(
        stopped=("It stopped", {"summary": "stopped after the current step", "at": _AT}),
    ),
    ("post", "/api/events"): _named(
        batch=(
            "A task begins, and goes on",
            {
                "events": [
                    _event(1, "task_created", title="Deploy the web server", steps=[{"step_id": "check", "title": "Check"}]),
                    _event(2, "step_status", step_id="check", status=StepStatus.RUNNING, summary="looking at the ports"),
                    _event(3, "heartbeat", agent_seen_at=_AT, evidence="process", stalled=False, pid=4242),
                    _event(4, "step_status", step_id="check", status=StepStatus.DONE),
                    _event(5, "task_status", status=TaskStatus.DONE),
                ]
            },
        ),
        plan=(
            "A plan changes, and its agent asks",
            {
                "events": [
                    _event(11, "task_created", task_id="move-8", title="Move", parent_task_id="deploy-7"),
                    _event(12, "plan", task_id="move-8", steps=[{"step_id": "copy", "title": "Copy", "status": "running"}]),
                    _event(13, "step_added", task_id="move-8", step_id="drop", title="Drop the old one", after="copy"),
                    _event(14, "metadata", task_id="move-8", metadata={"branch": "main", "tmp": None}),
                    _event(15, "link", task_id="move-8", name="pull request 42", url="https://example.com/pull/42"),
                    _event(16, "task_status", task_id="move-8", status=TaskStatus.WAITING, summary="drop the old one?"),
                ]
            },
        ),
    ),
    ("post", "/api/notifications/test"): _named(
        all=("Every target", {}),
        rule=("The targets of a rule", {"rule": "trouble"}),
    ),
    ("post", "/api/control/poll"): _named(
        first=("The first time: all of them", {"task_ids": [_TASK_ID]}),
        waiting=(
            "Later: hold the answer until something changes",
            {"task_ids": [_TASK_ID], "cursor": "7edf1464-41", "wait_s": 25},
        ),
    ),
    ("post", "/api/session"): _named(log_in=("With the backend's token", {"token": "the-token-of-the-backend"})),
}
"""By method and path; each example under its name, as OpenAPI has them."""
