"""What a task does when the daemon cannot be told: the user's work goes on, and the event is kept.

By default a failure is a warning of the logger ``clawlog``, never an exception and never a Python warning (which a program may
have turned into one), and the event goes to the spool. ``strict=True`` raises instead.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import TypeVar

from clawlog import spool
from clawlog.connection.calls import Call
from clawlog.errors import ClawlogError, DaemonUnreachable, Refused

T = TypeVar("T")

LOGGER = logging.getLogger("clawlog")

QUIET_S = 10.0
"""For how long the spool is used at once after the daemon did not answer: a hung one would cost every call its time-out."""


class Failures:
    """How one task takes the daemon's failures.

    Args:
        env: Where the spool is found by.
        strict: Whether to raise them.
    """

    def __init__(self, env: Mapping[str, str], *, strict: bool) -> None:
        self._env = env
        self._strict = strict
        self._quiet_until = 0.0

    def should_try_daemon(self) -> bool:
        """Whether it answered lately, as far as is known."""
        return time.monotonic() >= self._quiet_until

    def handle(self, call: Call[T], error: ClawlogError | None) -> T | None:
        """Makes the best of a call that the daemon did not take.

        Args:
            call: What was to be said.
            error: Why it was not; None when the daemon was not tried, because it has just failed.

        Returns:
            The spool's answer in the daemon's place; None where there is none.

        Raises:
            ClawlogError: The error itself, when strict.
        """
        if error is not None:
            if self._strict:
                raise error
            if isinstance(error, DaemonUnreachable):
                self._quiet_until = time.monotonic() + QUIET_S
        if isinstance(error, Refused) or not spool.is_spoolable(call.method):
            LOGGER.warning("%s was not taken: %s", call.method, error or "the daemon does not answer")
            return None
        try:
            (result,) = spool.keep([(call.method, call.params)], self._env)
        except ClawlogError as failure:
            LOGGER.warning("%s is lost: %s; %s", call.method, error or "the daemon does not answer", failure)
            return None
        if error is not None:
            LOGGER.warning("%s waits in the spool: %s", call.method, error)
        return call.decode_result(result)
