"""What a task does when the daemon cannot be reached: the user's work continues, and the event is kept.

By default a failure is a warning of the logger ``clawlog``, never an exception and never a Python warning (which a program may
have turned into one), and the event goes to the spool. ``strict=True`` raises instead.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Protocol, TypeVar

from clawlog import spool
from clawlog.connection.call import Call
from clawlog.errors import BadAddress, ClawlogError, DaemonUnreachable, Refused
from clawlog.protocol import errors
from clawlog.tasks.conversation import Attempt, Outcome, Unreached
from clawlog.tasks.exceptions import describe

T = TypeVar("T")


class _Warning(threading.local):
    active = False


_warning = _Warning()
"""Whether this thread is warning already, so that a logging handler calls within that."""

LOGGER = logging.getLogger("clawlog")

QUIET_S = 10.0
"""How long events go straight to the spool after a daemon did not answer: else a hung one would cost each call a timeout."""

_quiet_until: dict[str, float] = {}
"""By a daemon's address, until when this process's tasks do not ask it."""


def warn(text: str, *values: object) -> None:
    """Logs a warning; not one about what a logging handler of that very warning does."""
    if _warning.active:
        return
    _warning.active = True
    try:
        LOGGER.warning(text, *values)
    finally:
        _warning.active = False


class Titled(Protocol):
    """What a failure is about."""

    title: str


class Failures:
    """How one task handles the daemon's failures.

    Args:
        env: The environment variables that say where the spool is.
        strict: Whether to raise them.
        about: The task, which a refusal names.

    Attributes:
        where: The daemon's address; what one task finds out about it holds for all of this process.
    """

    def __init__(self, env: Mapping[str, str], *, strict: bool, about: Titled | None = None) -> None:
        self._env = env
        self._strict = strict
        self._about = about
        self.where = ""
        self._warned = False

    def should_try_daemon(self) -> bool:
        """Whether a call may reach the daemon: it has not failed to answer a moment ago."""
        return self._strict or time.monotonic() >= _quiet_until.get(self.where, 0.0)

    def outcome(self, attempt: Attempt, error: ClawlogError | None) -> Outcome:
        """Returns what an attempt that failed comes to.

        Args:
            attempt: The attempt.
            error: As of ``handle``.

        Raises:
            ClawlogError: The error itself, when strict.
        """
        if isinstance(error, Refused):
            if error.code in attempt.answers:
                return error.with_traceback(None)  # whose frames would hold each other, and what the program has in them
            error = self._named(error)
        elif not attempt.keep:
            self._note(error)
            if error is not None:
                warn("the daemon cannot be reached, and what is reported waits in the spool: %s", error)
            return Unreached.UNREACHED
        return self.handle(attempt.call, error)

    def handle(self, call: Call[T], error: ClawlogError | None) -> T | None:
        """Keeps a call that the daemon did not accept in the spool, or logs that it is lost.

        Args:
            call: The call.
            error: Why it failed; None when the daemon was not tried, because it has just failed.

        Returns:
            The spool's result in place of the daemon's; None where there is none.

        Raises:
            ClawlogError: The error itself, when strict.
        """
        self._note(error)
        declined = isinstance(error, Refused) and error.code not in errors.NOT_NOW
        if declined or not spool.is_spoolable(call.method):
            warn("%s was not accepted: %s", call.method, error or "the daemon does not answer")
            return None
        try:
            (result,) = spool.keep([(call.method, call.params)], self._env)
        except ClawlogError as failure:
            warn("%s is lost: %s; %s", call.method, error or "the daemon does not answer", failure)
            return None
        if error is not None or not self._warned:  # of a daemon that another task has found silent, too
            warn("%s waits in the spool: %s", call.method, error or "the daemon does not answer")
            self._warned = True
        return call.decode_result(result)

    def _note(self, error: ClawlogError | None) -> None:
        if error is None:
            return
        if self._strict:
            raise error
        if isinstance(error, DaemonUnreachable | BadAddress):
            _quiet_until[self.where] = time.monotonic() + QUIET_S

    def _named(self, refusal: Refused) -> Refused:
        """A refusal that says which task it is about: a program may have many."""
        if self._about is None or not self._about.title:
            return refusal
        return Refused(refusal.code, f"{refusal.message} (task {self._about.title!r})", refusal.data)

    def give_up(self, error: Exception) -> None:
        """Takes note of a report that could not be made at all, such as one with a text that is none.

        Raises:
            Exception: The error itself, when strict.
        """
        if self._strict:
            raise error
        warn("a report could not be made: %s", describe(error))
