"""All the ways in by which callers connect, opened together and closed together."""

from __future__ import annotations

import grp
import socket
from collections.abc import Callable, Sequence
from typing import Protocol

from clawlogd.instance import bind_unix
from clawlogd.rpc.dispatcher import Dispatcher
from clawlogd.rpc.inbox import HeldBytes
from clawlogd.rpc.unix import UnixListener
from clawlogd.settings import LiveSettings, ipc_path

_MAX_HELD_BYTES = 24 * 1024 * 1024  # by all callers together


class _Listener(Protocol):
    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def rebind(self, bound: socket.socket, /) -> None: ...


class Listeners:
    """The listeners of one daemon.

    Args:
        unix: The Unix sockets.
        zeromq: The ZeroMQ endpoint, if one is configured.
        make_unix: Makes a listener for one more Unix socket.
    """

    def __init__(
        self, unix: Sequence[UnixListener], zeromq: _Listener | None, make_unix: Callable[[socket.socket], UnixListener]
    ) -> None:
        self._unix = list(unix)
        self._make_unix = make_unix
        self._zeromq = zeromq

    async def start(self) -> None:
        """Begins to accept.

        Raises:
            InstanceError: The ZeroMQ endpoint cannot be bound.
        """
        if self._zeromq is not None:
            await self._zeromq.start()
        for listener in self._unix:
            await listener.start()

    async def rebind_unix(self, bound: socket.socket) -> None:
        """Serves a Unix socket in place of one that nobody can reach any more; who is connected stays."""
        listener = self._make_unix(bound)
        for lost in self._unix:
            if lost.path == listener.path:
                lost.stop_accepting()
        await listener.start()
        self._unix = [each for each in self._unix if each.connections or each.path != listener.path] + [listener]

    async def rebind_zeromq(self, bound: socket.socket) -> None:
        """Serves a socket for ZeroMQ in place of one that nobody can reach any more."""
        if self._zeromq is not None:
            self._zeromq.rebind(bound)

    @property
    def connections(self) -> int:
        """How many callers are connected to the Unix sockets."""
        return sum(listener.connections for listener in self._unix)

    def stop_accepting(self) -> None:
        """Accepts no new connections."""
        for listener in self._unix:
            listener.stop_accepting()

    async def stop(self) -> None:
        """Gives the requests that have begun a short time to be answered, and closes."""
        for listener in self._unix:
            await listener.stop()
        if self._zeromq is not None:
            await self._zeromq.stop()


def make_listeners(
    sockets: Sequence[socket.socket], group: grp.struct_group | None, dispatcher: Dispatcher, settings: LiveSettings
) -> Listeners:
    """Makes the listeners; none accepts yet.

    Args:
        sockets: The Unix sockets, bound.
        group: A group whose members are let in there beside the daemon's own user.
        dispatcher: Runs the verbs.
        settings: The ZeroMQ endpoint and its keys, and how many callers are let in.

    Raises:
        SettingsError: The ZeroMQ endpoint or its keys cannot be used.
        InstanceError: The path of an ``ipc`` endpoint cannot be bound.
    """
    held = HeldBytes(_MAX_HELD_BYTES)

    def make_unix(sock: socket.socket) -> UnixListener:
        return UnixListener(sock=sock, dispatcher=dispatcher, group=group, settings=settings, held=held)

    unix = [make_unix(sock) for sock in sockets]
    endpoint = settings.now.zmq
    if endpoint is None:
        return Listeners(unix, None, make_unix)
    from clawlogd.rpc.zeromq import ZeromqListener  # noqa: PLC0415 - libzmq's memory, only where configured

    path = ipc_path(endpoint)
    bound = bind_unix(path) if path else None
    zeromq = ZeromqListener(endpoint=endpoint, bound=bound, dispatcher=dispatcher, settings=settings, held=held)
    return Listeners(unix, zeromq, make_unix)
