"""The Unix socket: one JSON value per line, for programs of the same user (or of an allowed group).

The socket is private from the moment it exists, and each caller's user is checked by its kernel credentials.
"""

from __future__ import annotations

import asyncio
import grp
import os
import pwd
import socket
import struct

import anyio

from clawlog.protocol.framing import LineReader
from clawlogd.logs import Log
from clawlogd.rpc.conversation import Conversation
from clawlogd.rpc.dispatcher import Dispatcher
from clawlogd.settings import LiveSettings, SettingsError

_BACKLOG = 512
_LAST_REPLIES_S = 2.0
_UCRED = struct.Struct("3i")  # pid, uid, gid: see unix(7), SO_PEERCRED
_MAX_UNSENT_BYTES = 1024 * 1024


class UnixListener:
    """Serves a bound Unix socket.

    Args:
        sock: The socket, bound; ``start`` listens on it.
        dispatcher: Runs the verbs.
        group: A group whose members are let in beside the daemon's own user.
        settings: How many callers at once.
    """

    def __init__(
        self, *, sock: socket.socket, dispatcher: Dispatcher, group: grp.struct_group | None, settings: LiveSettings
    ) -> None:
        self._socket = sock
        self._dispatcher = dispatcher
        self._settings = settings
        self._group = group
        self._connections: set[_Connection] = set()
        self._log = Log("unix")
        self._refused_full = False
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begins to accept."""
        # Not create_unix_server: from Python 3.13 on it removes the path at the end, which may be the service manager's.
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), sock=self._socket, backlog=_BACKLOG)

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

    def admit(self, connection: _Connection) -> bool:
        """Accepts a new connection, unless its user is not allowed or there are too many."""
        uid = connection.peer_uid()
        if uid not in {os.geteuid(), 0} and not self._in_group(uid):
            self._log.warning("peer_refused", uid=uid)
            return False
        if len(self._connections) >= self._settings.now.listen.max_connections:
            if not self._refused_full:
                self._log.warning("connections_full", max_connections=len(self._connections))
            self._refused_full = True
            return False
        self._refused_full = False
        self._connections.add(connection)
        return True

    def discard(self, connection: _Connection) -> None:
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


def allowed_group(name: str | None) -> grp.struct_group | None:
    """The group of the setting ``listen.group``.

    Raises:
        SettingsError: There is no such group.
    """
    try:
        return grp.getgrnam(name) if name else None
    except KeyError:
        raise SettingsError(f"listen.group: there is no group {name!r} here; make it, or leave the setting out") from None


class _Connection(asyncio.Protocol):
    def __init__(self, listener: UnixListener) -> None:
        self._listener = listener
        self._lines = LineReader()
        self._transport: asyncio.Transport | None = None
        self._ending = False
        self._gone = False
        self._write_paused = False  # the caller does not read its replies
        self._held = False  # too many of the caller's requests are unanswered
        self._answered: asyncio.Future[None] | None = None  # made when somebody waits for it
        self.conversation = Conversation(
            dispatcher=listener.dispatcher, send=self._send, hold=self._hold, answered=self._all_answered
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what a stream server makes
        self._transport = transport
        transport.set_write_buffer_limits(high=_MAX_UNSENT_BYTES)
        if not self._listener.admit(self):
            transport.abort()

    def peer_uid(self) -> int:
        assert self._transport is not None  # noqa: S101 - set when the connection was made
        raw = self._transport.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        return int(_UCRED.unpack(raw)[1])

    def data_received(self, data: bytes) -> None:
        lines = self._lines.feed(data)
        if lines:
            self.conversation.receive(lines)
        if self._lines.overflowed and not self._ending:
            self._end()
            self.conversation.receive([None])  # answered in its turn

    def eof_received(self) -> bool:
        # A caller that has shut its sending side (as nc -N does) still gets the replies that are due. Its last line may lack
        # a line end.
        self.data_received(b"\n")
        self._end()
        return not self.conversation.idle

    def pause_writing(self) -> None:
        self._write_paused = True
        self._pause_or_resume()

    def resume_writing(self) -> None:
        self._write_paused = False
        self._pause_or_resume()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._gone = True
        self._release_waiter()
        self.conversation.close()
        self._listener.discard(self)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _end(self) -> None:
        """Reads no more, and closes when every request has been answered."""
        self._ending = True
        self._pause_or_resume()

    async def until_answered(self) -> None:
        """Returns when no reply is due any more."""
        if not self._gone and not self.conversation.idle:
            self._answered = asyncio.get_running_loop().create_future()
            await self._answered

    def _all_answered(self) -> None:
        self._release_waiter()
        if self._ending:
            self.close()

    def _release_waiter(self) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(None)

    def _send(self, messages: list[bytes]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"\n".join(messages) + b"\n")

    def _hold(self, held: bool) -> None:  # noqa: FBT001 - a callback of one argument
        self._held = held
        self._pause_or_resume()

    def _pause_or_resume(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self._write_paused or self._held or self._ending:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()
