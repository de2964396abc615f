"""Lets a scripted daemon answer as one does that is older than plans, waiting and progress: with that one's own words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from clawlog.protocol.errors import INVALID_PARAMS, METHOD_NOT_FOUND, RpcError
from support.scripted_daemon import ScriptedDaemon

_PARAMS = {
    "task.create": "title, steps, task_id, event_id, base_url, summary, watch_pid, lease_s, metadata",
    "task.update": "task_id, status, summary, event_id",
    "step.update": "task_id, step, status, summary, event_id",
    "task.heartbeat": "task_id, summary, lease_s, watch_pid",
}
_VERBS = (
    "task.create, task.update, task.get, task.list, task.heartbeat, step.update, interrupt.check, interrupt.watch, "
    "interrupt.ack, daemon.status, daemon.flush, deadletter.list, deadletter.retry, deadletter.drop"
)
_STATUSES = "expected running, done, failed or interrupted"


def make_older(daemon: ScriptedDaemon) -> None:
    """Takes out of a daemon what came later."""
    for method in ("task.plan", "step.add", "task.link", "task.annotate"):
        refusal = RpcError(METHOD_NOT_FOUND, f"There is no method '{method}'; expected one of {_VERBS}")
        daemon.answers[method] = refusal
    for method, known in _PARAMS.items():
        daemon.answers[method] = _strict(known, daemon.answers[method])


def _strict(known: str, answer: Any) -> Callable[[Mapping[str, Any]], Any]:
    def reply(params: Mapping[str, Any]) -> Any:
        for name in params:
            if name not in known.split(", "):
                hint = f"expected only {known}"
                text = f"{name}: is not a parameter of this method; {hint}"
                return RpcError(INVALID_PARAMS, text, field=name, hint=hint)
        if params.get("status") == "waiting":
            return RpcError(INVALID_PARAMS, f"status: does not fit; {_STATUSES}", field="status", hint=_STATUSES)
        return answer(params) if callable(answer) else answer

    return reply
