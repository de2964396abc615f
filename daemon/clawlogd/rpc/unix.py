"""The Unix socket: one JSON value per line, for programs of the same user (or of an allowed group).

The socket is private from the moment it exists, and each caller's user is checked by its kernel credentials.
"""

from __future__ import annotations

import asyncio
import grp
import os
import pwd
import socket
import sys
from typing import Any

import anyio

from clawlogd.logs import Log
from clawlogd.rpc.connection import Connection
from clawlogd.rpc.dispatcher import Dispatcher
from clawlogd.rpc.inbox import HeldBytes
from clawlogd.settings import LiveSettings, SettingsError

_BACKLOG = 512
_LAST_REPLIES_S = 2.0


class UnixListener:
    """Serves a bound Unix socket.

    Args:
        sock: The socket, bound; ``start`` listens on it.
        dispatcher: Runs the verbs.
        group: A group whose members are let in beside the daemon's own user.
        settings: How many callers at once.
        held: How much all callers have in hand.

    Attributes:
        path: Where the socket was bound.
    """

    def __init__(
        self,
        *,
        sock: socket.socket,
        dispatcher: Dispatcher,
        group: grp.struct_group | None,
        settings: LiveSettings,
        held: HeldBytes,
    ) -> None:
        self.path: str | bytes = sock.getsockname()
        self._socket = sock
        self._dispatcher = dispatcher
        self._settings = settings
        self._group = group
        self._held = held
        self._connections: set[Connection] = set()
        self._log = Log("unix")
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begins to accept."""
        # From Python 3.13 on a server removes its path at the end unless told otherwise; it may be the service manager's.
        stays: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: Connection(self), sock=self._socket, backlog=_BACKLOG, **stays)

    def stop_accepting(self) -> None:
        """Accepts no new connections."""
        if self._server is not None:
            self._server.close()

    async def stop(self) -> None:
        """Gives the requests that have begun a short time to be answered, and closes."""
        with anyio.move_on_after(_LAST_REPLIES_S):
            for connection in list(self._connections):
                await connection.until_answered()
        for connection in list(self._connections):
            connection.close()

    @property
    def connections(self) -> int:
        """How many callers are connected."""
        return len(self._connections)

    def admit(self, connection: Connection, uid: int, /) -> bool:
        """Accepts a new connection, unless its user is not allowed or there are too many."""
        if uid not in {os.geteuid(), 0} and not self._in_group(uid):
            self._log.warning_seldom("peer_refused", uid=uid)
            return False
        if len(self._connections) >= self._settings.now.listen.max_connections:
            self._log.warning_seldom("connections_full", max_connections=len(self._connections))
            return False
        self._connections.add(connection)
        return True

    def discard(self, connection: Connection, /) -> None:
        """Forgets a connection that has closed."""
        self._connections.discard(connection)

    def _in_group(self, uid: int) -> bool:
        if self._group is None:
            return False
        try:
            user = pwd.getpwuid(uid)
        except KeyError:
            return False
        return user.pw_gid == self._group.gr_gid or user.pw_name in self._group.gr_mem

    @property
    def dispatcher(self) -> Dispatcher:
        """Runs the verbs."""
        return self._dispatcher

    @property
    def held(self) -> HeldBytes:
        """How much all callers have in hand."""
        return self._held


def allowed_group(name: str | None) -> grp.struct_group | None:
    """The group of the setting ``listen.group``.

    Raises:
        SettingsError: There is no such group.
    """
    try:
        return grp.getgrnam(name) if name else None
    except KeyError:
        raise SettingsError(f"listen.group: there is no group {name!r} here; make it, or leave the setting out") from None
