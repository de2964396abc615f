"""``create_task.py``: creates a task and prints its ids; every flag, and every way to fail."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from clawlog import exits, files
from clawlog.protocol import vocabulary
from clawlog.scripting import plan, report
from clawlog.scripting.delivery import Delivery
from clawlog.scripting.script import Script, Values

_NAME = "create_task"


def main(arguments: Sequence[str]) -> int:
    """Runs the script; returns its exit status, or ends the process where the command line is wrong.

    Where the ids were wanted for a shell and there are none, former ones must not stay in force: the shell is told so.
    """
    status: object = exits.INTERRUPTED
    try:
        status = _SCRIPT.main(arguments)
    except SystemExit as ending:
        status = ending.code
        raise
    finally:
        if status and not _printed and any(each == "env" or each.endswith("=env") for each in arguments):
            report.emit(_no_ids(status))
    return int(status)


_printed: list[str] = []
"""The task that was printed, if any."""


def _conclude(delivery: Delivery, values: Values) -> int:
    """Prints the task, or why there is none; returns the exit status."""
    (outcome,) = delivery.outcomes
    for message in delivery.warnings:
        report.warn(_NAME, f"warning: {message}")
    status = report.exit_status(delivery.outcomes)
    if outcome.result is not None:
        report.emit(_formatted(outcome.result, values.get("format", "json")))
        _printed.append(outcome.result["task_id"])
        if (path := values.get("state_file")) is not None:
            try:
                files.write(path, report.as_json(outcome.result) + b"\n")
            except OSError as error:
                report.warn(_NAME, f"the task is created, but --state-file {path} cannot be written: {error.strerror}")
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
        lines += [f"STEP_ID={shlex.quote(steps[0]['step_id']) if steps else ''}"]
        lines += [f"STEP_{step['position']}_ID={shlex.quote(step['step_id'])}" for step in steps]
        lines += [f"{name}=" for name in os.environ if _is_of_former_step(name, len(steps))]
    return "\n".join(lines).encode()


def _no_ids(status: object) -> bytes:
    """What takes a former task's ids out of force in a shell, and lets ``eval`` end with the script's own status."""
    steps = " ".join(f"STEP_{n}_ID=" for n in range(1, vocabulary.MAX_STEPS + 1))
    return f"TASK_ID=\nSTEP_ID=\n{steps}\n(exit {status})".encode()


def _is_of_former_step(name: str, steps: int) -> bool:
    number = name.removeprefix("STEP_").removesuffix("_ID")
    return name == f"STEP_{number}_ID" and number.isdecimal() and int(number) > steps


_SCRIPT = Script(_NAME, plan.create_task, _conclude)
perform = _SCRIPT.perform
