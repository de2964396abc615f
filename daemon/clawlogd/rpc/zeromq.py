"""ZeroMQ: a ROUTER for REQ and DEALER sockets, one JSON value per message.

``ipc://`` lies in the private folder beside the Unix socket; ``tcp://`` needs CURVE and an allow-list of client keys.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from pathlib import Path

import zmq
import zmq.asyncio
from zmq.auth.asyncio import AsyncioAuthenticator

from clawlog.protocol.vocabulary import MAX_LINE_BYTES
from clawlogd.instance import InstanceError
from clawlogd.logs import Log
from clawlogd.rpc.conversation import Conversation
from clawlogd.rpc.dispatcher import Dispatcher
from clawlogd.settings import LiveSettings, SettingsError, check_zmq, ipc_path

_HIGH_WATER_MARK = 10_000
_MAX_PER_TURN = 500  # messages, before other work of the event loop
_RETRY_SEND_S = 0.05  # until a message is sent again to a caller that does not read
_MAX_FRAMES = 8  # identity, perhaps an empty delimiter, and the message; more is no request of ours


class ZeromqListener:
    """Serves a ZeroMQ endpoint.

    Args:
        endpoint: Such as ``ipc:///path`` or ``tcp://127.0.0.1:5555``.
        bound: For ``ipc``: a Unix socket that is bound already, private from birth.
        dispatcher: Runs the verbs.
        settings: The keys.

    Raises:
        SettingsError: A tcp endpoint without keys, or one of another kind.
    """

    def __init__(self, *, endpoint: str, bound: socket.socket | None, dispatcher: Dispatcher, settings: LiveSettings) -> None:
        check_zmq(endpoint, settings.now.listen)
        self._endpoint = endpoint
        self._dispatcher = dispatcher
        self._settings = settings
        self._log = Log("zeromq")
        self._context = zmq.Context()
        self._authenticator: AsyncioAuthenticator | None = None
        self._conversations: dict[bytes, Conversation] = {}
        # Not an asyncio socket: that one makes a future for every message, which costs more than the message.
        self._socket = self._context.socket(zmq.ROUTER)
        self._unsent: dict[bytes, deque[list[bytes]]] = {}
        self._next_service: asyncio.TimerHandle | None = None
        self._socket.setsockopt(zmq.LINGER, 1000)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_LINE_BYTES * 2)  # over it libzmq drops the caller; up to it we answer
        self._socket.setsockopt(zmq.SNDHWM, _HIGH_WATER_MARK)
        self._socket.setsockopt(zmq.RCVHWM, _HIGH_WATER_MARK)
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
        self._service()

    async def stop(self) -> None:
        """Closes the endpoint."""
        for conversation in self._conversations.values():
            conversation.close()
        self._close()
        if (path := ipc_path(self._endpoint)) is not None:
            path.unlink(missing_ok=True)  # one short call, at the end

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
        for key in list(self._unsent):
            self._send_unsent(key)
        arrived: dict[tuple[bytes, ...], list[bytes]] = {}
        for _ in range(_MAX_PER_TURN):
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            if 2 <= len(frames) <= _MAX_FRAMES:
                arrived.setdefault(tuple(frames[:-1]), []).append(frames[-1])
        else:
            self._service_soon()
        for address, messages in arrived.items():
            self._take(address, messages)

    def _service_soon(self, delay_s: float = 0.0) -> None:
        loop = asyncio.get_running_loop()
        at = loop.time() + delay_s
        if self._next_service is None or self._next_service.when() > at:  # a caller that does not read delays no other
            if self._next_service is not None:
                self._next_service.cancel()
            self._next_service = loop.call_at(at, self._service)

    def _take(self, address: tuple[bytes, ...], messages: list[bytes]) -> None:
        key = b"\0".join(address)
        conversation = self._conversations.get(key)
        if conversation is None:
            conversation = self._conversations[key] = Conversation(
                dispatcher=self._dispatcher,
                send=lambda messages: self._send(key, address, messages),
                hold=lambda _: None,
                answered=lambda: self._answered(key),
            )
        conversation.receive([message if len(message) <= MAX_LINE_BYTES else None for message in messages])

    def _send(self, key: bytes, address: tuple[bytes, ...], messages: list[bytes]) -> None:
        self._unsent.setdefault(key, deque()).extend([*address, message] for message in messages)
        self._send_unsent(key)
        self._service_soon()

    def _send_unsent(self, key: bytes) -> None:
        """Sends what waits for a caller, as much as its socket takes."""
        unsent = self._unsent[key]
        try:
            while unsent:
                self._socket.send_multipart(unsent[0], zmq.NOBLOCK)
                unsent.popleft()
        except zmq.Again:
            if len(unsent) <= _HIGH_WATER_MARK:
                self._service_soon(_RETRY_SEND_S)
                return
            self._log.warning("caller_reads_nothing", unsent=len(unsent))
            self._drop(key)
        except zmq.ZMQError:
            self._drop(key)  # the caller is gone: a ROUTER finds out only by sending
        del self._unsent[key]

    def _drop(self, key: bytes) -> None:
        conversation = self._conversations.pop(key, None)
        if conversation is not None:
            conversation.close()

    def _answered(self, key: bytes) -> None:
        conversation = self._conversations.get(key)
        if conversation is not None and not conversation.session.subscribed:
            del self._conversations[key]

    def _secure(self) -> None:
        key_file = self._settings.now.listen.zmq_server_key_file
        assert key_file is not None  # noqa: S101 - see check_zmq
        try:
            secret = Path(key_file).read_text(encoding="ascii").strip().encode()
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
