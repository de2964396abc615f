"""Checks each request before any route sees it, and puts the headers on each answer that browsers act on.

- **Host**: a page that has its own name point to this machine (DNS rebinding) sends that name here. Only addresses,
  ``localhost`` and names that the operator gave are answered.
- **Origin**: a request that changes something has to come from this backend's own pages, or from no page at all.
- **Token**: where one is set, it is required as ``Authorization: Bearer``, or as the cookie of a login session; a change
  with the cookie also has to carry the session's CSRF token (see :mod:`clawlog_backend.access`).
"""

from __future__ import annotations

from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from clawlog_backend.access import Access
from clawlog_backend.domain.errors import DomainError
from clawlog_backend.domain.times import Clock
from clawlog_backend.http.limits import LET_IN, RateLimiter
from clawlog_backend.http.problems import CSRF_HEADER, Problem, problem_of

COOKIE = "clawlog_session"

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# What is needed to show the login form and to see that the backend is up. Neither shows anything about tasks.
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
_UNCACHED = (b"cache-control", b"no-store")

ANSWER_HEADERS = (*_RAW_HEADERS, _UNCACHED)
"""What the middleware adds to an answer that says nothing of caches: for one that does not pass through it."""


class SecurityMiddleware:
    """Refuses what may not pass, and adds the headers to each answer.

    Args:
        app: What answers the requests that pass.
        access: Who may use the backend.
        rates: How often a client may ask.
        names: The host names under which the backend may be reached, beside its addresses.
        clock: What time it is.
    """

    def __init__(self, app: ASGIApp, *, access: Access, rates: RateLimiter, names: Iterable[str], clock: Clock) -> None:
        self._app = app
        self._access = access
        self._rates = rates
        self._names = {"localhost", *(name.lower() for name in names)}
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), *_RAW_HEADERS]
                if not any(name == b"cache-control" for name, _ in headers):
                    headers.append(_UNCACHED)
                message["headers"] = headers
            await send(message)

        client = scope.get("client")
        try:
            self._rates.check(client[0] if client else "", self._clock())
            scope[LET_IN] = self._check(scope["method"], scope["path"], Headers(scope=scope))
        except (Problem, DomainError) as error:
            await problem_of(error).response()(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    def _check(self, method: str, path: str, headers: Headers) -> bool:
        """Lets a request pass; returns whether who sent it has shown that it may use the backend."""
        host = headers.get("host", "")
        self._check_host(host)
        changes = method not in _SAFE_METHODS
        if changes:
            _check_origin(headers.get("origin"), host)
        if not self._access.required or path in _OPEN_PATHS or path.startswith(_OPEN_FOLDERS):
            return not self._access.required
        scheme, _, credentials = headers.get("authorization", "").partition(" ")
        self._access.authorise(
            token=credentials.strip() if scheme.lower() == "bearer" else "",
            session=session_cookie(headers),
            csrf=headers.get(CSRF_HEADER, ""),
            changes=changes,
        )
        return True

    def _check_host(self, host: str) -> None:
        name = (urlsplit(f"//{host}").hostname or "") if _is_netloc(host) else ""
        if name.lower() in self._names or _is_address(name):
            return
        raise Problem(
            403,
            "unknown_host",
            f"This backend is not known as {host!r}: use its address, or start it with --allowed-host {name or 'NAME'}.",
        )


def session_cookie(headers: Headers) -> str | None:
    """The value of the login session's cookie, valid or not."""
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return None if cookie is None else cookie.value


def _check_origin(origin: str | None, host: str) -> None:
    if origin is None:  # not a browser's page
        return
    parts = urlsplit(origin) if _is_netloc(origin.partition("//")[2]) else None
    if parts is None or parts.scheme not in {"http", "https"} or parts.netloc.lower() != host.lower():
        raise Problem(403, "foreign_origin", f"A page of {origin!r} may not change anything here.")


def _is_netloc(text: str) -> bool:
    try:
        urlsplit(f"//{text}").port  # noqa: B018 - reading it is what checks it
    except ValueError:
        return False
    return bool(text) and not set(text) & set("/?#@\\ ")


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
