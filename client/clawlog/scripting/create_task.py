"""``create_task.py``: creates a task and prints its ids; every flag, and every way to fail."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from typing import Any

from clawlog import exits
from clawlog.scripting import plan, report
from clawlog.scripting.delivery import Delivery
from clawlog.scripting.script import Script, Values

_NAME = "create_task"


def _conclude(delivery: Delivery, values: Values) -> int:
    """Prints the task, or why there is none; returns the exit status."""
    (outcome,) = delivery.outcomes
    for message in delivery.warnings:
        report.warn(_NAME, f"warning: {message}")
    status = report.exit_status(delivery.outcomes)
    if outcome.result is not None:
        report.emit(_formatted(outcome.result, values.get("format", "json")))
        if (path := values.get("state_file")) is not None and not _save(path, report.as_json(outcome.result)):
            status = exits.REFUSED
    elif outcome.error is not None:
        report.warn(_NAME, str(outcome.error))
    return status


def _formatted(task: Mapping[str, Any], kind: str) -> bytes:
    if kind == "json":
        return report.as_json(task)
    steps = task["steps"]
    if kind == "text":
        lines = [f"{task['title']}  {task['task_id']}"]
        lines += [f"  {step['position']}. {step['title']}  {step['step_id']}" for step in steps]
    else:
        lines = [f"TASK_ID={shlex.quote(task['task_id'])}"]
        lines += [f"STEP_ID={shlex.quote(steps[0]['step_id'])}"] if steps else []
        lines += [f"STEP_{step['position']}_ID={shlex.quote(step['step_id'])}" for step in steps]
    return "\n".join(lines).encode()


def _save(path: str, content: bytes) -> bool:
    """Writes the state file: whole or not at all, and never another user's to read."""
    draft = f"{path}.{os.getpid()}.draft"
    try:
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(fd, "wb") as file:
                file.write(content + b"\n")
                file.flush()
                os.fsync(fd)
            os.replace(draft, path)
        except OSError:
            os.unlink(draft)
            raise
    except OSError as error:
        report.warn(_NAME, f"the task is created, but --state-file {path} cannot be written: {error.strerror}")
        return False
    return True


_SCRIPT = Script(_NAME, plan.create_task, _conclude)
main = _SCRIPT.main
perform = _SCRIPT.perform
