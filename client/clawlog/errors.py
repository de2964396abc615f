"""Every error that this package raises, as one tree.

::

    ClawlogError
    ├── BadAddress          CLAWLOG_SOCKET, or the address given, is not one; or what it needs (pyzmq, keys) is missing
    ├── DaemonUnreachable   nothing answered: no daemon runs and none could be started, or it fell silent
    ├── ProtocolViolation   something answered that is no clawlogd
    ├── Refused             the daemon understood and declined: an unknown step, a bad value, a full outbox
    ├── SpoolFailed         the event could not be written down either: nothing keeps it
    └── SoftStop            not a fault: a person asked for a stop, and ``checkpoint()`` says so

``SoftStop`` is an ``Exception`` on purpose: code that catches everything around one item of its work goes on to its next
checkpoint, which raises it again, until the stop is acknowledged.
"""

# ruff: noqa: N818 - these names say what happened, and read as such where they are caught
from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ClawlogError(Exception):
    """What all errors of this package have in common."""


class BadAddress(ClawlogError):
    """The daemon's address does not name one, or lacks what its kind needs."""


class DaemonUnreachable(ClawlogError):
    """No daemon answered.

    Whether a call reached it is not known when the connection was lost after sending. Repeating the same ``Call`` is safe:
    it bears its ``event_id``, and the daemon takes each of those once.
    """


class ProtocolViolation(ClawlogError):
    """The other side does not speak the protocol of this version."""


class SpoolFailed(ClawlogError):
    """The spool could not be written: the event is kept nowhere."""


class Refused(ClawlogError):
    """The daemon declined a call; nothing of it was done.

    Attributes:
        code: The JSON-RPC error code, such as -32002 (``clawlog.protocol.errors`` has them all).
        name: The same by name, such as ``unknown_step``.
        message: What was wrong, what was expected, what to do.
        data: What else the daemon tells, such as ``steps``, the choices after an unknown one.
    """

    def __init__(self, code: int, message: str, data: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    @property
    def name(self) -> str:
        """The code by name, such as ``unknown_step``."""
        return str(self.data.get("code", "unknown"))


class SoftStop(ClawlogError):
    """A person asked for this task to stop at the next safe boundary.

    Attributes:
        task_id: The task it concerns.
        interrupt_id: The request; an acknowledgement answers this one.
        mode: ``soft_stop``.
        reason: The person's words, or None.
        requested_at: When, RFC 3339, or None where the backend does not tell.
    """

    def __init__(
        self, task_id: str, interrupt_id: str | None, mode: str | None, reason: str | None, requested_at: str | None
    ) -> None:
        super().__init__(f"A stop was requested: {reason}" if reason else "A stop was requested")
        self.task_id = task_id
        self.interrupt_id = interrupt_id
        self.mode = mode
        self.reason = reason
        self.requested_at = requested_at
