"""ZeroMQ: a ROUTER for REQ and DEALER sockets, one JSON value per message.

``ipc://`` lies in the private folder beside the Unix socket; ``tcp://`` needs CURVE and an allow-list of client keys.
"""

from __future__ import annotations

import asyncio
import itertools
import socket

import zmq
import zmq.asyncio
from zmq.auth.asyncio import AsyncioAuthenticator

from clawlog import locations
from clawlog.protocol.vocabulary import MAX_LINE_BYTES
from clawlogd.context import Origin, Peer
from clawlogd.instance import InstanceError
from clawlogd.rpc.dispatcher import Dispatcher
from clawlogd.rpc.inbox import HeldBytes
from clawlogd.rpc.zeromq_callers import Address, ZeromqCaller, peer_of
from clawlogd.settings import LiveSettings, SettingsError, check_zmq

_MAX_SENT = 1000  # messages that libzmq keeps for a caller; those that are large are counted in bytes
_MAX_RECEIVED = 64  # messages that libzmq reads ahead from a caller, each up to MAXMSGSIZE
_MAX_PER_TURN = 200  # messages, before other work of the event loop
_MAX_BYTES_PER_TURN = 1024 * 1024
_RETRY_SEND_S = 0.01  # until a message is sent again to a caller that does not read
_PROBE_S = 30.0  # how often callers that are only notified are looked for
_MANY_CALLERS = 256  # from here on they are looked for also when another arrives
_PROBED_PER_ARRIVAL = 2  # callers that are looked for when another arrives: more leave by it than come
_ALIVE = b'{"jsonrpc":"2.0","method":"daemon.alive","params":{}}'
_ELSEWHERE = Peer(Origin.NETWORK)
_MAX_FRAMES = 8  # identity, perhaps an empty delimiter, and the message; more is no request of ours


class ZeromqListener:
    """Serves a ZeroMQ endpoint.

    Args:
        endpoint: Such as ``ipc:///path`` or ``tcp://127.0.0.1:5555``.
        bound: For ``ipc``: a Unix socket that is bound already, private from birth.
        dispatcher: Runs the verbs.
        settings: The keys.
        held: How much all callers have in hand.

    Raises:
        SettingsError: A tcp endpoint without keys, or one of another kind.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        bound: socket.socket | None,
        dispatcher: Dispatcher,
        settings: LiveSettings,
        held: HeldBytes,
    ) -> None:
        check_zmq(endpoint, settings.now.listen)
        self._endpoint = endpoint
        self._dispatcher = dispatcher
        self._settings = settings
        self._held = held
        self._is_local = not endpoint.startswith("tcp://")
        self._context = zmq.Context()
        self._authenticator: AsyncioAuthenticator | None = None
        self._callers: dict[Address, ZeromqCaller] = {}
        self._probing: asyncio.Task[None] | None = None
        # Not an asyncio socket: that one makes a future for every message, which costs more than the message.
        self._socket = self._context.socket(zmq.ROUTER)
        self._socket.copy_threshold = 0  # what is sent without a copy is so whatever its size
        self._next_service: asyncio.Handle | None = None
        self._next_service_at = 0.0  # kept here: of a time that has come uvloop's handle does not say it
        self._socket.setsockopt(zmq.LINGER, 1000)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_LINE_BYTES * 2)  # over it libzmq drops the caller; up to it we answer
        self._socket.setsockopt(zmq.SNDHWM, _MAX_SENT)
        self._socket.setsockopt(zmq.RCVHWM, _MAX_RECEIVED)
        self._socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self._socket.setsockopt(zmq.ROUTER_HANDOVER, 1)
        if bound is not None:
            bound.listen(512)
            self._socket.setsockopt(zmq.USE_FD, bound.detach())
        elif endpoint.startswith("tcp://"):
            self._secure()

    async def start(self) -> None:
        """Begins to accept.

        Raises:
            InstanceError: The endpoint cannot be bound.
        """
        if self._authenticator is not None:
            self._authenticator.start()
        try:
            self._socket.bind(self._endpoint)
        except zmq.ZMQError as error:
            self._close()
            reason = zmq.strerror(error.errno or 0)
            raise InstanceError(f"{self._endpoint}: cannot be bound: {reason}; choose another with --zmq") from None
        asyncio.get_running_loop().add_reader(self._socket.FD, self._service)
        self._probing = asyncio.create_task(self._probe_all(), name="zeromq-probe")
        self._service()

    def rebind(self, bound: socket.socket, /) -> None:
        """Serves another socket at the same endpoint, beside the one that nobody can reach any more.

        Raises:
            InstanceError: libzmq cannot.
        """
        bound.listen(512)
        self._socket.setsockopt(zmq.USE_FD, bound.detach())
        try:
            self._socket.bind(self._endpoint)
        except zmq.ZMQError as error:
            raise InstanceError(f"{self._endpoint}: cannot be bound anew: {zmq.strerror(error.errno or 0)}") from None

    async def stop(self) -> None:
        """Closes the endpoint. Its path is for who bound it to remove."""
        if self._probing is not None:
            self._probing.cancel()
        for caller in self._callers.values():
            caller.conversation.close()
        self._close()

    def _close(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._socket.FD)
        if self._next_service is not None:
            self._next_service.cancel()
        if self._authenticator is not None:
            self._authenticator.stop()
        self._socket.close()
        self._context.term()

    def _service(self) -> None:
        """Receives what has arrived, and sends what could not be sent before.

        libzmq's descriptor is edge-triggered, and any use of the socket may clear it: so everything is received, and the socket
        is serviced again after each send.
        """
        if self._next_service is not None:
            self._next_service.cancel()
            self._next_service = None
        for caller in [each for each in self._callers.values() if each.waits]:
            caller.send_waiting()
            self._look_after(caller)
        arrived: dict[tuple[Address, Peer], list[bytes]] = {}
        size_bytes = 0
        for _ in range(_MAX_PER_TURN):
            try:
                frames, peer = self._receive()
            except zmq.Again:
                break
            if 2 <= len(frames) <= _MAX_FRAMES:
                arrived.setdefault((tuple(frames[:-1]), peer), []).append(frames[-1])
                size_bytes += len(frames[-1])
                if size_bytes > _MAX_BYTES_PER_TURN:
                    self._service_soon()
                    break
        else:
            self._service_soon()
        for (address, peer), messages in arrived.items():
            self._caller(address, peer).receive(messages)

    def _receive(self) -> tuple[list[bytes], Peer]:
        """The next message in its frames, and who sent it: another process may have taken over a caller's address."""
        if not self._is_local:
            return self._socket.recv_multipart(zmq.NOBLOCK), _ELSEWHERE
        frames = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
        return [frame.bytes for frame in frames], peer_of(frames[-1])

    def _service_soon(self, delay_s: float = 0.0) -> None:
        loop = asyncio.get_running_loop()
        at = loop.time() + delay_s
        if self._next_service is None or self._next_service_at > at:  # a caller that does not read delays no other
            if self._next_service is not None:
                self._next_service.cancel()
            self._next_service, self._next_service_at = loop.call_at(at, self._service), at

    def _caller(self, address: Address, peer: Peer) -> ZeromqCaller:
        caller = self._callers.get(address)
        if caller is not None:
            caller.conversation.session.peer = peer
        if caller is None:
            if len(self._callers) > _MANY_CALLERS:
                self._probe(_PROBED_PER_ARRIVAL)
            caller = self._callers[address] = ZeromqCaller(
                socket=self._socket,
                address=address,
                dispatcher=self._dispatcher,
                held=self._held,
                peer=peer,
                changed=self._look_after,
            )
        return caller

    def _look_after(self, caller: ZeromqCaller) -> None:
        """Forgets a caller that is done or gone; comes back to one for which something waits."""
        if caller.gone or caller.idle:
            if self._callers.get(caller.address) is caller:
                del self._callers[caller.address]
            if caller.gone:
                caller.conversation.close()
        # Each send may have cleared the descriptor, whatever became of the caller.
        self._service_soon(_RETRY_SEND_S if caller.waits and not caller.gone else 0.0)

    def _probe(self, count: int) -> None:
        """Finds out whether callers that are only notified have gone, those first that were not probed for longest."""
        for address in list(itertools.islice(self._callers, count)):
            caller = self._callers[address]
            if caller.only_notified:
                caller.try_to_send(_ALIVE)
            if caller.gone:
                self._look_after(caller)
            else:
                self._callers[address] = self._callers.pop(address)

    async def _probe_all(self) -> None:
        while True:
            await asyncio.sleep(_PROBE_S)
            self._probe(len(self._callers))

    def _secure(self) -> None:
        key_file = self._settings.now.listen.zmq_server_key_file
        assert key_file is not None  # noqa: S101 - see check_zmq
        try:
            secret = locations.read_file(key_file, 4096).decode("ascii").strip().encode()
            public = zmq.curve_public(secret)
        except (OSError, ValueError, zmq.ZMQError) as error:
            raise SettingsError(f"listen.zmq_server_key_file: {key_file}: no CURVE secret key: {error}") from None
        self._socket.setsockopt(zmq.CURVE_SERVER, 1)
        self._socket.setsockopt(zmq.CURVE_SECRETKEY, secret)
        self._socket.setsockopt(zmq.CURVE_PUBLICKEY, public)
        self._authenticator = AsyncioAuthenticator(zmq.asyncio.Context(self._context))
        self._authenticator.configure_curve_callback(domain="*", credentials_provider=_AllowList(self._settings))


class _AllowList:
    def __init__(self, settings: LiveSettings) -> None:
        self._settings = settings

    def callback(self, domain: str, key: bytes) -> bool:
        del domain
        return (
            key.decode("ascii") in self._settings.now.listen.zmq_client_keys
        )  # it comes as text (Z85), as the settings have it
