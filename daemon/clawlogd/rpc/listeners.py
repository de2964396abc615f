"""All the ways in by which callers connect, opened together and closed together."""

from __future__ import annotations

import grp
import socket
from collections.abc import Sequence
from typing import Protocol

from clawlogd.instance import bind_unix
from clawlogd.rpc.dispatcher import Dispatcher
from clawlogd.rpc.unix import UnixListener
from clawlogd.settings import LiveSettings, ipc_path


class _Listener(Protocol):
    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class Listeners:
    """The listeners of one daemon.

    Args:
        unix: The Unix sockets.
        zeromq: The ZeroMQ endpoint, if one is configured.
    """

    def __init__(self, unix: Sequence[UnixListener], zeromq: _Listener | None) -> None:
        self._unix = unix
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
    unix = [UnixListener(sock=sock, dispatcher=dispatcher, group=group, settings=settings) for sock in sockets]
    endpoint = settings.now.zmq
    if endpoint is None:
        return Listeners(unix, None)
    from clawlogd.rpc.zeromq import ZeromqListener  # noqa: PLC0415 - libzmq's memory, only where configured

    path = ipc_path(endpoint)
    bound = bind_unix(path) if path else None
    return Listeners(unix, ZeromqListener(endpoint=endpoint, bound=bound, dispatcher=dispatcher, settings=settings))
