"""``update_status.py``: reports where a task stands, and asks for a stop; every flag, and every way to fail."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from clawlog import exits
from clawlog.errors import BadAddress
from clawlog.scripting import parser, plan, report
from clawlog.scripting.delivery import Delivery, deliver
from clawlog.scripting.plan import Request

SCRIPT = "update_status"


def main(arguments: Sequence[str]) -> int:
    """Runs the script; returns its exit status."""
    reader = parser.make(SCRIPT)
    values = parser.parse(reader, arguments)
    try:
        requests = plan.update_status(values, os.environ)
    except plan.UsageError as error:
        reader.error(str(error))
    return perform(requests, values)


def perform(requests: Sequence[Request], values: Mapping[str, Any]) -> int:
    """Does what a command line asked for."""
    try:
        delivery = deliver(requests, os.environ)
    except (BadAddress, plan.UsageError) as error:
        report.warn(SCRIPT, str(error))
        return exits.USAGE
    return conclude(delivery, values)


def conclude(delivery: Delivery, values: Mapping[str, Any]) -> int:
    """Prints what became of the requests."""
    outcomes = delivery.outcomes
    printed = {"task_id": outcomes[0].request.params["task_id"]}
    printed |= {outcome.request.action: report.described(outcome) for outcome in outcomes}
    report.emit(report.as_json(printed))
    status = report.exit_status(outcomes)
    for message in delivery.warnings:
        report.warn(SCRIPT, f"warning: {message}")
    for message in dict.fromkeys(str(outcome.error) for outcome in outcomes if outcome.error is not None):
        if not any(message in warning for warning in delivery.warnings):
            report.warn(SCRIPT, message)
    for outcome in outcomes:
        if outcome.result is not None and outcome.result.get("flushed") is False:
            pending = outcome.result["pending"]
            report.warn(SCRIPT, f"the backend does not have everything yet; the daemon keeps trying; waiting events: {pending}")
        if outcome.result is not None and outcome.result.get("state") == "unknown":
            report.warn(SCRIPT, "whether a stop is requested is unknown: the backend did not answer")
    return report.forgiven(status, values, os.environ)
