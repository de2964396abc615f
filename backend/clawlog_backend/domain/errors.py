"""What can be wrong with an event, a query or a caller, in the domain's own terms: no status code, no header, no route.

Each error's text says what was wrong and what to do. :mod:`clawlog_backend.http.problems` alone turns these into HTTP answers.
The names state a condition rather than end in ``Error``, as they read best where they are raised and matched.
"""

from __future__ import annotations

from typing import ClassVar


class DomainError(Exception):
    """An error that is reported to the caller.

    Attributes:
        code: What went wrong, for programs. Stable: it is part of the HTTP contract.
    """

    code: ClassVar[str]


# ── Events and queries ──────────────────────────────────────────────────────────────────────────────────────────────────


class NotFound(DomainError):
    """An id that nothing has."""

    _noun: ClassVar[str]

    def __init__(self, identifier: str) -> None:
        super().__init__(f"No {self._noun} has the id {identifier!r}.")


class UnknownTask(NotFound):
    """No task has this id."""

    code = "unknown_task"
    _noun = "task"


class UnknownStep(NotFound):
    """The task has no step with this id."""

    code = "unknown_step"
    _noun = "step"


class UnknownInterrupt(NotFound):
    """The task has no stop with this id."""

    code = "unknown_interrupt"
    _noun = "interrupt"


class Conflict(DomainError):
    """An event that contradicts the state of its task."""


class TaskExists(Conflict):
    """Another task has the id of the new one."""

    code = "task_exists"

    def __init__(self, task_id: str) -> None:
        super().__init__(f"Another task has the id {task_id!r} already.")


class TaskEnded(Conflict):
    """A stop was requested of a task that has ended."""

    code = "task_ended"

    def __init__(self, task_id: str, status: str) -> None:
        super().__init__(f"The task {task_id!r} is {status}: there is nothing to stop.")


class NoOpenInterrupt(Conflict):
    """A stop was acknowledged although none is open."""

    code = "no_open_interrupt"

    def __init__(self, task_id: str) -> None:
        super().__init__(f"No stop is open for the task {task_id!r}: there is nothing to acknowledge.")


# ── The backend's own state ─────────────────────────────────────────────────────────────────────────────────────────────


class Busy(DomainError):
    """A bound on number or rate was reached.

    Attributes:
        retry_after_s: When to try again, in seconds.
    """

    code = "too_many_requests"

    def __init__(self, detail: str, *, retry_after_s: int) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class Unavailable(DomainError):
    """The backend cannot do its work for now.

    Attributes:
        retry_after_s: When to try again, in seconds.
    """

    code = "unavailable"

    def __init__(self, detail: str, *, retry_after_s: int) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


# ── Callers ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


class AccessDenied(DomainError):
    """The caller may not do this."""


class TokenRequired(AccessDenied):
    """The caller presented neither the token nor a valid login session."""

    code = "unauthorized"


class WrongToken(AccessDenied):
    """A login with another token than the backend's."""

    code = "wrong_token"

    def __init__(self) -> None:
        super().__init__("This is not the backend's token.")


class ForgedRequest(AccessDenied):
    """A change under a login session without the session's CSRF token, as another site's page could send it."""

    code = "csrf"
