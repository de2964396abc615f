"""ZeroMQ: a ROUTER that REQ and DEALER sockets speak to, one JSON value per message.

``ipc://`` lies in the private folder beside the Unix socket; ``tcp://`` wants CURVE and an allow-list of client keys.
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
_MOST_AT_ONCE = 500  # messages, before others get their turn
_UNREAD_S = 0.05  # until it is tried again to send to a caller that does not read
_FRAMES = 8  # identity, perhaps an empty delimiter, and the message; more is no request of ours


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
        self._look_again: asyncio.TimerHandle | None = None
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
        asyncio.get_running_loop().add_reader(self._socket.FD, self._look)
        self._look()

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
        if self._look_again is not None:
            self._look_again.cancel()
        if self._authenticator is not None:
            self._authenticator.stop()
        self._socket.close()
        self._context.term()

    def _look(self) -> None:
        """Takes what has come, and sends what could not be sent before.

        libzmq says only once that there is news, and may think it heard whenever the socket is used: so all of it is taken, and
        it is looked again after each time that something was sent.
        """
        if self._look_again is not None:
            self._look_again.cancel()
            self._look_again = None
        for key in list(self._unsent):
            self._send_on(key)
        came: dict[tuple[bytes, ...], list[bytes]] = {}
        for _ in range(_MOST_AT_ONCE):
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            if 2 <= len(frames) <= _FRAMES:
                came.setdefault(tuple(frames[:-1]), []).append(frames[-1])
        else:
            self._look_soon()
        for address, messages in came.items():
            self._take(address, messages)

    def _look_soon(self, delay_s: float = 0.0) -> None:
        loop = asyncio.get_running_loop()
        at = loop.time() + delay_s
        if self._look_again is None or self._look_again.when() > at:  # a caller that does not read delays no other
            if self._look_again is not None:
                self._look_again.cancel()
            self._look_again = loop.call_at(at, self._look)

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
        conversation.take([message if len(message) <= MAX_LINE_BYTES else None for message in messages])

    def _send(self, key: bytes, address: tuple[bytes, ...], messages: list[bytes]) -> None:
        self._unsent.setdefault(key, deque()).extend([*address, message] for message in messages)
        self._send_on(key)
        self._look_soon()

    def _send_on(self, key: bytes) -> None:
        """Sends what there is for a caller, as far as it goes."""
        unsent = self._unsent[key]
        try:
            while unsent:
                self._socket.send_multipart(unsent[0], zmq.NOBLOCK)
                unsent.popleft()
        except zmq.Again:
            if len(unsent) <= _HIGH_WATER_MARK:
                self._look_soon(_UNREAD_S)
                return
            self._log.warning("caller_reads_nothing", unsent=len(unsent))
            self._hang_up(key)
        except zmq.ZMQError:
            self._hang_up(key)  # the caller is gone: a ROUTER learns it only by trying
        del self._unsent[key]

    def _hang_up(self, key: bytes) -> None:
        conversation = self._conversations.pop(key, None)
        if conversation is not None:
            conversation.close()

    def _answered(self, key: bytes) -> None:
        conversation = self._conversations.get(key)
        if conversation is not None and not conversation.session.watching:
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
