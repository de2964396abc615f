"""Every error that this package raises, as one tree.

::

    ClawlogError
    ├── BadAddress          CLAWLOG_SOCKET, or the address given, is not an address, or lacks what it needs (pyzmq, keys)
    ├── DaemonUnreachable   no daemon answered: none runs and none could be started, or it stopped answering
    ├── ProtocolViolation   the other side is not clawlogd, or of an unknown version
    ├── Refused             the daemon declined the call: an unknown step, a bad value, a full outbox
    ├── SpoolFailed         the event could not be written to the spool either, and is lost
    └── SoftStop            not a failure: a person asked for a stop; ``checkpoint()`` raises this

``SoftStop`` is an ``Exception`` on purpose: code that catches everything around one item of its work continues to its
next checkpoint, which raises it again, until the stop is acknowledged.
"""

# ruff: noqa: N818 - these names say what happened, and read as such where they are caught
from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class ClawlogError(Exception):
    """The base of all errors of this package."""


class BadAddress(ClawlogError):
    """The daemon's address is not valid, or lacks what its kind needs (pyzmq, keys)."""


class DaemonUnreachable(ClawlogError):
    """No daemon answered.

    Whether a call reached it is not known when the connection was lost after sending. Repeating the same ``Call`` is safe:
    it carries its ``event_id``, and the daemon accepts each of those once.
    """


class ProtocolViolation(ClawlogError):
    """The other side does not speak the protocol of this version."""


class SpoolFailed(ClawlogError):
    """The spool could not be written: the event is lost."""


class Refused(ClawlogError):
    """The daemon declined a call; it had no effect.

    Attributes:
        code: The JSON-RPC error code, such as -32002 (``clawlog.protocol.errors`` has them all).
        name: The same by name, such as ``unknown_step``.
        message: What was wrong, what was expected, what to do.
        data: Further members of the error, such as ``steps``: the existing ones, after an unknown one.
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
        task_id: The task.
        interrupt_id: The request, which an acknowledgement names.
        mode: ``soft_stop``.
        reason: The person's words, or None.
        requested_at: When, in RFC 3339; None where the backend does not say.
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
