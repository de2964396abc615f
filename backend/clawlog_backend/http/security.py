"""Who may do what: checks each request before any route sees it, and puts the headers on each answer that browsers act on.

- **Host**: a page that has its own name point to this machine (DNS rebinding) sends that name here. Only addresses,
  ``localhost`` and names that the operator gave are answered.
- **Origin**: a request that changes something has to come from this backend's own pages, or from no page at all.
- **Token**: where one is set, it is wanted as ``Authorization: Bearer``, or as the cookie of a log-in; requests with the cookie
  that change something also have to show the log-in's CSRF token.

No session is kept: the cookie is a signed end date, so that a restart logs nobody out, and another token logs everybody out.
"""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clawlog_backend.domain.times import Clock
from clawlog_backend.http.limits import RequestRates
from clawlog_backend.http.problems import Problem
from clawlog_backend.settings import Settings

COOKIE = "clawlog_session"
CSRF_HEADER = "X-CSRF-Token"
SESSION_S = 7 * 86_400

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# What is needed to show the log-in form and to see that the backend is up. Neither says anything of tasks.
_OPEN_PATHS = frozenset({"/", "/healthz", "/readyz", "/api/session", "/openapi.json"})
_OPEN_FOLDERS = ("/static/", "/tasks/")

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_RAW_HEADERS = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]


@dataclass(frozen=True, slots=True)
class Session:
    """A log-in that is valid: the cookie's value, and the token against forged requests that belongs to it."""

    value: str
    csrf: str


class Gatekeeper:
    """Knows the token, and which log-ins are valid.

    Args:
        settings: How the backend runs.
        clock: What time it is.
    """

    def __init__(self, settings: Settings, *, clock: Clock) -> None:
        self._token = settings.token
        self.clock = clock
        self._names = {"localhost", settings.host.lower(), *(name.lower() for name in settings.allowed_hosts)}
        # A key of its own, so that no signature tells anything about the token.
        self._key = hashlib.sha256(b"clawlog session\0" + (settings.token or "").encode()).digest()
        self._ended: dict[str, int] = {}

    @property
    def required(self) -> bool:
        """Whether callers have to show a token."""
        return self._token is not None

    def token_matches(self, offered: str) -> bool:
        """Whether this is the token; takes the same time whatever the difference."""
        return self._token is not None and hmac.compare_digest(offered.encode(), self._token.encode())

    def log_in(self) -> Session:
        """A new session, valid for :data:`SESSION_S`."""
        body = f"{self.clock() // 1000 + SESSION_S}.{secrets.token_urlsafe(18)}"
        return self._session(f"{body}.{self._sign('session', body)}")

    def log_out(self, session: Session) -> None:
        """Make a session invalid before its end."""
        now = self.clock() // 1000
        self._ended = {value: end for value, end in self._ended.items() if end > now}
        self._ended[session.value] = int(session.value.partition(".")[0])

    def session_of(self, headers: Headers) -> Session | None:
        """The session that a request's cookie names, where it is valid."""
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return None
        if cookie is None or self._token is None:
            return None
        body, _, signature = cookie.value.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign("session", body).encode()):
            return None
        if int(body.partition(".")[0]) <= self.clock() // 1000 or cookie.value in self._ended:
            return None
        return self._session(cookie.value)

    def check(self, method: str, path: str, headers: Headers) -> None:
        """Let a request pass, or say why not.

        Raises:
            Problem: It comes under a name or from a page that is not this backend's (403), or shows no valid token (401).
        """
        host = headers.get("host", "")
        self._check_host(host)
        changes = method not in _SAFE_METHODS
        if changes:
            _check_origin(headers.get("origin"), host)
        if not self.required or path in _OPEN_PATHS or path.startswith(_OPEN_FOLDERS):
            return
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.token_matches(credentials.strip()):
            return
        session = self.session_of(headers)
        if session is None:
            raise Problem(
                401,
                "unauthorized",
                "Send the backend's token as 'Authorization: Bearer TOKEN', or log in.",
                headers={"WWW-Authenticate": 'Bearer realm="clawlog"'},
            )
        if changes and not hmac.compare_digest(headers.get(CSRF_HEADER, "").encode(), session.csrf.encode()):
            raise Problem(403, "csrf", f"A request with the log-in's cookie has to send its CSRF token as {CSRF_HEADER}.")

    def _check_host(self, host: str) -> None:
        name = (urlsplit(f"//{host}").hostname or "") if _is_netloc(host) else ""
        if name.lower() in self._names or _is_address(name):
            return
        raise Problem(
            403,
            "unknown_host",
            f"This backend is not known as {host!r}: use its address, or start it with --allowed-host {name or 'NAME'}.",
        )

    def _session(self, value: str) -> Session:
        return Session(value, self._sign("csrf", value))

    def _sign(self, purpose: str, text: str) -> str:
        digest = hmac.digest(self._key, f"{purpose}\0{text}".encode(), "sha256")
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _check_origin(origin: str | None, host: str) -> None:
    if origin is None:  # not a browser's page
        return
    parts = urlsplit(origin) if _is_netloc(origin.partition("//")[2]) else None
    if parts is None or parts.scheme not in {"http", "https"} or parts.netloc.lower() != host.lower():
        raise Problem(403, "foreign_origin", f"A page of {origin!r} may not change anything here.")


def _is_netloc(text: str) -> bool:
    try:
        urlsplit(f"//{text}").port  # noqa: B018 -- reading it is what checks it
    except ValueError:
        return False
    return bool(text) and not set(text) & set("/?#@\\ ")


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


class SecurityMiddleware:
    """Asks the gatekeeper about each request that does not come too often, and adds the headers to each answer."""

    def __init__(self, app: ASGIApp, gatekeeper: Gatekeeper, rates: RequestRates) -> None:
        self._app = app
        self._gatekeeper = gatekeeper
        self._rates = rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), *_RAW_HEADERS]
                if not any(name == b"cache-control" for name, _ in headers):
                    headers.append((b"cache-control", b"no-store"))
                message["headers"] = headers
            await send(message)

        client = scope.get("client")
        try:
            self._rates.check(client[0] if client else "", self._gatekeeper.clock())
            self._gatekeeper.check(scope["method"], scope["path"], Headers(scope=scope))
        except Problem as problem:
            await problem.response()(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)
