"""How a request of the commands reaches a backend, and its answer them: HTTP with the daemon's token, proxy and certificates.

It is loaded by the first request: urllib takes longer to import than most commands take without a backend.
"""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clawlog import exits, locations
from clawlog.cli.errors import BackendRefused, BackendUnreachable, CommandError
from clawlog.cli.render.texts import cleaned
from clawlog.cli.sources import configuration
from clawlog.protocol.addresses import proxy_of
from clawlog.protocol.ids import new_uuid
from clawlog.protocol.summary import any_line

_MAX_REPLY_BYTES = 16 * 1024 * 1024
_MAX_REASON_CHARS = 300


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer: its JSON, and the server's date."""

    content: Any
    date: str | None


class Transport:
    """The way to one backend.

    Args:
        base_url: Its address, without a slash at the end.
        env: The environment variables that say where the token is.
        timeout_s: How long to wait for an answer.
    """

    def __init__(self, base_url: str, env: Mapping[str, str], *, timeout_s: float) -> None:
        self.base_url = base_url
        self._timeout_s = timeout_s
        settings = configuration.load(env)
        self._token = configuration.token(settings, self.base_url, env)
        # The daemon's proxy and certificates, so that both reach the same server. No redirects: they would send the token
        # elsewhere.
        try:
            proxy = proxy_of(self.base_url, env)
        except ValueError:
            proxy = None  # no address at all, as the first request says
        proxies = {"http": proxy, "https": proxy} if proxy else {}
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler(proxies), _Https(_tls(settings)), _NoRedirects())

    def exchange(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Answer:
        """Makes one request.

        Raises:
            BackendUnreachable: It did not answer, or not in JSON.
            BackendRefused: It declined.
        """
        headers = {"Accept": "application/json"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers |= {"Content-Type": "application/json", "Idempotency-Key": new_uuid()}
        try:
            request = urllib.request.Request(self.base_url + path, data=data, headers=headers, method=method)  # noqa: S310 - http(s): see below
        except ValueError:
            raise BackendUnreachable(f"{self.base_url!r} is not an address") from None
        if request.type not in ("http", "https"):
            raise BackendUnreachable(f"{self.base_url!r} is not an http:// or https:// address")
        try:
            with self._opener.open(request, timeout=self._timeout_s) as answer:
                content, date = answer.read(_MAX_REPLY_BYTES), answer.headers.get("Date")
        except urllib.error.HTTPError as error:
            with error:
                raise BackendRefused(f"{self.base_url}: {_explain(error)}", error.code, error.headers.get("Date")) from None
        except OSError as error:
            reason = getattr(error, "reason", None) or error
            if isinstance(reason, ssl.SSLCertVerificationError):
                raise BackendUnreachable(
                    f"the certificate of {self.base_url} is not trusted: {reason.verify_message}; "
                    "name its authority in http.ca_file"
                ) from None
            reason = any_line(reason, _MAX_REASON_CHARS)
            raise BackendUnreachable(f"{self.base_url} does not answer: {reason}; is the backend running?") from None
        except (http.client.HTTPException, ValueError) as error:
            reason = any_line(f"{type(error).__name__}: {error}", _MAX_REASON_CHARS)
            raise BackendUnreachable(f"{self.base_url} does not answer in HTTP ({reason}): is it a ClawLog backend?") from None
        try:
            return Answer(_decode(content), date)
        except (ValueError, RecursionError):
            raise BackendUnreachable(f"{self.base_url} does not answer with JSON: is it a ClawLog backend?") from None


def _tls(settings: configuration.Configuration) -> ssl.SSLContext | None:
    """How certificates are proved and shown; None where no setting says anything of it.

    Raises:
        CommandError: A file does not hold what its setting says.
    """
    if settings.ca_file is None and settings.client_cert_file is None:
        return None
    context = ssl.create_default_context()
    key, path = "http.ca_file", settings.ca_file
    try:
        if path is not None:
            locations.read_file(path)  # which does not wait for a pipe's writer
            context.load_verify_locations(cafile=path)
        key, path = "http.client_cert_file", settings.client_cert_file
        if path is not None:
            locations.read_file(path)
            context.load_cert_chain(path)
    except (OSError, ValueError) as error:
        raise CommandError(f"{key}: {path} holds no certificate: {error}", exits.USAGE) from None
    return context


class _Https(urllib.request.HTTPSHandler):
    """Opens ``https://`` addresses. Only then are the system's authorities read: that takes twenty milliseconds."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        urllib.request.AbstractHTTPHandler.__init__(self)  # HTTPSHandler's own reads them, from Python 3.12 on
        self._given = context

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(http.client.HTTPSConnection, req, context=self._given or ssl.create_default_context())


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Treats a redirect as an error."""


def _explain(error: urllib.error.HTTPError) -> str:
    """Returns a problem document's text (RFC 9457), or the plain status."""
    try:
        problem = _decode(error.read(64 * 1024))
        text = any_line(problem.get("detail") or problem.get("title") or "", _MAX_REASON_CHARS)
    except (ValueError, AttributeError, OSError, RecursionError, http.client.HTTPException):
        text = ""
    return f"{text} (HTTP {error.code})" if text else f"HTTP {error.code} {any_line(error.reason, _MAX_REASON_CHARS)}".rstrip()


def _decode(content: bytes) -> Any:
    """Returns a reply's JSON, cleaned; bytes that are no text are replaced.

    Raises:
        ValueError: It is not JSON.
        RecursionError: It is nested too deeply.
    """
    return cleaned(json.loads(content.decode("utf-8-sig", "replace")))
