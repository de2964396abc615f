"""``update_status.py``: reports the status of a task, and checks for a stop; every flag, and every way to fail."""

from __future__ import annotations

from typing import Any

from clawlog.connection.results import StopPhase
from clawlog.scripting import plan, report
from clawlog.scripting.delivery import Delivery
from clawlog.scripting.script import Script, Values

_NAME = "update_status"


def _conclude(delivery: Delivery, values: Values) -> int:
    """Prints what became of the requests; returns the exit status."""
    del values
    outcomes = delivery.outcomes
    printed: dict[str, Any] = {"task_id": outcomes[0].request.params["task_id"]}
    for outcome in outcomes:
        if (action := outcome.request.action) in plan.LISTED:
            printed.setdefault(action, []).append(report.described(outcome))
        else:
            printed[action] = report.described(outcome)
    report.emit(report.as_json(printed))
    status = report.exit_status(outcomes)
    for message in delivery.warnings:
        report.warn(_NAME, f"warning: {message}")
    for message in dict.fromkeys(str(outcome.error) for outcome in outcomes if outcome.error is not None):
        if not any(message in warning for warning in delivery.warnings):
            report.warn(_NAME, message)
    for outcome in outcomes:
        if outcome.result is not None and outcome.result.get("flushed") is False:
            pending = outcome.result["pending"]
            report.warn(_NAME, f"the backend does not have everything yet; the daemon keeps trying; waiting events: {pending}")
        if outcome.result is not None and outcome.result.get("state") == StopPhase.UNKNOWN:
            report.warn(_NAME, "whether a stop is requested is unknown: the backend did not answer")
    return status


_SCRIPT = Script(_NAME, plan.update_status, _conclude)
main = _SCRIPT.main
perform = _SCRIPT.perform
