"""How a backend is reached: through which proxy, and on whose certificates its name and ours are proved."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from clawlog import locations
from clawlog.protocol.addresses import proxy_of
from clawlogd.settings import LiveSettings

_CONNECTIONS = 8


class Misconfigured(Exception):  # noqa: N818 - names what is the case, as in clawlogd.errors
    """A setting keeps every request from being made; the text names it."""


class Network:
    """The way to backends.

    Args:
        env: Names the proxies.
        settings: Name the files with certificates.
    """

    def __init__(self, env: Mapping[str, str], settings: LiveSettings) -> None:
        self._env = env
        self._settings = settings

    def proxy(self, base_url: str) -> str | None:
        """The proxy for a backend; None for none."""
        return proxy_of(base_url, self._env)

    def certificates(self) -> tuple[object, ...]:
        """What the files with certificates are now: a connection pool made for others is to be replaced."""
        http = self._settings.now.http
        return tuple((path, _changed_ns(path)) for path in (http.ca_file, http.client_cert_file))

    def connector(self, base_url: str) -> aiohttp.TCPConnector:
        """A pool of connections for one backend.

        Raises:
            Misconfigured: A file does not hold what its setting says.
        """
        if urlsplit(base_url).scheme != "https":
            return aiohttp.TCPConnector(limit=max(_CONNECTIONS, self._settings.now.http.max_parallel))
        http = self._settings.now.http
        context = ssl.create_default_context()
        if http.ca_file is not None:
            try:
                locations.read_file(http.ca_file)  # which says what is wrong with it, and does not wait for a pipe's writer
                context.load_verify_locations(cafile=http.ca_file)
            except (OSError, ValueError) as error:
                raise Misconfigured(
                    f"http.ca_file: {http.ca_file} holds no certificate of an authority: {_said(error)}"
                ) from None
        if http.client_cert_file is not None:
            try:
                locations.read_file(http.client_cert_file)
                context.load_cert_chain(http.client_cert_file)
            except (OSError, ValueError) as error:
                raise Misconfigured(
                    f"http.client_cert_file: {http.client_cert_file} holds no certificate with its key: {_said(error)}"
                ) from None
        return aiohttp.TCPConnector(limit=max(_CONNECTIONS, self._settings.now.http.max_parallel), ssl=context)


def may_have_arrived(error: Exception) -> bool:
    """Whether a request may have reached the backend though no answer came: it failed after there was a connection."""
    return not isinstance(error, aiohttp.ClientConnectorError | aiohttp.ClientHttpProxyError | aiohttp.ConnectionTimeoutError)


def reason_of(error: Exception) -> str:
    """Why there was no answer, in a line for people; never with a proxy's password."""
    match error:
        case aiohttp.ClientHttpProxyError():
            return f"the proxy refuses: HTTP {error.status} {error.message}"[:300]
        case aiohttp.ClientProxyConnectionError():
            return f"cannot connect to the proxy {error.host}:{error.port}: {error.os_error.strerror or error.os_error}"
        case aiohttp.ClientConnectorCertificateError():
            fault = getattr(error.certificate_error, "verify_message", "") or error.certificate_error
            return f"the certificate of {error.host}:{error.port} is not trusted: {fault}; name its authority in http.ca_file"
        case aiohttp.ClientConnectorError():
            return f"cannot connect: {error.os_error.strerror or error.os_error}"
        case aiohttp.ServerDisconnectedError():
            return "the server closed the connection without an answer"
    hint = "; set http.client_cert_file" if "CERTIFICATE_REQUIRED" in str(error).upper().replace(" ", "_") else ""
    return f"{type(error).__name__}: {error}"[:300] + hint


def _said(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _changed_ns(path: str | None) -> int | None:
    try:
        return None if path is None else Path(path).stat().st_mtime_ns
    except OSError:
        return None
