"""A bound on tries to log in, so that a token cannot be guessed by trying."""

from collections import deque

from clawlog_backend.http.problems import busy

_FAILURES = 10
_WINDOW_MS = 60_000
_CLIENTS = 1_000  # remembered at once


class LogInLimit:
    """Counts the tries that failed, per client address."""

    def __init__(self) -> None:
        self._failures: dict[str, deque[int]] = {}

    def check(self, client: str, now_ms: int) -> None:
        """Let a try pass.

        Raises:
            Problem: Too many failed within the last minute (429).
        """
        failures = self._failures.get(client)
        while failures and failures[0] <= now_ms - _WINDOW_MS:
            failures.popleft()
        if failures and len(failures) >= _FAILURES:
            wait_s = -((now_ms - _WINDOW_MS - failures[0]) // 1000)
            raise busy("Too many tries to log in failed: wait a minute.", retry_after_s=max(1, wait_s))

    def failed(self, client: str, now_ms: int) -> None:
        """Count a try that failed."""
        if client not in self._failures and len(self._failures) >= _CLIENTS:
            self._failures.pop(next(iter(self._failures)))
        self._failures.setdefault(client, deque()).append(now_ms)
