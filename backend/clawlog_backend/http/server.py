"""Serves the application with uvicorn: listens, reports where, and ends within seconds of a signal, whoever is connected."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import uvicorn

from clawlog_backend.backend import Backend
from clawlog_backend.domain.times import Clock, UtcMs
from clawlog_backend.http.app import create_app
from clawlog_backend.http.connections import BoundedConnection
from clawlog_backend.notify.rules import NO_RULES, Rules
from clawlog_backend.settings import Settings

_GRACE_S = 1  # for answers under way; streams and waiting polls are ended at once
_BACKLOG = 2_048
_OTHER_CONNECTIONS = 1_000  # beside streams and waiting polls
_DESCRIPTORS = 65_536


class ListenError(Exception):
    """The address cannot be listened on; the text says which one and why."""


class BackendServer:
    """A backend that listens.

    Args:
        settings: How to run.
        rules: Who is told what.
        clock: What time it is.

    Attributes:
        backend: What it serves.
    """

    def __init__(self, settings: Settings, *, rules: Rules = NO_RULES, clock: Clock = UtcMs.now) -> None:
        self._settings = settings
        self.backend = Backend(settings, rules=rules, clock=clock)
        config = uvicorn.Config(
            create_app(self.backend),
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE_S,
            timeout_keep_alive=75,  # longer than a long poll lasts, so that its connection is reused
            http=BoundedConnection,
            limit_concurrency=settings.max_streams + settings.max_polls + _OTHER_CONNECTIONS,
            ws="none",
        )
        self._server = _UvicornServer(config, backend=self.backend)

    async def run(self, *, on_listening: Callable[[str, int], None]) -> None:
        """Serve until SIGTERM, SIGINT or :meth:`stop`.

        Args:
            on_listening: Called with the URL and the port once requests are answered.

        Raises:
            ListenError: The address cannot be listened on.
            DatabaseError: The database cannot be used.
        """
        host = self._settings.host
        _allow_many_connections()
        async with self.backend:
            with contextlib.closing(_listen(host, self._settings.port)) as listener:
                port = listener.getsockname()[1]
                shown = f"[{host}]" if ":" in host else host

                def on_started() -> None:
                    url = f"http://{shown}:{port}"
                    self.backend.announce(url)
                    on_listening(url, port)

                self._server.on_started = on_started
                await self._server.serve(sockets=[listener])

    def stop(self) -> None:
        """Make :meth:`run` return within seconds. Safe to call twice, on the loop that runs it."""
        self._server.should_exit = True


class _UvicornServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, *, backend: Backend) -> None:
        super().__init__(config)
        self._backend = backend
        self.on_started: Callable[[], None] = lambda: None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, then report it."""
        await super().startup(sockets)
        self.on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End open streams and long polls first: uvicorn waits for every connection."""
        self._backend.release_waiters()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's signature
        """Shut down. The signal is not raised again as uvicorn does: a requested end has exit status 0."""
        self.should_exit = True


def _allow_many_connections() -> None:
    # Each stream and each long poll holds a descriptor, and 1,024 is a common soft limit, which a program may raise.
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _listen(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _name, address = found[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(_BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        reason = error.strerror or error
        raise ListenError(f"cannot listen on {host}:{port}: {reason}; name another one with --host and --port") from error
    return listener


def write_port_file(path: Path, port: int) -> None:
    """Write the port under ``path`` in one step: whoever sees the file can connect. A link or a pipe stays what it is."""
    text = f"{port}\n"
    target = Path(os.path.realpath(path))
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o600
    if target.exists() and (not target.is_file() or target.stat().st_nlink > 1):
        target.write_text(text, encoding="ascii")
        return
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            os.fchmod(descriptor, mode)
            file.write(text)
        Path(temporary).replace(target)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
