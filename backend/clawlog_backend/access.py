"""Who may use the backend: the token, the login sessions that it opens, and a bound on guesses at it. No HTTP.

No session is stored: a session is a signed end date, so a restart logs nobody out, and changing the token logs everybody out.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from clawlog_backend.domain.errors import Busy, ForgedRequest, TokenRequired, WrongToken
from clawlog_backend.domain.times import Clock

SESSION_S = 7 * 86_400

_FAILED_LOGINS = 10
LOGIN_WINDOW_MS = 60_000
_CLIENTS = 1_000  # remembered at once


@dataclass(frozen=True, slots=True)
class LoginSession:
    """A valid login session.

    Attributes:
        value: What its browser keeps as a cookie.
        csrf: The token that a change under this session has to carry, against forged requests.
    """

    value: str
    csrf: str


@dataclass(frozen=True, slots=True)
class EndedSession:
    """A session that ended before its time.

    Attributes:
        digest: Of its value; opens nothing.
        until_s: When it would have ended, in seconds since the epoch.
    """

    digest: str
    until_s: int


class Access:
    """Decides who may use the backend.

    Args:
        token: What callers have to present; ``None`` lets everyone in.
        clock: What time it is.
    """

    def __init__(self, token: str | None, *, clock: Clock) -> None:
        self._token = token
        self._clock = clock
        # A key of its own, so that no signature reveals anything about the token.
        self._key = hashlib.sha256(b"clawlog session\0" + (token or "").encode()).digest()
        self._ended: dict[str, int] = {}
        self._attempts = _LoginAttempts()

    @property
    def required(self) -> bool:
        """Whether callers have to present a token."""
        return self._token is not None

    def authorise(self, *, token: str, session: str | None, csrf: str, changes: bool) -> None:
        """Let a request pass.

        Args:
            token: The token that the caller presents; empty where it presents none.
            session: The session that the caller presents, if any.
            csrf: The CSRF token that the caller presents; empty where it presents none.
            changes: Whether the request changes anything.

        Raises:
            TokenRequired: Neither token nor session is valid.
            ForgedRequest: It is a change under a session, without that session's CSRF token.
        """
        if self._token is None or self._matches(token):
            return
        found = self.session(session)
        if found is None:
            raise TokenRequired
        if changes and not hmac.compare_digest(csrf.encode(), found.csrf.encode()):
            raise ForgedRequest

    def log_in(self, token: str, *, client: str) -> LoginSession:
        """Open a session, valid for :data:`SESSION_S`.

        Args:
            token: The token that the client presents.
            client: The client's address.

        Raises:
            WrongToken: It is not the backend's token.
            Busy: Too many logins from this address failed within the last minute.
        """
        now = self._clock()
        self._attempts.check(client, now)
        if not self._matches(token):
            self._attempts.count_failure(client, now)
            raise WrongToken
        body = f"{now // 1000 + SESSION_S}.{secrets.token_urlsafe(18)}"
        return self._session(f"{body}.{self._sign('session', body)}")

    def log_out(self, session: LoginSession) -> EndedSession:
        """End a session before its time."""
        ended = EndedSession(_digest(session.value), int(session.value.partition(".")[0]))
        self.end_sessions({ended.digest: ended.until_s})
        return ended

    def end_sessions(self, ended: Mapping[str, int]) -> None:
        """End sessions that ended elsewhere: by their digests, and when they would have ended, in seconds since the epoch."""
        now = self._clock() // 1000
        known = self._ended | dict(ended)
        self._ended = {digest: until_s for digest, until_s in known.items() if until_s > now}

    def note_failures(self, client: str, times_ms: Iterable[int]) -> None:
        """Take the failed logins of a client from what all replicas have seen of it, the earliest first."""
        self._attempts.replace(client, times_ms)

    def session(self, value: str | None) -> LoginSession | None:
        """The session with this value, if it is valid."""
        if value is None or self._token is None:
            return None
        body, _, signature = value.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign("session", body).encode()):
            return None
        if int(body.partition(".")[0]) <= self._clock() // 1000 or _digest(value) in self._ended:
            return None
        return self._session(value)

    def _matches(self, token: str) -> bool:
        """Whether this is the backend's token; takes the same time whatever the difference."""
        return self._token is not None and hmac.compare_digest(token.encode(), self._token.encode())

    def _session(self, value: str) -> LoginSession:
        return LoginSession(value, self._sign("csrf", value))

    def _sign(self, purpose: str, text: str) -> str:
        digest = hmac.digest(self._key, f"{purpose}\0{text}".encode(), "sha256")
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


class _LoginAttempts:
    """Counts failed logins per client address, so that the token cannot be guessed by trying."""

    def __init__(self) -> None:
        self._failures: dict[str, deque[int]] = {}

    def check(self, client: str, now_ms: int) -> None:
        failures = self._failures.get(client)
        while failures and failures[0] <= now_ms - LOGIN_WINDOW_MS:
            failures.popleft()
        if failures and len(failures) >= _FAILED_LOGINS:
            wait_s = -((now_ms - LOGIN_WINDOW_MS - failures[0]) // 1000)
            raise Busy("Too many tries to log in failed: wait a minute.", retry_after_s=max(1, wait_s))

    def replace(self, client: str, times_ms: Iterable[int]) -> None:
        if client not in self._failures and len(self._failures) >= _CLIENTS:
            self._failures.pop(next(iter(self._failures)))
        self._failures[client] = deque(times_ms)

    def count_failure(self, client: str, now_ms: int) -> None:
        if client not in self._failures and len(self._failures) >= _CLIENTS:
            self._failures.pop(next(iter(self._failures)))
        self._failures.setdefault(client, deque()).append(now_ms)
