"""What the scripts print, and the exit status of an outcome."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from clawlog import exits
from clawlog.connection.results import StopPhase
from clawlog.errors import Refused
from clawlog.protocol import errors, jsonrpc
from clawlog.scripting.delivery import Outcome

UNKNOWN_STOP: Mapping[str, object] = {
    "state": StopPhase.UNKNOWN,
    "interrupt_requested": False,
    "interrupt_id": None,
    "mode": None,
    "reason": None,
    "requested_at": None,
    "age_s": None,
}
"""The stop state where no daemon can be asked."""


_FORGIVEN = (exits.REFUSED, exits.UNAVAILABLE, exits.UNKNOWN_FOR_NOW)
"""The exit statuses that ``--best-effort`` turns into 0."""

_DAEMONS_OWN_TROUBLE = {errors.INTERNAL_ERROR, errors.OUTBOX_FULL, errors.STORAGE_FAILED, errors.SHUTTING_DOWN}
"""Refusals that are not the command's fault: the same command may succeed later."""


def emit(line: bytes) -> None:
    """Writes a line to stdout, as UTF-8 whatever the locale. A closed pipe is not a failure; others are ``streams``'s."""
    try:
        sys.stdout.buffer.write(line + b"\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else the interpreter's last flush would fail again


def warn(script: str, message: str) -> None:
    """Writes a diagnostic to stderr, as one line."""
    print(f"{script}.py: {message}", file=sys.stderr)  # noqa: T201 - a script's diagnostics


def described(outcome: Outcome) -> Mapping[str, Any]:
    """Returns an outcome as it is printed: the daemon's result, or ``{"error": {…}}``."""
    if outcome.result is not None:
        return outcome.result
    if outcome.request.action == "interrupt" and not isinstance(outcome.error, Refused):
        return UNKNOWN_STOP
    if isinstance(outcome.error, Refused):
        return {"error": {**outcome.error.data, "code": outcome.error.name, "message": outcome.error.message}}
    return {"error": {"code": "unavailable", "message": str(outcome.error)}}


def as_json(value: Mapping[str, Any]) -> bytes:
    """One line of JSON."""
    return jsonrpc.dumps(value)


def exit_status(outcomes: Sequence[Outcome]) -> int:
    """Returns the exit status of the outcomes, the gravest one; a requested stop goes before all others."""
    if any(outcome.result is not None and outcome.result.get("state") == StopPhase.REQUESTED for outcome in outcomes):
        return exits.STOP_REQUESTED
    if any(isinstance(outcome.error, Refused) and outcome.error.code not in _DAEMONS_OWN_TROUBLE for outcome in outcomes):
        return exits.REFUSED
    questions = [outcome for outcome in outcomes if outcome.request.action in ("interrupt", "wait")]
    commands = [outcome for outcome in outcomes if outcome not in questions]
    failed = [outcome for outcome in commands if outcome.error is not None]
    if failed and (len(failed) == len(commands) or any(outcome.request.action != "heartbeat" for outcome in failed)):
        return exits.UNAVAILABLE
    if any(_is_unknown(outcome) for outcome in questions):
        return exits.UNKNOWN_FOR_NOW
    return exits.SUCCESS


def forgiven(status: int, values: Mapping[str, Any], env: Mapping[str, str]) -> int:
    """Returns the exit status after ``--best-effort``."""
    best_effort = "best_effort" in values or env.get("CLAWLOG_BEST_EFFORT") == "1"
    return exits.SUCCESS if best_effort and status in _FORGIVEN else status


def _is_unknown(outcome: Outcome) -> bool:
    if outcome.result is None:
        return True
    return outcome.result.get("state") == StopPhase.UNKNOWN or outcome.result.get("flushed") is False
