"""The protocol's errors: one exception, and the closed set of codes it may carry.

The codes from -32700 to -32600 are JSON-RPC 2.0's own (section 5.1 of its specification); those from -32001 down are ours.
"""

from __future__ import annotations

from collections.abc import Mapping

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603

UNKNOWN_TASK = -32001
UNKNOWN_STEP = -32002
TASK_FINISHED = -32003
OUTBOX_FULL = -32004
SHUTTING_DOWN = -32005
STORAGE_FAILED = -32006
TOO_LARGE = -32007
NO_OPEN_INTERRUPT = -32008

NAMES: Mapping[int, str] = {
    PARSE_ERROR: "parse_error",
    INVALID_REQUEST: "invalid_request",
    METHOD_NOT_FOUND: "method_not_found",
    INVALID_PARAMS: "invalid_params",
    INTERNAL_ERROR: "internal_error",
    UNKNOWN_TASK: "unknown_task",
    UNKNOWN_STEP: "unknown_step",
    TASK_FINISHED: "task_finished",
    OUTBOX_FULL: "outbox_full",
    SHUTTING_DOWN: "shutting_down",
    STORAGE_FAILED: "storage_failed",
    TOO_LARGE: "too_large",
    NO_OPEN_INTERRUPT: "no_open_interrupt",
}
"""The value of ``data.code`` for each code."""

NOT_NOW = frozenset({OUTBOX_FULL, SHUTTING_DOWN, STORAGE_FAILED})
"""Refusals that are no fault of the call: nothing of it was done, and its caller writes it to the spool."""


class RpcError(Exception):
    """A refusal, as it travels in a reply's ``error`` member.

    Args:
        code: One of this module's codes.
        message: One sentence: what was wrong, what was expected, what to do.
        data: Further members of the error's ``data``; ``code`` is added by name.
    """

    def __init__(self, code: int, message: str, **data: object) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data: dict[str, object] = {"code": NAMES.get(code, "unknown"), **data}

    @property
    def name(self) -> str:
        """The error's name, such as ``unknown_task``: the value of ``data.code``."""
        return str(self.data["code"])

    def as_member(self) -> dict[str, object]:
        """The JSON-RPC error object."""
        return {"code": self.code, "message": self.message, "data": self.data}


def invalid_params(field: str, message: str, hint: str) -> RpcError:
    """Returns an ``INVALID_PARAMS`` error that names the field and says what is expected."""
    return RpcError(INVALID_PARAMS, f"{field}: {message}; {hint}", field=field, hint=hint)
