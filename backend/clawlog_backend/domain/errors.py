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


class UnknownRule(NotFound):
    """No rule of notifications has this name."""

    code = "unknown_rule"
    _noun = "rule"

    def __init__(self, name: str) -> None:
        DomainError.__init__(self, f"No rule of notifications is named {name!r}.")


class ForeignCursor(DomainError):
    """A cursor of a list in another order, or of no list.

    Attributes:
        field: The query's field that does not fit.
    """

    code = "invalid"
    field = "cursor"

    def __init__(self, sort: str) -> None:
        super().__init__(f"cursor: not of a page that is sorted by {sort}: begin without one, or sort as that page was")


class Conflict(DomainError):
    """An event that contradicts the state of its task."""


class TaskExists(Conflict):
    """Another task has the id of the new one."""

    code = "task_exists"

    def __init__(self, task_id: str) -> None:
        super().__init__(f"Another task has the id {task_id!r} already.")


class TaskEnded(Conflict):
    """A stop was requested of a task that has ended, or it was to be closed."""

    code = "task_ended"

    def __init__(self, task_id: str, status: str) -> None:
        super().__init__(f"The task {task_id!r} is {status} already: there is nothing to stop or to close.")


class NoOpenInterrupt(Conflict):
    """A stop was acknowledged although none is open."""

    code = "no_open_interrupt"

    def __init__(self, task_id: str) -> None:
        super().__init__(f"No stop is open for the task {task_id!r}: there is nothing to acknowledge.")


class AgentAlive(Conflict):
    """A task was to be closed whose agent is still vouched for."""

    code = "agent_alive"

    def __init__(self, task_id: str) -> None:
        super().__init__(f"The agent of the task {task_id!r} is at work: ask it to stop instead of closing its task.")


class StillWaiting(Conflict):
    """What a waiting task needs is an answer: it cannot be put away unanswered."""

    code = "still_waiting"

    def __init__(self, task_id: str) -> None:
        super().__init__(f"The task {task_id!r} waits for a person's answer: give it to its agent, or close the task.")


class NothingToAcknowledge(Conflict):
    """The task needs nobody's attention."""

    code = "nothing_to_acknowledge"

    def __init__(self, task_id: str) -> None:
        super().__init__(f"The task {task_id!r} has neither failed nor lost its agent: there is nothing to acknowledge.")


class NothingToNotify(Conflict):
    """Nobody is to be told anything: the settings have no target."""

    code = "no_targets"

    def __init__(self) -> None:
        super().__init__("No target of notifications is set up: see docs/notifications.md.")


class TooMany(DomainError):
    """An event would give its task more of something than a task may have.

    Attributes:
        field: The event's field that is over the bound.
    """

    code = "too_many"

    def __init__(self, field: str, most: int, what: str) -> None:
        super().__init__(f"{field}: a task has at most {most} {what}")
        self.field = field


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
